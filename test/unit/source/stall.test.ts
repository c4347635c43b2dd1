import { describe, expect, test } from 'vitest'
import { blame, type StallFacts, type Standing, type StreamFacts, stalled } from '../../../src/source/stall.js'
import { slotWal } from '../../support/slotWal.js'

const LIMIT = 60_000

function standing(facts: Partial<Standing> = {}): Standing {
  return {
    starting: false,
    streaming: true,
    consumerMs: undefined,
    unacknowledgedMs: undefined,
    unreadMs: undefined,
    snapshotMs: undefined,
    quietMs: 0,
    ...facts,
  }
}

describe('a run is stalled', () => {
  test('not when it has nothing to do, however long that is', () => {
    expect(stalled(standing({ quietMs: 1e9 }), LIMIT)).toBeUndefined()
  })

  test.each([
    [{ consumerMs: LIMIT }, 'consumer'],
    [{ unreadMs: LIMIT }, 'wal'],
    [{ unacknowledgedMs: LIMIT }, 'acknowledgement'],
    [{ streaming: false, unacknowledgedMs: LIMIT }, 'acknowledgement'],
    [{ streaming: false, snapshotMs: LIMIT }, 'snapshot'],
    [{ snapshotMs: LIMIT }, 'snapshot'],
    [{ snapshotMs: 5, unacknowledgedMs: LIMIT }, 'acknowledgement'],
    [{ streaming: false, starting: true, quietMs: LIMIT }, 'start'],
    // The intent of a snapshot is to be stored before there is a slot; it is asked for again and again.
    [{ streaming: false, starting: true, unacknowledgedMs: LIMIT, quietMs: LIMIT }, 'acknowledgement'],
    [{ unacknowledgedMs: LIMIT, consumerMs: 5 }, 'acknowledgement'],
    [{ snapshotMs: LIMIT, consumerMs: LIMIT }, 'consumer'],
    // Who has a batch may be about to acknowledge, and reading goes on only when it is taken.
    [{ consumerMs: LIMIT, unreadMs: LIMIT, unacknowledgedMs: LIMIT }, 'consumer'],
    // What is not read may be what the consumer waits for to acknowledge all.
    [{ unreadMs: LIMIT, unacknowledgedMs: LIMIT }, 'wal'],
  ] as const)('%o waits for: %s', (facts, on) => {
    expect(stalled(standing(facts), LIMIT)).toEqual({ on, ms: LIMIT })
  })

  test.each([
    { consumerMs: LIMIT - 1 },
    { unreadMs: LIMIT - 1 },
    { unacknowledgedMs: LIMIT - 1 },
    { snapshotMs: LIMIT - 1 },
    { starting: true, quietMs: LIMIT - 1 },
    // Rows of a snapshot that the stream waits for are acknowledged when it is over, or when the consumer likes.
    { streaming: false, snapshotMs: 5, unacknowledgedMs: LIMIT },
    { consumerMs: LIMIT / 10, snapshotMs: LIMIT },
    { consumerMs: LIMIT / 10, unacknowledgedMs: LIMIT },
  ] as const)('not (yet) with %o', (facts) => {
    expect(stalled(standing(facts), LIMIT)).toBeUndefined()
  })
})

function facts(found: Partial<StallFacts> = {}, stream: Partial<StreamFacts> = {}): StallFacts {
  return {
    records: 0,
    stream: { connected: true, messages: 0, readTo: 1000n, waiting: 0, silentMs: 0, paused: false, ...stream },
    slot: slotWal({ endLsn: 9000n }),
    spilledBytes: 0,
    answers: true,
    sessions: [],
    waitsFor: undefined,
    lost: undefined,
    ...found,
  }
}

const SESSION = { pid: 7, state: 'active', waitEvent: undefined, lock: undefined, blockers: [] }
const sender = (waitEvent: string | undefined) =>
  slotWal({ endLsn: 9000n, walsender: { pid: 4711, state: 'catchup', waitEvent, sentLsn: 2000n } })

