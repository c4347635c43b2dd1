import { readdirSync, readFileSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { MESSAGE } from '../../../../src/postgres/pgoutput/tag.js'
import { readCaptures, SCENARIO_FILE } from '../../../support/pgoutputFixtures.js'
import { committedLines } from '../../../support/pgoutputScenario.js'
import type { PgoutputEvent } from '../../../support/pgoutputTwin.js'
import { made } from '../../../support/sourceMessages.js'
import { eventsOf, Spooling, streamedMessages } from '../../../support/spooling.js'
import { temporaryFolder } from '../../../support/temporaryFolder.js'
import { waitFor } from '../../../support/waitFor.js'

const captures = readCaptures().filter(({ twoPhase }) => !twoPhase)

/** Behind one of these a sub-transaction is rolled back: see below. */
const UNCLEAR = 'streamed\0'
const clear = (messages: readonly Buffer[]) =>
  messages.filter((message) => message[0] !== MESSAGE || !message.includes(UNCLEAR))
const scenario = readFileSync(SCENARIO_FILE, 'utf8').replaceAll(/^ *message "streamed" .*\n/gm, '')

/** What positions and fingerprints count. */
function counted(events: readonly PgoutputEvent[]): unknown[] {
  return events.flatMap((event) => ('length' in event ? [[event.kind, event.length]] : []))
}

describe.each(captures.filter(({ streaming }) => streaming === 'on'))('what PostgreSQL $server streamed', (capture) => {
  test.each([
    ['in memory', 1 << 24],
    ['in files', 0],
  ])('comes %s as protocol 1 brings it', async (_, memoryBytes) => {
    await using folder = await temporaryFolder()
    const spooling = new Spooling({ folder: folder.path, memoryBytes })
    await spooling.feed(clear(capture.messages))
    const events = await spooling.events()
    expect(committedLines(events)).toBe(scenario)
    const plain = captures.find(({ server, protocolVersion }) => server === capture.server && protocolVersion === 1)!
    expect(counted(events)).toEqual(counted(eventsOf(clear(plain.messages))))
    await spooling.spool.end()
    expect(readdirSync(folder.path)).toEqual([])
    expect(spooling.failures).toEqual([])
  })

  test('is given up where a logical message may have been rolled back, or not', async () => {
    await using folder = await temporaryFolder()
    const spooling = new Spooling({ folder: folder.path })
    await expect(spooling.feed(capture.messages)).rejects.toMatchObject({ code: 'STREAMING_GIVEN_UP' })
    await spooling.spool.end()
  })
})

const { start, stop, inBlock, commit, abort } = streamedMessages
const relation = (name: string) =>
  made.relation({ oid: 1, schema: 'public', name, columns: [{ name: 'id', key: true }] })
const row = (id: number) => made.insert(1, [String(id)])

/** Bytes of spool files in this folder. */
function spooled(parent: string): number {
  const names = readdirSync(parent, { recursive: true }).map(String)
  const files = names.filter((name) => name.endsWith('.spool'))
  return files.reduce((bytes, name) => bytes + (statSync(join(parent, name), { throwIfNoEntry: false })?.size ?? 0), 0)
}

/** Names of relations, and rows with that of the relation they were read by. */
function told(events: readonly PgoutputEvent[]): string[] {
  return events.flatMap((event) => {
    if (event.kind === 'relation') return [`= ${event.relation.name}`]
    return event.kind === 'insert' ? [`${event.relation.name} ${event.new[0]}`] : []
  })
}

test('a transaction comes at its commit, amid others, and its relations are the last only if they are', async () => {
  const spooling = new Spooling({ folder: tmpdir() })
  await spooling.feed([
    ...[start(10), inBlock(10, relation('first')), inBlock(10, row(1)), stop()],
    ...[start(20), inBlock(20, relation('first')), inBlock(20, row(2)), stop()],
    ...[made.begin(100n), relation('second'), row(3), made.commit(100n, 110n)],
    ...[start(10, false), inBlock(10, row(4)), stop(), commit(10, 200n, 210n)],
    ...[made.begin(300n), row(5), made.commit(300n, 310n)],
    ...[start(20, false), inBlock(20, relation('third')), inBlock(20, row(6)), stop(), commit(20, 400n, 410n)],
    ...[made.begin(500n), row(7), made.commit(500n, 510n)],
  ])
  const events = await spooling.events()
  expect(told(events)).toEqual([
    ...['= second', 'second 3'],
    ...['= first', 'first 1', 'first 4', '= second'],
    ...['second 5'],
    ...['= first', 'first 2', '= third', 'third 6'],
    ...['third 7'],
  ])
  expect(events.filter(({ kind }) => kind === 'begin' || kind === 'commit').slice(2, 4)).toEqual([
    { kind: 'begin', finalLsn: 200n, commitTime: 5n, xid: 10 },
    { kind: 'commit', commitLsn: 200n, endLsn: 210n, commitTime: 5n },
  ])
  await spooling.spool.end()
})

test('what a rolled-back sub-transaction described was never said', async () => {
  const spooling = new Spooling({ folder: tmpdir() })
  await spooling.feed([
    ...[start(10), inBlock(10, relation('first')), inBlock(10, row(1)), stop()],
    ...[made.begin(100n), relation('second'), row(2), made.commit(100n, 110n)],
    ...[start(10, false), inBlock(11, relation('third')), inBlock(11, row(3)), stop(), abort(10, 11)],
    ...[commit(10, 200n, 210n), made.begin(300n), row(4), made.commit(300n, 310n)],
  ])
  expect(told(await spooling.events()).slice(2)).toEqual(['= first', 'first 1', '= second', 'second 4'])
  await spooling.spool.end()
})

test('a large transaction that has not ended is told of, a small one is not', async () => {
  await using folder = await temporaryFolder()
  const spooling = new Spooling({ folder: folder.path, memoryBytes: 0 })
  const mebibyte = made.insert(1, ['x'.repeat(1024 * 1024)])
  const sevenMebibytes = Array.from({ length: 7 }, () => inBlock(10, mebibyte))
  await spooling.feed([start(10), inBlock(10, relation('first')), ...sevenMebibytes, stop()])
  expect(spooling.progress).toEqual([])
  await spooling.feed([start(10, false), inBlock(10, mebibyte), stop()])
  expect(spooling.progress).toEqual([{ xid: 10, bytes: expect.any(Number) }])
  expect(spooling.progress[0]!.bytes).toBeGreaterThan(8 * 1024 * 1024)
  // No more than once a second.
  await spooling.feed([start(10, false), inBlock(10, mebibyte), stop(), commit(10, 200n, 210n)])
  expect(spooling.progress).toHaveLength(1)
  await spooling.events()
  await spooling.spool.end()
})

test('after a lost connection nothing is left of what was spooled', async () => {
  await using folder = await temporaryFolder()
  const spooling = new Spooling({ folder: folder.path, memoryBytes: 0 })
  const open = [start(10), inBlock(10, relation('r')), inBlock(10, row(1)), stop()]
  await spooling.feed(open)
  await waitFor(() => spooled(folder.path) > 0, { what: 'the block to be written' })
  spooling.spool.clear()
  await waitFor(() => spooled(folder.path) === 0, { what: 'the file to be removed' })
  await spooling.feed([...open, commit(10, 200n, 210n)])
  expect(told(await spooling.events())).toEqual(['= r', 'r 1'])
  await spooling.spool.end()
  expect(readdirSync(folder.path)).toEqual([])
})

test('of many open transactions none holds memory when there is too much', async () => {
  await using folder = await temporaryFolder()
  const spooling = new Spooling({ folder: folder.path, memoryBytes: 0 })
  const xids = Array.from({ length: 50 }, (_, index) => 10 + index)
  await spooling.feed(xids.flatMap((xid) => [start(xid), inBlock(xid, relation('r')), inBlock(xid, row(xid)), stop()]))
  await waitFor(() => spooled(folder.path) > 50 * 20, { what: 'every transaction to be written' })
  await spooling.feed(
    xids.flatMap((xid) => (xid % 2 === 0 ? [abort(xid, xid)] : [commit(xid, BigInt(xid), BigInt(xid))])),
  )
  expect(told(await spooling.events())).toEqual(xids.flatMap((xid) => (xid % 2 === 0 ? [] : ['= r', `r ${xid}`])))
  await spooling.spool.end()
})

test('an abort of a transaction of which no block came is nothing', async () => {
  await using folder = await temporaryFolder()
  const spooling = new Spooling({ folder: folder.path })
  await spooling.feed([start(10), inBlock(10, relation('r')), inBlock(10, row(1)), stop()])
  await spooling.feed([abort(9, 9), abort(8, 7), commit(10, 1n, 2n)])
  expect(told(await spooling.events())).toEqual(['= r', 'r 1'])
  await spooling.spool.end()
})

test.each<[string, string, Buffer[]]>([
  ['a block of a transaction that did not begin', 'no block of transaction 10 came before', [start(10, false)]],
  ['a commit of one', 'no block of transaction 10 came before', [commit(10, 1n, 2n)]],
  ['a transaction that begins twice', 'a second first block', [start(10), stop(), start(10)]],
  ['a block in a block', 'it does not stand in a streamed block', [start(10), start(11)]],
  ['a Commit in a block', 'it does not stand in a streamed block', [start(10), made.commit(1n, 2n)]],
  ['a row that ends in its xid', 'it ends in xid', [start(10), Buffer.from('I12')]],
  ['a row without xid', 'xid is 0', [start(10), inBlock(0, row(1))]],
])('%s is MALFORMED_MESSAGE', async (_, problem, messages) => {
  const spooling = new Spooling({ folder: tmpdir() })
  await expect(spooling.feed(messages)).rejects.toMatchObject({
    code: 'MALFORMED_MESSAGE',
    message: expect.stringContaining(problem),
  })
  await spooling.spool.end()
})
