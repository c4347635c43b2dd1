import { describeBytes, describeSeconds } from '../core/quantity.js'
import { formatLsn, type Lsn } from '../postgres/lsn.js'
import type { SessionState } from '../postgres/sessionStates.js'
import type { SlotWal } from '../postgres/slotWal.js'

/** Whose turn it is. `tailrace`: ours, which is a fault to report. */
export type BlockingSide = 'server' | 'network' | 'tailrace' | 'consumer'

/** Since when each thing that should move stands, in milliseconds; undefined: it has no reason to move. */
export interface Standing {
  /** Nothing was handed out so far, nor does a stream run. */
  readonly starting: boolean
  /** Whether changes are streamed; a snapshot may be read meanwhile, or before. */
  readonly streaming: boolean
  /** The consumer has a batch, and has not asked for the next. */
  readonly consumerMs: number | undefined
  /** Something handed out is not acknowledged, nor was anything meanwhile. */
  readonly unacknowledgedMs: number | undefined
  /** There is WAL that we have not read, or no connection to read it on. */
  readonly unreadMs: number | undefined
  /** A snapshot is being read, and nothing came of it. */
  readonly snapshotMs: number | undefined
  /** Nothing came at all. */
  readonly quietMs: number
}

export type Waiting = 'consumer' | 'acknowledgement' | 'wal' | 'start' | 'snapshot'

export interface Stall {
  readonly on: Waiting
  readonly ms: number
}

/** Of the time that counts as long. */
const BRIEF = 0.1

/** What a run waits for too long; undefined while it moves, or has nothing to do. Pure. */
export function stalled(standing: Standing, stallMs: number): Stall | undefined {
  const { consumerMs, unacknowledgedMs, unreadMs, snapshotMs, quietMs } = standing
  const long = (ms: number | undefined): ms is number => ms !== undefined && ms >= stallMs
  if (long(consumerMs)) return { on: 'consumer', ms: consumerMs }
  if (long(unreadMs)) return { on: 'wal', ms: unreadMs }
  // Whoever has a batch holds up the snapshot, and may be about to acknowledge; but not by a look at an empty one.
  if (consumerMs !== undefined && consumerMs >= stallMs * BRIEF) return undefined
  if (long(snapshotMs)) return { on: 'snapshot', ms: snapshotMs }
  // Rows of a snapshot that the stream waits for are acknowledged when it is over, or when the consumer likes.
  const asked = standing.streaming || snapshotMs === undefined
  if (asked && long(unacknowledgedMs)) return { on: 'acknowledgement', ms: unacknowledgedMs }
  return standing.starting && long(quietMs) ? { on: 'start', ms: quietMs } : undefined
}

/** What a stream of changes knows of itself. */
export interface StreamFacts {
  readonly connected: boolean
  /** Messages of the server that were decoded. */
  readonly messages: number
  readonly readTo: Lsn
  /** Records read and not handed on. */
  readonly waiting: number
  /** Since the last byte from the server. */
  readonly silentMs: number
  /** Nothing is read, since the consumer is behind. */
  readonly paused: boolean
}

/** All that was found out when a run stood still. */
export interface StallFacts {
  /** Of the batch that the consumer has. */
  readonly records: number
  readonly stream: StreamFacts | undefined
  /** The last look at the slot, and what its transactions spilled since the run stands still. */
  readonly slot: SlotWal | undefined
  readonly spilledBytes: number
  /** The server answers questions. */
  readonly answers: boolean
  /** The run's own sessions on the server. */
  readonly sessions: readonly SessionState[]
  /** What the run said last that it waits for, and why it reconnects. */
  readonly waitsFor: string | undefined
  readonly lost: string | undefined
}

export interface Blame {
  readonly side: BlockingSide
  /** In words, with the facts. */
  readonly problem: string
}