describe('whose turn it is', () => {
  test('the consumer’s, who has a batch or acknowledges nothing', () => {
    expect(blame({ on: 'consumer', ms: 75_000 }, facts({ records: 12 }))).toEqual({
      side: 'consumer',
      problem: 'the consumer has had a batch of 12 records for 75 s and not asked for the next one',
    })
    expect(blame({ on: 'acknowledgement', ms: 75_000 }, facts()).problem).toBe(
      'everything was handed out, and nothing acknowledged for 75 s; the slot holds 15.3 MB of WAL',
    )
  })

  test('the network’s, when what the server has sent does not come', () => {
    const swallowed = facts({ slot: sender('Client/WalSenderWaitForWal') }, { silentMs: 40_000 })
    expect(blame({ on: 'wal', ms: 60_000 }, swallowed)).toEqual({
      side: 'network',
      problem: 'the server has sent what it has (it has sent up to 0/7D0, we have 0/3E8), and nothing arrived for 60 s',
    })
    const full = facts({ slot: sender('Client/WalSenderWriteData') }, { silentMs: 40_000 })
    expect(blame({ on: 'wal', ms: 60_000 }, full).side).toBe('network')
  })

  test('the network’s, when there is no stream, no answer, or no process on the other side', () => {
    const lost = facts({ lost: 'connection refused' }, { connected: false })
    expect(blame({ on: 'wal', ms: 60_000 }, lost)).toEqual({
      side: 'network',
      problem: 'there has been no stream for 60 s: connection refused',
    })
    for (const on of ['wal', 'start', 'snapshot'] as const) {
      expect(blame({ on, ms: 60_000 }, facts({ answers: false })).side).toBe('network')
    }
    expect(blame({ on: 'wal', ms: 60_000 }, facts({ slot: slotWal({ walsender: undefined }) })).side).toBe('network')
    const sending = { ...SESSION, waitEvent: 'Client/ClientWrite' }
    expect(blame({ on: 'snapshot', ms: 60_000 }, facts({ sessions: [sending] })).side).toBe('network')
  })

  test('the server’s, which decodes', () => {
    const decoding = facts({ slot: sender('IO/ReorderBufferRead'), spilledBytes: 3 * 1024 ** 3 }, { silentMs: 60_000 })
    expect(blame({ on: 'wal', ms: 60_000 }, decoding)).toEqual({
      side: 'server',
      problem:
        'nothing came for 60 s: process 4711 waits (IO/ReorderBufferRead) and is at 0/7D0 of 0/2328; it has written 3 GB of a large transaction to disk',
    })
    // It answers, and has nothing to give yet.
    const answering = facts({ slot: sender('Client/WalSenderWaitForWal') }, { silentMs: 100 })
    expect(blame({ on: 'wal', ms: 60_000 }, answering).side).toBe('server')
    expect(blame({ on: 'wal', ms: 60_000 }, facts({ slot: sender(undefined) })).problem).toContain(
      'decodes or computes',
    )
  })

  test('the server’s, where somebody has a lock', () => {
    const blocked = { ...SESSION, lock: 'AccessShareLock on public.t', blockers: ['pid 9 (psql, idle for 3 min)'] }
    for (const on of ['wal', 'start', 'snapshot'] as const) {
      expect(blame({ on, ms: 60_000 }, facts({ sessions: [SESSION, blocked] }))).toEqual({
        side: 'server',
        problem: 'process 7 waits for AccessShareLock on public.t that is held up by pid 9 (psql, idle for 3 min)',
      })
    }
    const known = facts({ waitsFor: 'the run waits for a lock on the tables: pid 9' })
    const expected = { side: 'server', problem: 'the run waits for a lock on the tables: pid 9' }
    expect(blame({ on: 'start', ms: 60_000 }, known)).toEqual(expected)
    const waiting = facts({ waitsFor: 'the run waits for slot s, which another reader has' }, { connected: false })
    expect(blame({ on: 'wal', ms: 60_000 }, waiting).side).toBe('server')
  })

  test('ours, with records that were not handed on, or a server that has nothing to do', () => {
    expect(blame({ on: 'wal', ms: 60_000 }, facts({}, { waiting: 3 })).side).toBe('tailrace')
    expect(blame({ on: 'snapshot', ms: 60_000 }, facts({ sessions: [{ ...SESSION, state: 'idle' }] })).side).toBe(
      'tailrace',
    )
  })
})
