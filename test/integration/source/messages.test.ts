import { afterAll, beforeAll, expect, test } from 'vitest'
import type { EmbeddedPostgres } from '../../../src/cli/embedded/server.js'
import { testDatabase } from '../../support/database.js'
import { startServer } from '../../support/servers.js'
import { capture } from '../../support/sourceCapture.js'
import { readSource, type SourceReader, type SourceRecord } from '../../support/sourceReader.js'

let server: EmbeddedPostgres
beforeAll(async () => {
  server = await startServer()
})
afterAll(() => server?.[Symbol.asyncDispose]())

const TABLES = 'CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE u (id int PRIMARY KEY, t int REFERENCES t)'

const emit = (transactional: boolean, prefix: string, content: string) =>
  `SELECT pg_logical_emit_message(${transactional}, '${prefix}', '${content}')`

/** In order: keys of rows, contents of messages. */
function told(reader: SourceReader): unknown[] {
  return reader.records
    .filter(({ table }) => table !== 'capture_marker')
    .map(({ operation, table, key, prefix, content }) => {
      if (operation === 'message') return `${prefix}: ${Buffer.from(content as string, 'base64')}`
      return key === undefined ? `${operation} ${table}` : `${operation} ${key.id}`
    })
}

test.concurrent('messages in a transaction come between its rows, and only those that are committed', async () => {
  await using db = await testDatabase(server, TABLES)
  const reader = await capture(db, { tables: 't', messages: true }, () =>
    db.query(`
      BEGIN; ${emit(true, 'a', 'first')}; INSERT INTO t VALUES (1); ${emit(true, 'a', 'middle 雪')}; ${emit(true, 'b', '')};
      SAVEPOINT s; ${emit(true, 'a', 'never')}; ROLLBACK TO s;
      INSERT INTO t VALUES (2); ${emit(true, 'a', 'last')}; COMMIT;
      BEGIN; ${emit(true, 'a', 'never')}; INSERT INTO t VALUES (9); ROLLBACK;
      ${emit(true, 'a', 'alone')}`),
  )
  expect(told(reader)).toEqual(['a: first', 'create 1', 'a: middle 雪', 'b: ', 'create 2', 'a: last', 'a: alone'])
  const [first, , middle] = reader.records
  expect(first).toMatchObject({
    transactional: true,
    seq: -1,
    xid: expect.any(Number),
    committedAt: expect.any(String),
  })
  expect(middle!.id).toBe(`${middle!.lsn}/0/2`)
})

test.concurrent('messages outside a transaction come also when it is rolled back, and stand before its commit', async () => {
  await using db = await testDatabase(server, TABLES)
  const reader = await capture(db, { tables: 't', messages: true }, () =>
    db.query(`
      BEGIN; INSERT INTO t VALUES (1); ${emit(false, 'a', 'at once')}; INSERT INTO t VALUES (2); COMMIT;
      BEGIN; ${emit(false, 'a', 'rolled back around')}; ROLLBACK`),
  )
  expect(told(reader)).toEqual(['a: at once', 'create 1', 'create 2', 'a: rolled back around'])
  const [message] = reader.records
  expect(message).toMatchObject({ transactional: false })
  for (const field of ['xid', 'seq', 'committedAt']) expect(message).not.toHaveProperty(field)
  expect(message!.id).toBe(`${message!.lsn}/-2`)
})

test.concurrent.each([
  ['out', ['outbox: x', 'out: y']],
  [false, []],
] as const)('of messages only those whose prefix begins with %s', async (messages, expected) => {
  await using db = await testDatabase(server, TABLES)
  const reader = await capture(db, { tables: 't', messages }, () =>
    db.query(
      `${emit(true, 'outbox', 'x')}; ${emit(false, 'checkout', 'n')}; ${emit(true, 'out', 'y')}; ${emit(true, 'Out', 'n')}`,
    ),
  )
  expect(told(reader)).toEqual([...expected])
})

test.concurrent('from the position of any row or message the rest comes, once', async () => {
  await using db = await testDatabase(server, TABLES)
  db.expectSlots = true
  const options = { url: db.url, tables: 't,u', slot: `m_${db.name}`, messages: 'a', snapshot: 'never' } as const
  await using reader = readSource({ ...options, existingSlot: 'resume' }, { ack: false })
  await reader.told('streaming')
  await db.query(`
    ${emit(false, 'a', '1')}; ${emit(false, 'dropped', '2')};
    BEGIN; ${emit(true, 'a', '3')}; ${emit(true, 'dropped', '4')}; ${emit(true, 'a', '5')}; INSERT INTO t VALUES (6);
    ${emit(true, 'dropped', '7')}; ${emit(true, 'a', '8')}; TRUNCATE t, u; ${emit(false, 'a', 'outside')}; INSERT INTO t VALUES (9);
    ${emit(true, 'a', '10')}; COMMIT; ${emit(false, 'a', '11')}`)
  await db.query('INSERT INTO t VALUES (12)')
  await db.query(emit(false, 'a', 'end'))
  const isEnd = ({ content }: SourceRecord) => content === Buffer.from('end').toString('base64')
  await reader.seen(isEnd, 'the last message')
  await reader.close()
  const whole = told(reader)
  expect(whole).toEqual([
    ...['a: 1', 'a: outside', 'a: 3', 'a: 5', 'create 6', 'a: 8', 'truncate t', 'truncate u', 'create 9', 'a: 10'],
    ...['a: 11', 'create 12', 'a: end'],
  ])
  for (const [index, { position }] of reader.records.slice(0, -1).entries()) {
    await using next = readSource({ ...options, position }, { ack: false })
    await next.seen(isEnd, 'the last message')
    expect(told(next), JSON.stringify(position)).toEqual(whole.slice(index + 1))
    expect(next.records.map(({ id }) => id)).toEqual(reader.records.slice(index + 1).map(({ id }) => id))
  }
})

test.concurrent('a truncate is a record for each captured table, with its options', async () => {
  await using db = await testDatabase(server, `${TABLES}; CREATE TABLE not_ours (id int PRIMARY KEY)`)
  const reader = await capture(db, { tables: 't,u' }, () =>
    db.query(
      'BEGIN; INSERT INTO t VALUES (1); TRUNCATE t, not_ours, u RESTART IDENTITY; INSERT INTO t VALUES (2); COMMIT; TRUNCATE t CASCADE',
    ),
  )
  expect(told(reader)).toEqual([
    ...['create 1', 'truncate t', 'truncate u', 'create 2'],
    ...['truncate t', 'truncate u'],
  ])
  const truncates = reader.records.filter(({ operation }) => operation === 'truncate')
  expect(truncates.map(({ cascade, restartIdentity }) => [cascade, restartIdentity])).toEqual([
    [false, true],
    [false, true],
    [true, false],
    [true, false],
  ])
})
