import { describe, expect, test } from 'vitest'
import { failureOf, Replication, rowsOf } from '../../support/replication.js'
import { majors, startServer } from '../../support/servers.js'

// The newest publishes stored generated columns, the others none.
describe.each([...new Set([Math.min(...majors), Math.max(...majors)])])(
  'columns of special kinds, PostgreSQL %s',
  (major) => {
    const withServer = async (
      run: (between: (tables: string, sql: string, targetSql?: string) => Promise<Replication>) => Promise<void>,
    ) => {
      await using server = await startServer({ major })
      await run((tables, sql, targetSql = sql) => Replication.between(server, server, tables, sql, targetSql))
    }

    test('generated columns: of both sides, of one, with other expressions', async () => {
      await withServer(async (between) => {
        const twice = 'GENERATED ALWAYS AS (n * 2) STORED'
        await using pair = await between(
          'two,target,made',
          `CREATE TABLE two (id int PRIMARY KEY, n int, g int ${twice}, h int ${twice});
         CREATE TABLE target (id int PRIMARY KEY, n int, g int); CREATE TABLE made (id int PRIMARY KEY, n int, g int ${twice})`,
          `CREATE TABLE two (h int GENERATED ALWAYS AS (n * 3) STORED, g int ${twice}, id int PRIMARY KEY, n int);
         CREATE TABLE target (id int PRIMARY KEY, n int, g int ${twice})`,
        )
        const options = { destination: { autoCreate: true } }
        for (const table of ['two', 'target', 'made']) {
          await pair.from.query(`INSERT INTO ${table} (id, n) SELECT i, i FROM generate_series(1, 600) i`)
        }
        await pair.run(options)
        for (const table of ['two', 'target', 'made']) {
          await pair.from.query(
            `UPDATE ${table} SET n = -n WHERE id < 9; UPDATE ${table} SET id = -id WHERE id = 9; DELETE FROM ${table} WHERE id = 10; INSERT INTO ${table} (id, n) VALUES (1000, 5)`,
          )
        }
        await pair.run(options)
        expect(await rowsOf(pair.to, '(SELECT id, n, g FROM two)')).toEqual(
          await rowsOf(pair.from, '(SELECT id, n, g FROM two)'),
        )
        expect(await rowsOf(pair.to, '(SELECT id, n, h FROM two)')).toEqual(
          await rowsOf(pair.from, '(SELECT id, n, n * 3 FROM two)'),
        )
        expect(await rowsOf(pair.to, 'target')).toEqual(await rowsOf(pair.from, '(SELECT id, n, n * 2 FROM target)'))
        // A plain column where it is sent, none where it is not.
        const copy = major >= 18 ? 'made' : '(SELECT id, n FROM made)'
        expect(await rowsOf(pair.to, 'made')).toEqual(await rowsOf(pair.from, copy))
      })
    })

    test('identity columns GENERATED ALWAYS, as key and beside it, in every mode', async () => {
      await withServer(async (between) => {
        const sql = (more: string) => `
        CREATE TABLE t (id int GENERATED ALWAYS AS IDENTITY, code text PRIMARY KEY, big text${more}); ALTER TABLE t ALTER big SET STORAGE EXTERNAL;
        CREATE TABLE k (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, n int${more})`
        for (const [settings, more] of [
          [{}, ''],
          [{ delete: 'soft' }, ', _deleted_at timestamptz'],
        ] as const) {
          await using pair = await between('t,k', sql(''), sql(more))
          const options = { destination: settings }
          await pair.from.query(`
          INSERT INTO t (code, big) SELECT 'c' || i, repeat('x', 3000) FROM generate_series(1, 20) i;
          INSERT INTO k (n) SELECT i FROM generate_series(1, 600) i`)
          await pair.run(options)
          await pair.from.query(`
          UPDATE t SET id = DEFAULT WHERE code = 'c3'; UPDATE t SET code = 'moved' WHERE code = 'c4'; DELETE FROM t WHERE code = 'c5';
          BEGIN; DELETE FROM t WHERE code = 'c6'; INSERT INTO t (code) VALUES ('c6'); COMMIT;
          UPDATE k SET n = 0 WHERE id < 5; UPDATE k SET id = DEFAULT WHERE id = 7; DELETE FROM k WHERE id = 8`)
          await pair.run(options)
          const live = more === '' ? '' : ' WHERE _deleted_at IS NULL'
          expect(await rowsOf(pair.to, `(SELECT id, code, big FROM t${live})`)).toEqual(await rowsOf(pair.from, 't'))
          expect(await rowsOf(pair.to, `(SELECT id, n FROM k${live})`)).toEqual(await rowsOf(pair.from, 'k'))
        }
        await using pair = await between('k', sql(''), '')
        await pair.from.query('INSERT INTO k (n) VALUES (1); UPDATE k SET n = 2')
        await pair.run({ destination: { mode: 'history', autoCreate: true } })
        await pair.from.query('DELETE FROM k')
        await pair.run({ destination: { mode: 'history', autoCreate: true } })
        expect(await rowsOf(pair.to, '(SELECT id, n, _operation FROM k)')).toEqual(['(1,,delete)', '(1,2,snapshot)'])
      })
    })

    test('domains, composites, enums and types of extensions as keys; a domain that the target has narrower', async () => {
      await withServer(async (between) => {
        const sql = (limit: number) => `
        CREATE EXTENSION citext; CREATE EXTENSION hstore; CREATE EXTENSION ltree;
        CREATE TYPE level AS ENUM ('low', 'high'); CREATE TYPE spot AS (x int, y text); CREATE DOMAIN grade AS int CHECK (VALUE < ${limit});
        CREATE TABLE t (g grade, l level, s spot, w citext, path ltree, h hstore, gs grade[], big text, PRIMARY KEY (g, l, s, w, path));
        ALTER TABLE t ALTER big SET STORAGE EXTERNAL`
        await using pair = await between('t', sql(1000), sql(100))
        await pair.from.query(`
        INSERT INTO t SELECT i, 'low', (i, E'a,"\\\\b')::spot, 'Word', 'a.b', 'k=>"v,1"', ARRAY[1, NULL]::grade[], repeat('x', 3000) FROM generate_series(1, 40) i`)
        await pair.expectSame('t')
        await pair.from.query(`
        UPDATE t SET h = h || 'm=>NULL' WHERE g < 5; UPDATE t SET w = 'WORD' WHERE g = 6; UPDATE t SET s = ROW(0, NULL)::spot WHERE g = 7;
        UPDATE t SET l = 'high', path = 'c' WHERE g = 8; DELETE FROM t WHERE g = 9`)
        await pair.expectSame('t')
        await pair.from.query("INSERT INTO t VALUES (500, 'low', (1, 'x')::spot, 'w', 'a')")
        expect(await failureOf(pair.run())).toMatchObject({
          code: 'ROW_REJECTED',
          details: { sqlstate: '23514', constraint: 'grade_check' },
        })
        await pair.to.query('ALTER DOMAIN grade DROP CONSTRAINT grade_check')
        await pair.expectSame('t')
      })
    })
  },
)
