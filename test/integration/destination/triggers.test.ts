import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { EmbeddedPostgres } from '../../../src/cli/embedded/server.js'
import type { TestDatabase } from '../../support/database.js'
import { urlAs } from '../../support/openSession.js'
import { failureOf, Replication, rowsOf } from '../../support/replication.js'
import { DEFAULT_MAJOR, startServer } from '../../support/servers.js'

let server: EmbeddedPostgres
beforeAll(async () => {
  server = await startServer()
})
afterAll(() => server?.[Symbol.asyncDispose]())

const between = (tables: string, sql: string, targetSql = sql) =>
  Replication.between(server, server, tables, sql, targetSql)

const TABLES = `
  CREATE TABLE parent (id int PRIMARY KEY, n int);
  CREATE TABLE child (id int PRIMARY KEY, parent int REFERENCES parent ON DELETE CASCADE ON UPDATE CASCADE, n int)`
/** Each row that a trigger sees is counted, and changed. */
const TRIGGERS = `
  CREATE TABLE seen (what text);
  CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN INSERT INTO public.seen VALUES (tg_op || ' ' || tg_table_name); new.n = -1; RETURN new; END $$;
  CREATE TRIGGER see BEFORE INSERT OR UPDATE ON parent FOR EACH ROW EXECUTE FUNCTION see()`

async function ordinaryRole(db: TestDatabase, name: string): Promise<string> {
  await db.query(`
    DO $$ BEGIN CREATE ROLE ${name} LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$;
    GRANT CREATE, TEMPORARY ON DATABASE ${db.name} TO ${name}; GRANT USAGE ON SCHEMA public TO ${name};
    GRANT ALL ON ALL TABLES IN SCHEMA public TO ${name}`)
  return urlAs(db.url, name)
}

describe('triggers and foreign keys of the target', () => {
  test.concurrent('a role that may be a replica: neither triggers nor foreign keys, in whatever order rows come', async () => {
    await using pair = await between('child,parent', TABLES, `${TABLES}; ${TRIGGERS}`)
    await pair.from.query(
      'INSERT INTO parent SELECT i, i FROM generate_series(1, 9) i; INSERT INTO child SELECT i, i, i FROM generate_series(1, 9) i',
    )
    await pair.expectSame('child parent')
    await pair.from.query(`
      UPDATE parent SET n = 0 WHERE id = 1; UPDATE parent SET id = 30 WHERE id = 3; DELETE FROM parent WHERE id = 4;
      BEGIN; INSERT INTO parent VALUES (50, 1); INSERT INTO child VALUES (50, 50, 1); UPDATE child SET parent = NULL WHERE id = 5; COMMIT;
      UPDATE parent SET id = id + 100`)
    await pair.expectSame('child parent')
    expect(await rowsOf(pair.to, 'seen')).toEqual([])
    // What the target deletes by itself would show here.
    await pair.to.query('INSERT INTO child VALUES (999, 101, 0)')
    await pair.from.query('DELETE FROM parent WHERE id = 101')
    await pair.run()
    expect(await rowsOf(pair.to, 'child')).toContain('(999,101,0)')
  })

  test.concurrent('a trigger that is to fire ALWAYS does', async () => {
    await using pair = await between(
      'parent',
      TABLES,
      `${TABLES}; ${TRIGGERS}; ALTER TABLE parent ENABLE ALWAYS TRIGGER see`,
    )
    await pair.from.query('INSERT INTO parent VALUES (1, 1)')
    await pair.run()
    await pair.from.query('UPDATE parent SET n = 2')
    await pair.run()
    expect(await rowsOf(pair.to, 'parent')).toEqual(['(1,-1)'])
    // What comes as INSERT … ON CONFLICT is both.
    expect(await rowsOf(pair.to, 'seen')).toEqual(['("INSERT parent")', '("INSERT parent")', '("UPDATE parent")'])
  })

  test.concurrent('a role that may not: both, and a batch comes in an order that they allow', async () => {
    await using pair = await between('child,parent', TABLES, `${TABLES}; ${TRIGGERS}`)
    const url = await ordinaryRole(pair.to, 'plain_writer')
    const options = { destination: { url } }
    await pair.run(options)
    await pair.from.query(`
      BEGIN; INSERT INTO parent VALUES (1, 1), (2, 2); INSERT INTO child VALUES (1, 1, 1), (2, 2, 2); COMMIT;
      BEGIN; UPDATE child SET parent = 2 WHERE id = 1; DELETE FROM parent WHERE id = 1; COMMIT`)
    await pair.run(options)
    expect(await rowsOf(pair.to, 'parent')).toEqual(['(2,-1)'])
    expect(await rowsOf(pair.to, 'child')).toEqual(await rowsOf(pair.from, 'child'))
    expect((await rowsOf(pair.to, 'seen')).length).toBeGreaterThan(0)
    // One that nobody knows at the target.
    await pair.to.query('DELETE FROM child; DELETE FROM parent')
    await pair.from.query('INSERT INTO child VALUES (3, 2, 3)')
    expect(await failureOf(pair.run(options))).toMatchObject({
      ...{ code: 'ROW_REJECTED', details: { key: 'id=3', sqlstate: '23503', constraint: 'child_parent_fkey' } },
    })
    await pair.to.query('INSERT INTO parent VALUES (2, 2)')
    await pair.run(options)
    expect(await rowsOf(pair.to, 'child')).toEqual(['(3,2,3)'])
    await pair.to.query('DROP OWNED BY plain_writer')
  })

  test.runIf(DEFAULT_MAJOR >= 15)('a role that was granted the parameter may', async () => {
    await using pair = await between('parent', TABLES, `${TABLES}; ${TRIGGERS}`)
    const url = await ordinaryRole(pair.to, 'granted_writer')
    await pair.to.query('GRANT SET ON PARAMETER session_replication_role TO granted_writer')
    await pair.from.query('INSERT INTO parent VALUES (1, 1)')
    await pair.run({ destination: { url, replicationRole: 'replica' } })
    expect(await rowsOf(pair.to, 'parent')).toEqual(['(1,1)'])
    expect(await rowsOf(pair.to, 'seen')).toEqual([])
    await pair.to.query(
      'REVOKE SET ON PARAMETER session_replication_role FROM granted_writer; DROP OWNED BY granted_writer',
    )
  })
})
