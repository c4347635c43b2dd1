import { expect, test } from 'vitest'
import { judgeSafety, type SafetyFacts } from '../../../../../src/homes/pipeline/status/safety.js'
import type { DeadLetterStatus, ErrorStatus, SlotStatus } from '../../../../../src/homes/pipeline/status/status.js'

const GB = 1024 ** 3

const slot: SlotStatus = {
  ...{ retainedBytes: 16 * 1024 ** 2, limitBytes: null, limit: null, secondsToLimit: null },
  ...{ level: 'ok', walStatus: 'reserved', active: true },
}
const limited: SlotStatus = { ...slot, limitBytes: 10 * GB, limit: 'max_slot_wal_keep_size' }
const letters = (waiting: number): DeadLetterStatus => ({
  ...{ sink: 'out', target: 'out.ndjson', count: 3, waiting, lastProblem: 'too long' },
})
const lost: ErrorStatus = {
  ...{ at: '2026-11-22T10:00:00.000Z', count: 1, severity: 'error', where: 'source', code: 'CONNECTION_LOST' },
  ...{ message: 'lost the connection to the walsender', hint: '', retryAt: null },
}
const streaming: SafetyFacts = {
  ...{ state: 'streaming', waitingFor: null, stalled: null, connected: true, seconds: 60, errors: [] },
  ...{ lag: { bytes: 0, seconds: 0 }, slot, snapshot: [], deadLetters: [] },
}
const of = (facts: Partial<SafetyFacts>) => judgeSafety({ ...streaming, ...facts })

test('what is delivered as it comes is safe, and so are rows that are being read, and what has ended well', () => {
  expect(of({})).toEqual({
    ...{ level: 'safe', words: 'Your data is safe: every change is delivered as it comes.', why: [] },
  })
  const scan = { table: 'public.a', rows: 1, estimatedRows: 2, done: false, rowsPerSecond: 1, etaSeconds: 1 }
  const reading = of({ state: 'snapshot', snapshot: [scan, { ...scan, table: 'public.b', done: true }] })
  expect(reading).toMatchObject({ level: 'safe', words: expect.stringMatching(/the rows of 1 table are being read/) })
  expect(of({ state: 'stopped', slot: null }).level).toBe('safe')
  expect(of({ lag: { bytes: 1, seconds: 299 } }).level).toBe('safe')
  expect(of({ deadLetters: [letters(0)] }).level).toBe('safe')
})

test.each<[string, Partial<SafetyFacts>, string, RegExp, RegExp]>([
  [
    'a slot at half',
    { slot: { ...limited, level: 'half', retainedBytes: 6 * GB, secondsToLimit: 7200 } },
    'at_risk',
    /keeps more and more/,
    /6 GB of WAL for it, more than half of the 10 GB .* in about 2 h/,
  ],
  [
    'a slot near its limit',
    { slot: { ...limited, level: 'near', secondsToLimit: 240 } },
    'in_trouble',
    /will be lost in about 4 min unless/,
    /of 10 GB that are allowed/,
  ],
  [
    'near, and not growing',
    { slot: { ...limited, level: 'near' } },
    'in_trouble',
    /will be lost soon unless/,
    /allowed/,
  ],
  [
    'a slot over its limit',
    { slot: { ...limited, level: 'reached', walStatus: 'unreserved' } },
    'in_trouble',
    /any moment/,
    /next checkpoint/,
  ],
  ['a lost slot', { slot: { ...limited, level: 'lost' } }, 'in_trouble', /^Changes are missing/, /read anew/],
  [
    'much WAL, no limit',
    { slot: { ...slot, retainedBytes: 11 * GB } },
    'at_risk',
    /nothing limits that but its disk/,
    /max_slot_wal_keep_size is not set/,
  ],
  [
    'a pause',
    { state: 'paused', seconds: 125 },
    'at_risk',
    /^Paused: .*the server keeps what comes/,
    /paused 2 min ago/,
  ],
  ['a pause without a slot', { state: 'paused', slot: null }, 'at_risk', /read when it goes on/, /by request/],
  [
    'a database that is away',
    { state: 'retrying', connected: false, errors: [lost] },
    'at_risk',
    /database cannot be reached/,
    /for 60 s. Lost the connection to the walsender\.$/,
  ],
  [
    'a sink that is away',
    { state: 'retrying', errors: [lost] },
    'at_risk',
    /a sink cannot be written to/,
    /tried again/,
  ],
  [
    'a failure',
    { state: 'failed', errors: [lost], connected: false },
    'in_trouble',
    /has stopped with an error; the server keeps/,
    /Lost the connection/,
  ],
  ['a start', { state: 'starting', slot: null }, 'at_risk', /^Starting: nothing is known/, /not begun/],
  [
    'a start that waits',
    { state: 'starting', waitingFor: 'waiting for a lock' },
    'at_risk',
    /has to wait/,
    /^Waiting for a lock\.$/,
  ],
  ['a wait', { waitingFor: 'waiting for a lock' }, 'at_risk', /has to wait/, /^Waiting/],
  ['a stall', { stalled: 'nothing came for 5 min' }, 'at_risk', /stands still/, /^Nothing came for 5 min\.$/],
  [
    'dead letters',
    { deadLetters: [letters(1)] },
    'at_risk',
    /put aside for you/,
    /^The sink out has put 1 record aside/,
  ],
  ['a long lag', { lag: { bytes: GB, seconds: 600 } }, 'at_risk', /10 min behind/, /1 GB of WAL follow it/],
])('%s is told in words, with what it stands on', (_, facts, level, words, why) => {
  const judged = of(facts)
  expect(judged).toEqual({ level, words: expect.stringMatching(words), why: [expect.stringMatching(why)] })
})

test('the worst comes first, and the rest is not forgotten; whoever paused it knows that it stands still', () => {
  const judged = of({
    ...{ state: 'paused', stalled: 'the consumer has had a batch for an hour' },
    ...{ deadLetters: [letters(3)], slot: { ...limited, level: 'near', secondsToLimit: 60 } },
  })
  expect(judged.level).toBe('in_trouble')
  expect(judged.why).toEqual([
    expect.stringMatching(/WAL/),
    expect.stringMatching(/paused/),
    expect.stringMatching(/3 records/),
  ])
})
