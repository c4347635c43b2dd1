import { describeCause } from '../postgres/serverError.js'
import { type SessionState, sessionStates } from '../postgres/sessionStates.js'
import { inspectSlotWal, type SlotWal } from '../postgres/slotWal.js'
import type { Acknowledgements } from './acknowledgements.js'
import type { Batch } from './batch.js'
import type { Connections } from './connections.js'
import type { SourceEvent } from './events.js'
import { type Blame, blame, type Stall, type StreamFacts, stalled } from './stall.js'

/** Where a record ends at the end of a page, the next place is behind the next page's header. */
const PADDING = 64n
const LONGEST_TICK_MS = 1000
/** Events of a run that has begun. */
const BEGUN: readonly string[] = ['snapshot-started', 'streaming', 'polling']
/** Questions that are not answered in this time count as not answered. */
const ANSWER_MS = 5000

/** A stream that is watched. */
export interface WatchedStream {
  facts(): StreamFacts
  /** Has the server say where it is. */
  ask(): void
}

export interface WatchdogOptions {
  /** So long without progress is reported. */
  readonly stallMs: number
  readonly acknowledgements: Acknowledgements
  readonly connections: Pick<Connections, 'ordinary' | 'pids'>
  readonly emit: (event: SourceEvent) => void
}

/**
 * Watches that a run goes on while it has something to do (design section 3, rule 12): a connection that lives proves
 * nothing. What stands, and whose turn it is, is decided in stall.ts.
 */
export class Watchdog {
  readonly #options: WatchdogOptions
  readonly #timer: NodeJS.Timeout
  #starting = true
  #streaming = false
  /** While a snapshot is read: when something came of it last. */
  #snapshotAt: number | undefined
  #snapshotPaused = false
  #movedAt = performance.now()
  /** The batch that the consumer has. */
  #handed: { readonly at: number; readonly records: number } | undefined
  #acks = 0
  #unacknowledgedSince: number | undefined
  #stream: WatchedStream | undefined
  /** What the stream had read at the last tick. */
  #read = ''
  #unreadSince: number | undefined
  #asked = false
  #slot: SlotWal | undefined
  /** Since when an answer about the slot is waited for. */
  #lookingSince: number | undefined
  /** What its transactions had spilled when the stream moved last. */
  #spilled = 0
  #waitsFor: { readonly at: number; readonly text: string } | undefined
  #lost: string | undefined
  #told: { readonly side: Blame['side']; readonly on: Stall['on']; readonly since: number } | undefined
  /** When the server was last asked why. */
  #blamedAt = 0
  #blaming = false
  #stopped = false

  constructor(options: WatchdogOptions) {
    this.#options = options
    const { stallMs } = options
    this.#timer = setInterval(() => void this.#tick(), Math.min(LONGEST_TICK_MS, Math.max(50, stallMs / 4)))
  }

