import { expect, test } from 'vitest'
import { type TestDatabase, testDatabase } from '../../../support/database.js'
import { capture } from '../../../support/sourceCapture.js'
import { readSource, type SourceRecord } from '../../../support/sourceReader.js'
import { describeEachMajor } from '../../../support/versions.js'

const TABLE = `
  CREATE TABLE t (id int PRIMARY KEY, code text NOT NULL UNIQUE, n int);
  INSERT INTO t VALUES (1, 'a', 0), (2, 'b', 0), (3, 'c', 0)`

const FULL = 'ALTER TABLE t REPLICA IDENTITY FULL'
const BY_CODE = 'ALTER TABLE t REPLICA IDENTITY USING INDEX t_code_key'
const DEFAULT = 'ALTER TABLE t REPLICA IDENTITY DEFAULT'
const NOTHING = 'ALTER TABLE t REPLICA IDENTITY NOTHING'

/** Each with what it changes the identity to, and what the records after it must be. */
const STEPS: readonly (readonly [sql: string, expected: unknown])[] = [
  ['UPDATE t SET n = 1 WHERE id = 1', { operation: 'update', key: { id: 1 }, after: { id: 1, code: 'a', n: 1 } }],
  [
    `${FULL}; UPDATE t SET n = 2 WHERE id = 1`,
    { operation: 'update', key: { id: 1 }, before: { id: 1, code: 'a', n: 1 }, after: { id: 1, code: 'a', n: 2 } },
  ],
  [
    'UPDATE t SET id = 11 WHERE id = 1',
    {
      operation: 'update',
      key: { id: 11 },
      oldKey: { id: 1 },
      before: { id: 1, code: 'a', n: 2 },
      after: { id: 11, code: 'a', n: 2 },
    },
  ],
  [
    `${BY_CODE}; UPDATE t SET n = 3 WHERE id = 11`,
    { operation: 'update', key: { code: 'a' }, after: { id: 11, code: 'a', n: 3 } },
  ],
  [
    "UPDATE t SET code = 'aa' WHERE id = 11",
    { operation: 'update', key: { code: 'aa' }, oldKey: { code: 'a' }, after: { id: 11, code: 'aa', n: 3 } },
  ],
  ["DELETE FROM t WHERE code = 'aa'", { operation: 'delete', key: { code: 'aa' } }],
  [
    `${DEFAULT}; UPDATE t SET n = 4 WHERE id = 2`,
    { operation: 'update', key: { id: 2 }, after: { id: 2, code: 'b', n: 4 } },
  ],
  [`${FULL}; DELETE FROM t WHERE id = 2`, { operation: 'delete', key: { id: 2 }, before: { id: 2, code: 'b', n: 4 } }],
  [
    `${NOTHING}; INSERT INTO t VALUES (4, 'd', 0)`,
    { operation: 'create', key: { id: 4 }, after: { id: 4, code: 'd', n: 0 } },
  ],
]

/** Only what the steps speak of: whatever else the record has, it has no image and no key that is not expected. */
function told(records: readonly SourceRecord[]): unknown[] {
  return records
    .filter(({ operation }) => operation !== 'schema')
    .map(({ operation, key, oldKey, before, after }) =>
      Object.fromEntries(
        Object.entries({ operation, key, oldKey, before, after }).filter(([, value]) => value !== undefined),
      ),
    )
}

const EXPECTED = STEPS.map(([, expected]) => expected)

/** Without identity the server refuses what it could not publish: the application is told, and we have nothing to lose. */
async function requireRefused(db: TestDatabase): Promise<void> {
  await expect(db.query('UPDATE t SET n = 9 WHERE id = 4')).rejects.toThrow(/does not have a replica identity/)
}

describeEachMajor('a replica identity that is changed under a run', (postgres) => {
  test('live: keys and images of each record are those of its moment', async () => {
    await using db = await testDatabase(postgres.server, TABLE)
    const reader = await capture(db, { tables: 't' }, async (reading) => {
      for (const [n, [sql]] of STEPS.entries()) {
        await db.query(sql)
        await reading.until(() => told(reading.changesOf('t')).length === n + 1, { what: `the record of step ${n}` })
      }
      await requireRefused(db)
    })
    expect(told(reader.changesOf('t'))).toEqual(EXPECTED)
  })

  test('read later, when the catalog has the last one only: the same', async () => {
    await using db = await testDatabase(postgres.server, TABLE)
    db.expectSlots = true
    const options = { url: db.url, tables: 't', slot: `i_${db.name}`, keyless: 'inserts' } as const
    const first = readSource(options)
    await first.told('streaming')
    await first.close()
    for (const [sql] of STEPS) await db.query(sql)
    await db.query(DEFAULT)
    await using later = readSource({ ...options, position: first.batches.at(-1)!.position })
    await later.seen(({ key }) => key?.id === 4, 'the last row')
    expect(told(later.changesOf('t'))).toEqual(EXPECTED)
  })
})