/** Who keeps a run from going on. Pure. */
export function blame({ on, ms }: Stall, facts: StallFacts): Blame {
  const time = describeSeconds(ms / 1000)
  if (on === 'consumer') {
    const batch = `a batch of ${facts.records} ${facts.records === 1 ? 'record' : 'records'}`
    return { side: 'consumer', problem: `the consumer has had ${batch} for ${time} and not asked for the next one` }
  }
  if (on === 'acknowledgement') {
    const held = facts.slot?.retainedBytes
    const holds = held === undefined ? '' : `; the slot holds ${describeBytes(held)} of WAL`
    return { side: 'consumer', problem: `everything was handed out, and nothing acknowledged for ${time}${holds}` }
  }
  if ((on === 'wal' && facts.stream?.connected !== true) || (on === 'start' && facts.lost !== undefined)) {
    if (facts.waitsFor !== undefined) return { side: 'server', problem: facts.waitsFor }
    const why = facts.lost === undefined ? '' : `: ${facts.lost}`
    return { side: 'network', problem: `there has been no stream for ${time}${why}` }
  }
  if (!facts.answers) return { side: 'network', problem: `the server has not answered anything for ${time}` }
  const held = facts.sessions.filter(({ blockers }) => blockers.length > 0)
  if (held.length > 0) return { side: 'server', problem: held.map(describeBlocked).join('; ') }
  if (on === 'wal') return blameForWal(time, ms, facts.stream!, facts)
  if (facts.waitsFor !== undefined) return { side: 'server', problem: facts.waitsFor }
  const busy = facts.sessions.filter(({ state }) => state === 'active')
  if (busy.length > 0 && busy.every(({ waitEvent }) => /ClientWrite|WriteData/.test(waitEvent ?? ''))) {
    return { side: 'network', problem: `the server has been sending for ${time}, and nothing arrives` }
  }
  const what = on === 'start' ? 'the run has not begun' : 'no row of the snapshot came'
  const doing = busy.map(({ pid, waitEvent }) => `process ${pid} ${waits(waitEvent)}`).join(', ')
  if (busy.length === 0) return { side: 'tailrace', problem: `${what} for ${time}, and the server has nothing to do` }
  return { side: 'server', problem: `${what} for ${time}: ${doing}` }
}

/** A walsender that waits for the network, or for us to say something: all it had is under way. */
const ITS_PART_IS_DONE = /WalSenderWait|WalSenderMain|WalSenderWriteData|ClientWrite/i

function blameForWal(time: string, ms: number, stream: StreamFacts, { slot, spilledBytes }: StallFacts): Blame {
  if (stream.waiting > 0 && !stream.paused) {
    return { side: 'tailrace', problem: `${stream.waiting} records were read and not handed on for ${time}` }
  }
  const sender = slot?.walsender
  if (sender === undefined) {
    return { side: 'network', problem: `nothing came for ${time}: the server has lost our connection, and we have not` }
  }
  const { pid, sentLsn, waitEvent } = sender
  // It was asked for a reply meanwhile.
  if (stream.silentMs >= ms / 2 && ITS_PART_IS_DONE.test(waitEvent ?? '')) {
    const sent =
      sentLsn === undefined ? '' : ` (it has sent up to ${formatLsn(sentLsn)}, we have ${formatLsn(stream.readTo)})`
    return { side: 'network', problem: `the server has sent what it has${sent}, and nothing arrived for ${time}` }
  }
  const spilled =
    spilledBytes > 0 ? `; it has written ${describeBytes(spilledBytes)} of a large transaction to disk` : ''
  return {
    side: 'server',
    problem: `nothing came for ${time}: process ${pid} ${waits(waitEvent)} and is at ${sentLsn === undefined ? 'an unknown place' : formatLsn(sentLsn)} of ${formatLsn(slot!.endLsn)}${spilled}`,
  }
}

function waits(waitEvent: string | undefined): string {
  return waitEvent === undefined ? 'decodes or computes' : `waits (${waitEvent})`
}

function describeBlocked({ pid, lock, blockers }: SessionState): string {
  return `process ${pid} waits for ${lock ?? 'a lock'} that is held up by ${blockers.join(', ')}`
}
