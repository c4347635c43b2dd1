import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { captureName, type PgoutputCapture, readCaptures, SCENARIO_FILE } from '../../../support/pgoutputFixtures.js'
import { PgoutputRecorder } from '../../../support/pgoutputRecorder.js'
import { committedLines } from '../../../support/pgoutputScenario.js'
import { type PgoutputEvent, PgoutputTwin } from '../../../support/pgoutputTwin.js'

// What servers 14 to 18 sent for the scenario in test/support/pgoutputScenario.ts; how it was captured stands in
// test/integration/postgres/pgoutput/scenario.test.ts.
const captures = readCaptures()
const named = captures.map((capture) => [captureName(capture), capture] as const)
const scenario = readFileSync(SCENARIO_FILE, 'utf8')

function decode(capture: PgoutputCapture): PgoutputEvent[] {
  const recorder = new PgoutputRecorder(capture)
  return capture.messages.map((message) => recorder.decode(message))
}

function ofKind<K extends PgoutputEvent['kind']>(
  events: PgoutputEvent[],
  kind: K,
): Extract<PgoutputEvent, { kind: K }>[] {
  return events.filter((event): event is Extract<PgoutputEvent, { kind: K }> => event.kind === kind)
}

test('every server and every protocol version that it speaks is there', () => {
  expect(named.map(([name]) => name)).toEqual([
    ...['14-v1-off', '14-v2-on'],
    ...['15-v1-off', '15-v2-on', '15-v3-off-twophase', '15-v3-on-twophase'],
    ...['16-v1-off', '16-v2-on', '16-v3-off-twophase', '16-v3-on-twophase', '16-v4-parallel-twophase'],
    ...['17-v1-off', '17-v2-on', '17-v3-off-twophase', '17-v3-on-twophase', '17-v4-parallel-twophase'],
    ...['18-v1-off', '18-v2-on', '18-v3-off-twophase', '18-v3-on-twophase', '18-v4-parallel-twophase'],
  ])
})

test('every kind of message is there', () => {
  const kinds = new Set(captures.flatMap(decode).map(({ kind }) => kind))
  expect([...kinds].sort()).toEqual([
    ...['begin', 'beginPrepare', 'commit', 'commitPrepared', 'delete', 'insert', 'message', 'origin', 'prepare'],
    ...['relation', 'rollbackPrepared', 'streamAbort', 'streamCommit', 'streamPrepare', 'streamStart', 'streamStop'],
    ...['truncate', 'type', 'update'],
  ])
})

describe.each(named)('%s', (_, capture) => {
  test('each message decodes as the slow twin decodes it', () => {
    const twin = new PgoutputTwin(capture)
    expect(decode(capture)).toStrictEqual(capture.messages.map((message) => twin.decode(message)))
  })

  test("the scenario's rows come out, in the order of their commits, without what was rolled back", () => {
    expect(committedLines(decode(capture))).toBe(scenario)
  })

  test('a decoder that was reset takes the stream from its start again', () => {
    const recorder = new PgoutputRecorder(capture)
    for (const message of capture.messages.slice(0, capture.messages.length / 2)) recorder.decode(message)
    recorder.decoder.reset()
    expect(committedLines(capture.messages.map((message) => recorder.decode(message)))).toBe(scenario)
  })
})

const streaming = named.filter(([, { streaming }]) => streaming !== 'off')

describe.each(streaming)('%s, streamed', (_, capture) => {
  test('the same changes have the same length as when they are not streamed', () => {
    const lengths = (events: PgoutputEvent[]) =>
      ofKind(events, 'insert')
        .filter(({ new: [, note] }) => note?.startsWith('prepared, streamed'))
        .map(({ length }) => length)
    const unstreamed = captures.find(({ server, streaming }) => server === capture.server && streaming === 'off')!
    expect(lengths(decode(capture))).toEqual([41, 41])
    expect(lengths(decode(unstreamed))).toEqual([41, 41])
  })

  test('what a sub-transaction showed of a relation is forgotten when it is rolled back', () => {
    const names = decode(capture)
      .filter((event) => event.kind === 'relation' || event.kind === 'insert')
      .filter(({ relation }) => relation.name === 'streamed')
      .map(({ kind, relation }) => `${kind} ${relation.columns.map(({ name }) => name).join()}`)
    const rolledBack = names.indexOf('relation id,note,rolled_back')
    expect(names.slice(rolledBack, rolledBack + 4)).toEqual([
      ...['relation id,note,rolled_back', 'insert id,note,rolled_back', 'relation id,note', 'insert id,note'],
    ])
  })

  test('what survives of a streamed transaction can be decoded by itself, as from a spool', () => {
    for (const spool of spools(capture)) {
      const recorder = new PgoutputRecorder(capture)
      const twin = new PgoutputTwin(capture)
      for (const message of spool) expect(recorder.decode(message)).toStrictEqual(twin.decode(message))
    }
  })

  test('LSN and time of a Stream Abort are there with streaming parallel only', () => {
    const aborts = ofKind(decode(capture), 'streamAbort')
    expect(aborts.length).toBeGreaterThanOrEqual(5)
    expect(aborts.filter(({ xid, subxid }) => xid === subxid).length).toBeGreaterThanOrEqual(1)
    const parallel = capture.streaming === 'parallel'
    for (const abort of aborts) expect([abort.abortLsn > 0n, abort.abortTime > 0n]).toEqual([parallel, parallel])
  })
})

/** The messages of each streamed transaction that commits, without its rolled-back sub-transactions. */
function spools(capture: PgoutputCapture): Buffer[][] {
  const open = new Map<number, { message: Buffer; xid: number }[]>()
  const finished: Buffer[][] = []
  const recorder = new PgoutputRecorder(capture)
  let current = 0
  for (const message of capture.messages) {
    const event = recorder.decode(message)
    if (event.kind === 'streamStart') current = event.xid
    if (event.kind === 'streamStart' && event.first) open.set(current, [])
    const spool = open.get(current)
    spool?.push({ message, xid: 'xid' in event ? event.xid : 0 })
    if (event.kind === 'streamStop') current = 0
    if (event.kind === 'streamAbort') cutBack(open, event.xid, event.subxid)
    if (event.kind === 'streamCommit') finished.push([...open.get(event.xid)!.map(({ message }) => message), message])
  }
  return finished
}

/** Back to the first change of the sub-transaction; of what follows only the borders of the blocks remain. */
function cutBack(open: Map<number, { message: Buffer; xid: number }[]>, xid: number, subxid: number): void {
  const spool = open.get(xid)!
  const first = spool.findIndex((entry) => entry.xid === subxid)
  if (first === -1) return
  const kept = spool.slice(first).filter(({ message }) => message[0] === 0x53 || message[0] === 0x45) // 'S' or 'E'
  open.set(xid, [...spool.slice(0, first), ...kept])
}