  stop(): void {
    this.#stopped = true
    clearInterval(this.#timer)
  }

  /** The run tells of its work: what it does, and that it goes on. */
  hear(event: SourceEvent): void {
    const now = performance.now()
    if (event.type === 'waiting-for-lock' || event.type === 'waiting-for-transactions') {
      const what = event.type === 'waiting-for-lock' ? 'a lock on the tables' : 'running transactions'
      this.#waitsFor = { at: now, text: `the run waits for ${what}: ${event.holders.join(', ')}` }
      return
    }
    if (event.type === 'slot-waiting') {
      this.#waitsFor = { at: now, text: `the run waits for slot ${event.slot}, which another reader has` }
      return
    }
    if (event.type === 'reconnecting') {
      this.#lost = describeCause(event.cause)
      return
    }
    if (event.type === 'snapshot-paused') this.#snapshotPaused = event.paused
    this.#movedAt = now
    if (BEGUN.includes(event.type)) this.#starting = false
    if (event.type === 'streaming') this.#streaming = true
    else if (event.type === 'snapshot-finished') this.#snapshotAt = undefined
    else if (event.type === 'snapshot-started' || this.#snapshotAt !== undefined) {
      if (event.type.startsWith('snapshot-')) this.#snapshotAt = now
    }
  }

  /** The consumer gets a batch. */
  handed({ length, rows }: Batch): void {
    const at = performance.now()
    this.#handed = { at, records: length }
    if (length > 0) this.#starting = false
    if (this.#snapshotAt !== undefined && rows.snapshotId !== '') this.#snapshotAt = at
  }

  /** The consumer asks for the next one. */
  asked(): void {
    this.#handed = undefined
    const now = performance.now()
    this.#movedAt = now
    // Until now the snapshot may have waited for room.
    if (this.#snapshotAt !== undefined && !this.#streaming) this.#snapshotAt = now
  }

  follow(stream: WatchedStream): void {
    this.#stream = stream
  }

  /** The server is asked about the slot. */
  looking(): void {
    this.#lookingSince = performance.now()
  }

  /** It has answered; undefined when that was no slot. */
  look(slot: SlotWal | undefined): void {
    this.#lookingSince = undefined
    this.#slot = slot ?? this.#slot
  }

  async #tick(): Promise<void> {
    const { stallMs } = this.#options
    const now = performance.now()
    this.#noteAcks(now)
    this.#noteStream(now)
    const since = (at: number | undefined) => (at === undefined ? undefined : now - at)
    const stall = stalled(
      {
        starting: this.#starting,
        streaming: this.#streaming,
        consumerMs: since(this.#handed?.at),
        unacknowledgedMs: since(this.#unacknowledgedSince),
        unreadMs: since(this.#unreadSince),
        snapshotMs: this.#snapshotPaused ? undefined : since(this.#snapshotAt),
        quietMs: now - this.#movedAt,
      },
      stallMs,
    )
    if (stall === undefined) this.#goesOn(now)
    else if (!this.#blaming && (stall.on !== this.#told?.on || now - this.#blamedAt > stallMs)) {
      this.#blamedAt = now
      this.#blaming = true
      await this.#blame(stall, now).finally(() => {
        this.#blaming = false
      })
    }
  }

  #noteAcks(now: number): void {
    const { ledger, count } = this.#options.acknowledgements
    if (ledger.settled) this.#unacknowledgedSince = undefined
    else if (count !== this.#acks) this.#unacknowledgedSince = now
    else this.#unacknowledgedSince ??= now
    this.#acks = count
  }

  #noteStream(now: number): void {
    const facts = this.#stream?.facts()
    if (facts === undefined) return
    const read = `${facts.messages} ${facts.readTo} ${facts.connected}`
    const hasMore = this.#slot !== undefined && this.#slot.endLsn > facts.readTo + PADDING
    const mute = this.#lookingSince !== undefined && now - this.#lookingSince > ANSWER_MS
    if (read !== this.#read || facts.paused || (facts.connected && !hasMore && !mute)) {
      this.#unreadSince = undefined
      this.#asked = false
      this.#spilled = this.#slot?.spilledBytes ?? 0
    } else this.#unreadSince ??= now
    this.#read = read
    if (facts.connected) this.#lost = undefined
    // It may have passed over all there is without a word.
    if (this.#unreadSince === undefined || this.#asked || now - this.#unreadSince < this.#options.stallMs / 2) return
    this.#asked = true
    this.#stream?.ask()
  }

  async #blame(stall: Stall, now: number): Promise<void> {
    const { emit, stallMs } = this.#options
    const ofServer = stall.on !== 'consumer' && stall.on !== 'acknowledgement'
    const answer = ofServer ? await this.#askServer() : undefined
    // What stood a moment ago may have moved while the server was asked.
    if (this.#stopped) return
    const recent = this.#waitsFor !== undefined && now - this.#waitsFor.at < Math.max(stallMs, 15_000)
    const found = blame(stall, {
      records: this.#handed?.records ?? 0,
      stream: this.#stream?.facts(),
      slot: answer?.slot ?? this.#slot,
      spilledBytes: (answer?.slot?.spilledBytes ?? this.#spilled) - this.#spilled,
      answers: answer !== undefined,
      sessions: answer?.sessions ?? [],
      waitsFor: recent ? this.#waitsFor!.text : undefined,
      lost: this.#lost,
    })
    const before = this.#told
    this.#told = { side: found.side, on: stall.on, since: before?.since ?? now - stall.ms }
    if (before?.side === found.side && before.on === stall.on) return
    emit({ type: 'stalled', ...found, waitingFor: stall.on, seconds: Math.round(stall.ms / 1000) })
  }

  #goesOn(now: number): void {
    if (this.#told === undefined) return
    const { side, since } = this.#told
    this.#told = undefined
    this.#options.emit({ type: 'stall-ended', side, seconds: Math.round((now - since) / 1000) })
  }

  /** On a connection of its own: another one may be dead, or wait for what is to be found out. Undefined: no answer. */
  async #askServer(): Promise<ServerAnswer | undefined> {
    const { connections, stallMs } = this.#options
    const { pids } = connections
    let timer: NodeJS.Timeout | undefined
    const connecting = connections.ordinary()
    const late = new Promise<undefined>((resolve) => {
      timer = setTimeout(() => resolve(undefined), Math.max(1000, Math.min(ANSWER_MS, stallMs)))
    })
    const asking = connecting.then(async (session) => ({
      sessions: await sessionStates(session, pids),
      slot: this.#slot === undefined ? undefined : await inspectSlotWal(session, this.#slot.name),
    }))
    const answer = await Promise.race([asking.catch(() => undefined), late])
    clearTimeout(timer)
    connecting.then(
      (session) => (answer === undefined ? session.destroy() : session.close()),
      () => {},
    )
    return answer
  }
}

interface ServerAnswer {
  readonly sessions: readonly SessionState[]
  readonly slot: SlotWal | undefined
}
