import { afterAll, beforeAll, expect, test } from 'vitest'
import type { EmbeddedPostgres } from '../../../src/cli/embedded/server.js'
import { SourceLook } from '../../../src/homes/pipeline/dlq/sourceLook.js'
import { parseLetterRecord } from '../../../src/sinks/deadLetters/letterRecord.js'
import { LetterWriter } from '../../../src/sinks/postgres/letterWriter.js'
import { startServer } from '../../support/servers.js'
import { databasePair } from '../../support/verifying.js'

let server: EmbeddedPostgres
beforeAll(async () => {
  server = await startServer()
})
afterAll(() => server?.[Symbol.asyncDispose]())

const letter = (id: number) =>
  parseLetterRecord(
    JSON.stringify({
      operation: 'create',
      schema: 'public',
      table: 'items',
      key: { id },
      after: { id },
      id: `0/1/${id}`,
    }),
  )

test('a letter is written while its lock stands, and not afterwards; what holds its row up does not outlast the lock', async () => {
  await using pair = await databasePair(server, '', 'CREATE TABLE items (id int PRIMARY KEY)')
  const ids = async () =>
    (await pair.target.query<{ id: number }>('SELECT id FROM items ORDER BY id')).map(({ id }) => id)
  const writer = new LetterWriter('copy', { url: pair.target.url, source: 'shop' })
  try {
    await writer.open()
    await writer.quietly(() => writer.write(letter(1)))
    // Somebody's row of that key is not committed yet.
    await pair.target.query('BEGIN; INSERT INTO items VALUES (2)')
    const began = performance.now()
    await expect(writer.quietly(() => writer.write(letter(2)))).rejects.toMatchObject({
      details: { sqlstate: '57014' },
    })
    expect(performance.now() - began).toBeLessThan(8000)
    await pair.target.query('ROLLBACK')
    const lost = writer.quietly(async () => {
      await pair.target.query(`
        SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
         WHERE datname = current_database() AND state = 'idle in transaction' AND pid <> pg_backend_pid()`)
      await writer.write(letter(3))
    })
    await expect(lost).rejects.toMatchObject({ retry: 'later' })
    expect(await ids()).toEqual([1])
  } finally {
    await writer.close()
  }
})

test('a source that does not say in time what it has says nothing', async () => {
  await using pair = await databasePair(server, 'CREATE TABLE items (id int PRIMARY KEY)', '')
  await using look = await SourceLook.open(pair.source.url, 100)
  const record = letter(1)
  expect(await look.stands(record, record.key!, record.after!)).toEqual({ is: 'absent' })
  await pair.source.query('BEGIN; LOCK TABLE items')
  expect(await look.stands(record, record.key!, record.after!)).toMatchObject({ is: 'unknown' })
  await pair.source.query('ROLLBACK')
  expect(await look.stands(record, record.key!, record.after!)).toEqual({ is: 'absent' })
})
