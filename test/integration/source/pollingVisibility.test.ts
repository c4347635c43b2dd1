import { describe, expect, test } from 'vitest'
import { testDatabase } from '../../support/database.js'
import { Polls } from '../../support/polls.js'
import type { SourceRecord } from '../../support/sourceReader.js'
import { describeEachMajor } from '../../support/versions.js'

const TABLE = 'CREATE TABLE t (id int PRIMARY KEY, v text)'

const WAYS = [
  ['by key', {}],
  ['by cursor', { cursors: { t: 'id' } }],
] as const

function ids(records: readonly SourceRecord[]): unknown[] {
  return records.map(({ after }) => after!.id)
}

describeEachMajor(
  'visibility of polled rows',
  (postgres) => {
    describe.each(WAYS)('%s', (_, options) => {
      test.concurrent('a row that commits after one with a higher key was read is not stepped over', async () => {
        await using db = await testDatabase(postgres.server, TABLE)
        const polls = new Polls(db, options)
        const late = await db.connect()
        await late.query("BEGIN; INSERT INTO t VALUES (5, 'late')")
        await db.query("INSERT INTO t VALUES (6, 'early')")
        expect(ids(await polls.next())).toEqual([6])
        expect(ids(await polls.next())).toEqual([])
        await db.query("INSERT INTO t VALUES (7, 'more')")
        expect(ids(await polls.next())).toEqual([7])
        await late.query('COMMIT')
        expect(ids(await polls.next())).toEqual([5])
        expect(ids(await polls.next())).toEqual([])
      })

      test.concurrent('rows of savepoints come once, whether released or not when they were not visible yet', async () => {
        await using db = await testDatabase(postgres.server, TABLE)
        const polls = new Polls(db, options)
        const late = await db.connect()
        await late.query(`
        BEGIN; INSERT INTO t VALUES (1, 'top');
        SAVEPOINT a; INSERT INTO t VALUES (2, 'released'); RELEASE a;
        SAVEPOINT b; INSERT INTO t VALUES (3, 'rolled back'); ROLLBACK TO b;
        SAVEPOINT c; INSERT INTO t VALUES (4, 'open')`)
        // So that their xids lie below the snapshot's xmax, where running subtransactions are not listed.
        for (let id = 10; id < 15; id++) await db.query(`INSERT INTO t VALUES (${id})`)
        expect(ids(await polls.next())).toEqual([10, 11, 12, 13, 14])
        await late.query("INSERT INTO t VALUES (5, 'in c')")
        await db.query('INSERT INTO t VALUES (15)')
        expect(ids(await polls.next())).toEqual([15])
        await late.query('COMMIT')
        expect(ids(await polls.next())).toEqual([1, 2, 4, 5])
        expect(ids(await polls.next())).toEqual([])
      })

      test.concurrent('rows of a committed savepoint seen beside an older open transaction do not come again', async () => {
        await using db = await testDatabase(postgres.server, `${TABLE}; CREATE TABLE other (id int)`)
        const polls = new Polls(db, options)
        const old = await db.connect()
        await old.query('BEGIN; INSERT INTO other VALUES (1)')
        await db.query('BEGIN; SAVEPOINT a; INSERT INTO t VALUES (1); RELEASE a; INSERT INTO t VALUES (2); COMMIT')
        expect(ids(await polls.next())).toEqual([1, 2])
        expect(polls.stateOf('public.t').parts).toEqual([
          { seen: expect.stringMatching(/^\d+\+[0-9a-z]+\.[0-9a-z]+$/) },
        ])
        expect(ids(await polls.next())).toEqual([])
        await old.query('INSERT INTO t VALUES (3); COMMIT')
        expect(ids(await polls.next())).toEqual([3])
        await db.query('INSERT INTO t VALUES (4)')
        expect(ids(await polls.next())).toEqual([4])
      })

      test.concurrent('a prepared transaction is waited for, also one that had written nothing at the poll', async () => {
        await using db = await testDatabase(postgres.server, TABLE)
        const polls = new Polls(db, options)
        const [first, second] = [await db.connect(), await db.connect()]
        await first.query(`BEGIN; INSERT INTO t VALUES (1); PREPARE TRANSACTION '${db.name}_1'`)
        await second.query('BEGIN; SELECT 1')
        await db.query('INSERT INTO t VALUES (10)')
        expect(ids(await polls.next())).toEqual([10])
        await second.query(`INSERT INTO t VALUES (2); PREPARE TRANSACTION '${db.name}_2'`)
        expect(ids(await polls.next())).toEqual([])
        await db.query('INSERT INTO t VALUES (11)')
        expect(ids(await polls.next())).toEqual([11])
        await db.query(`COMMIT PREPARED '${db.name}_1'`)
        expect(ids(await polls.next())).toEqual([1])
        expect(ids(await polls.next())).toEqual([])
        await db.query(`COMMIT PREPARED '${db.name}_2'`)
        expect(ids(await polls.next())).toEqual([2])
      })

      test.concurrent('frozen rows stay seen', async () => {
        await using db = await testDatabase(postgres.server, `${TABLE}; INSERT INTO t VALUES (1), (2)`)
        const polls = new Polls(db, options)
        expect(ids(await polls.next())).toEqual([1, 2])
        await db.query('INSERT INTO t VALUES (3)')
        await db.query('VACUUM (FREEZE) t')
        expect(ids(await polls.next())).toEqual([3])
        await db.query('VACUUM FULL t')
        expect(ids(await polls.next())).toEqual([])
      })
    })

    describe('by updated_at', () => {
      const ORDERS = `
      CREATE TABLE t (id int PRIMARY KEY, v int, updated_at timestamptz DEFAULT now());
      CREATE INDEX ON t (updated_at)`
      const options = { cursors: { t: 'updated_at' } }

      test.concurrent('a transaction that took its now() before the poll, and wrote after it, is not stepped over', async () => {
        await using db = await testDatabase(postgres.server, `${ORDERS}; INSERT INTO t VALUES (1, 0), (2, 0)`)
        const polls = new Polls(db, options)
        const late = await db.connect()
        await late.query('BEGIN; SELECT now()')
        await db.query('INSERT INTO t VALUES (3, 0)')
        expect(ids(await polls.next())).toEqual([1, 2, 3])
        // Enough polls for the floor to move, if nothing held it.
        for (let id = 4; id < 8; id++) {
          await db.query(`INSERT INTO t VALUES (${id}, 0)`)
          expect(ids(await polls.next())).toEqual([id])
        }
        await late.query('UPDATE t SET v = 1, updated_at = now() WHERE id = 1; COMMIT')
        expect(ids(await polls.next())).toEqual([1])
        expect(ids(await polls.next())).toEqual([])
      })

      test.concurrent('the floor moves once nobody can write below it, and is what is read from', async () => {
        await using db = await testDatabase(postgres.server, ORDERS)
        const polls = new Polls(db, options)
        for (let id = 1; id <= 4; id++) {
          await db.query(`INSERT INTO t VALUES (${id}, 0)`)
          expect(ids(await polls.next())).toEqual([id])
        }
        const [row] = await db.query<{ at: string }>(
          "SELECT (updated_at AT TIME ZONE 'UTC')::text AS at FROM t WHERE id = 3",
        )
        expect(polls.stateOf('public.t').floor).toBe(`${row!.at}+00`)
        // Far below it nothing is looked at: the promise of a cursor column, broken here to see that.
        await db.query("INSERT INTO t VALUES (5, 0, '2020-01-01')")
        expect(ids(await polls.next())).toEqual([])
      })

      test.concurrent('equal values, NULLs and values dated into the future come once each, and hide nothing', async () => {
        await using db = await testDatabase(
          postgres.server,
          `${ORDERS}; INSERT INTO t SELECT i, 0, NULL FROM generate_series(1, 900) i`,
        )
        const polls = new Polls(db, { ...options, maxBytes: 65536 })
        expect(ids(await polls.next())).toHaveLength(900)
        await db.query("INSERT INTO t VALUES (2000, 0, '2999-01-01'), (2001, 0, 'infinity')")
        expect(ids(await polls.next())).toEqual([2000, 2001])
        for (let round = 1; round <= 4; round++) {
          await db.query(
            `INSERT INTO t SELECT i, 0, now() FROM generate_series(${round}000, ${round}000 - 900, -1) i ON CONFLICT DO NOTHING`,
          )
          await db.query(`INSERT INTO t VALUES (-${round}, 0, NULL)`)
          await polls.next()
          await db.query(`UPDATE t SET v = ${round}, updated_at = now() WHERE id IN (1, 2000)`)
          expect(ids(await polls.next())).toEqual([1, 2000])
        }
        const [count] = await db.query<{ n: number }>('SELECT count(*)::int AS n FROM t')
        expect(new Set(ids(polls.records)).size).toBe(count!.n)
        expect(polls.records).toHaveLength(count!.n + 8)
      })

      test.concurrent('a cursor as coarse as a day sees the rows of the same day that come later', async () => {
        await using db = await testDatabase(
          postgres.server,
          'CREATE TABLE t (id int PRIMARY KEY, day date DEFAULT current_date)',
        )
        const polls = new Polls(db, { cursors: { t: 'day' } })
        for (let id = 5; id > 0; id--) {
          await db.query(`INSERT INTO t VALUES (${id})`)
          expect(ids(await polls.next())).toEqual([id])
        }
      })
    })
  },
  { settings: { max_prepared_transactions: '20' } },
)
