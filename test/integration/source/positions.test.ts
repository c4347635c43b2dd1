import type pg from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { EmbeddedPostgres } from '../../../src/cli/embedded/server.js'
import { Random } from '../../chaos/random.js'
import { type TestDatabase, testDatabase } from '../../support/database.js'
import { startServer } from '../../support/servers.js'
import { rowsOf } from '../../support/sourceCapture.js'
import { readSource, readUnacknowledged } from '../../support/sourceReader.js'
import { byField, replay, requireOrder, sorted } from '../../support/sourceReplay.js'

let server: EmbeddedPostgres
beforeAll(async () => {
  server = await startServer({ settings: { max_replication_slots: '40', max_wal_senders: '40' } })
})
afterAll(() => server?.[Symbol.asyncDispose]())

const ROWS = 1200
const TABLES: readonly (readonly [name: string, sql: string])[] = [
  ['an int key', 'CREATE TABLE t (id int PRIMARY KEY, n int, big text)'],
  [
    'a text key whose order only the server knows',
    'CREATE TABLE t (id text COLLATE "en-x-icu" PRIMARY KEY, n int, big text)',
  ],
  ['a composite key', "CREATE TABLE t (part varchar DEFAULT 'x', id int, n int, big text, PRIMARY KEY (part, id))"],
]
const RESUMES = 2

/** Changes of all kinds, some in transactions that stay open for long, until `over`. */
async function write(db: TestDatabase, random: Random, over: () => boolean): Promise<void> {
  const sessions = await Promise.all([db.connect(), db.connect(), db.connect()])
  let next = ROWS
  const one = async (client: pg.Client) => {
    const any = () => 1 + random.integer(0, ROWS - 1)
    const statements = Array.from({ length: random.integer(1, 4) }, () => {
      switch (random.integer(0, 5)) {
        case 0:
          return `INSERT INTO t (id, n, big) VALUES (${++next}, 0, repeat(md5('${next}'), 75)) ON CONFLICT DO NOTHING`
        case 1:
          return `DELETE FROM t WHERE id = (${any()})::text::${'TYPE'}`
        case 2:
          return `UPDATE t SET id = (${++next})::text::TYPE WHERE id = (${any()})::text::TYPE`
        default:
          return `UPDATE t SET n = n + 1 WHERE id = (${any()})::text::TYPE`
      }
    })
    const type = TYPE_OF.get(db)!
    await client.query('BEGIN')
    for (const sql of statements) await client.query(sql.replaceAll('TYPE', type))
    if (random.chance(0.2)) await new Promise((resolve) => setTimeout(resolve, random.integer(1, 40)))
    await client.query(random.chance(0.1) ? 'ROLLBACK' : 'COMMIT')
  }
  await Promise.all(
    sessions.map(async (client) => {
      while (!over()) {
        await one(client).catch(async (error: pg.DatabaseError) => {
          await client.query('ROLLBACK')
          if (error.code !== '40P01' && error.code !== '23505') throw error
        })
      }
    }),
  )
}
const TYPE_OF = new Map<TestDatabase, string>()

test.each(TABLES)(
  'the position of every record can be resumed from, in the middle of a scan of %s',
  async (name, sql) => {
    const seed = Date.now() % 1e9
    const random = new Random(seed)
    await using db = await testDatabase(server, sql)
    db.expectSlots = true
    const type = name.includes('text') ? 'text' : 'int'
    TYPE_OF.set(db, type)
    // Out of line, so that an update which leaves it alone does not carry it.
    await db.query('ALTER TABLE t ALTER big SET STORAGE EXTERNAL')
    await db.query(
      `INSERT INTO t (id, n, big) SELECT i::text::${type}, 0, repeat(md5(i::text), 75) FROM generate_series(1, ${ROWS}) i`,
    )
    const options = {
      url: db.url,
      tables: 't',
      slot: `s_${db.name}`,
      strategy: 'incremental' as const,
      maxBytes: 65536,
      positionWithData: true,
    }
    let over = false
    const writing = write(db, random, () => over)
    // Only what stands before the slot is acknowledged: it stays where it began.
    let begun = false
    const reader = readSource(options, {
      ack: () => !begun,
      onBatch: ({ length }) => {
        begun ||= length > 0
        return new Promise((resolve) => setTimeout(resolve, 2))
      },
    })
    try {
      await reader.told('snapshot-finished', 60_000)
    } finally {
      over = true
      await writing
      await reader.close()
    }
    requireOrder(reader.records)
    const { records } = reader
    const numbered = (rows: readonly Record<string, unknown>[]) =>
      rows
        .map(({ big, ...row }) => ({ ...row, id: Number(row.id), big: String(big).slice(0, 40) + String(big).length }))
        .sort(byField('id'))
    const table = numbered(((await rowsOf(db, 't', 'id')) as Record<string, unknown>[]).map(sorted))
    for (let resume = 0; resume < RESUMES; resume++) {
      const index = random.integer(0, records.length - 1)
      const { position } = records[index]!
      const next = await readUnacknowledged({ ...options, position } as never)
      const all = [...records.slice(0, index + 1), ...next.records]
      expect(numbered(replay(all, 't')), `seed ${seed}, resumed behind record ${index} of ${records.length}`).toEqual(
        table,
      )
    }
  },
  120_000,
)
