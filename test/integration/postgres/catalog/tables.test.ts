import { describe, expect, test } from 'vitest'
import { readingObstacle } from '../../../../src/postgres/catalog/readability.js'
import {
  type CatalogTable,
  describeTables,
  findTables,
  measureTables,
} from '../../../../src/postgres/catalog/tables.js'
import { quoteIdentifier, quoteLiteral } from '../../../../src/postgres/identifier.js'
import type { Queryable } from '../../../../src/postgres/queryable.js'
import { RESERVED_WORDS } from '../../../../src/postgres/reservedWords.js'
import { parseTablePatterns } from '../../../../src/postgres/tablePattern.js'
import { type TestDatabase, testDatabase } from '../../../support/database.js'
import { CountingQueryable, openSession, urlAs } from '../../../support/openSession.js'
import { DEFAULT_MAJOR } from '../../../support/servers.js'
import { describeEachMajor } from '../../../support/versions.js'

const find = (queryable: Queryable, include: string, exclude = '') =>
  findTables(queryable, parseTablePatterns(include), exclude === '' ? [] : parseTablePatterns(exclude))

const names = (tables: readonly CatalogTable[]) => tables.map(({ schema, name }) => `${schema}/${name}`)
const byName = (tables: readonly CatalogTable[]) => new Map(tables.map((table) => [table.name, table]))

/** A role of its own for the test; roles are shared by the server's databases. */
async function makeRole(db: TestDatabase, options = ''): Promise<string> {
  const role = `${db.name}_Reader`
  await db.query(`CREATE ROLE "${role}" LOGIN ${options}`)
  return role
}

async function dropRole(db: TestDatabase, role: string): Promise<void> {
  await db.query(`DROP OWNED BY "${role}"; DROP ROLE "${role}"`)
}

describeEachMajor('the catalog', (postgres) => {
  test('tables are found whatever their names are', async () => {
    const odd = [
      'Orders',
      'a.b',
      'a,b',
      'say "hi"',
      "it's",
      '2024_orders',
      'select',
      'größe',
      '日本語',
      '😀',
      ' x ',
      '*',
      'a:b',
      'b\\c',
    ]
    await using db = await testDatabase(
      postgres.server,
      `CREATE SCHEMA "Odd.Schema";
       ${odd.map((name) => `CREATE TABLE "Odd.Schema"."${name.replaceAll('"', '""')}" (id int)`).join(';')}`,
    )
    await using session = await openSession(db.url)
    const quoted = odd.map((name) => `"Odd.Schema"."${name.replaceAll('"', '""')}"`)
    expect(names(await find(session, quoted.join(','))).sort()).toEqual(odd.map((name) => `Odd.Schema/${name}`).sort())
    expect(await find(session, '"Odd.Schema".*')).toHaveLength(odd.length)
    for (const name of odd) expect(await find(session, `"Odd.Schema"."${name.replaceAll('"', '""')}"`)).toHaveLength(1)
  })

  test('our quoting is the server’s own', async () => {
    await using db = await testDatabase(postgres.server)
    const odd = ['plain', 'Capital', 'a b', 'a"b', 'a$', '_', '1a', 'é', 'a.b', ...RESERVED_WORDS]
    const rows = await db.query<{ name: string; quoted: string }>(
      'SELECT name, quote_ident(name) AS quoted FROM unnest($1::text[]) AS name',
      [[...odd, ...(await keyWords(db))]],
    )
    for (const { name, quoted } of rows) {
      // what is reserved on another major is quoted here too
      expect([quoted, `"${name}"`]).toContain(quoteIdentifier(name))
      if (quoted !== name) expect(quoteIdentifier(name)).toBe(quoted)
    }
    for (const text of ["it's", 'back\\slash', "\\'"]) {
      for (const conforming of ['on', 'off']) {
        await db.query(`SET standard_conforming_strings = ${conforming}; SET escape_string_warning = off`)
        expect(await db.query(`SELECT ${quoteLiteral(text)} AS text`)).toEqual([{ text }])
      }
    }
  })

  test('columns: domains, types of other schemas, typmods, generated and dropped ones', async () => {
    await using db = await testDatabase(
      postgres.server,
      `CREATE SCHEMA inventory;
       CREATE TYPE inventory.status AS ENUM ('new', 'sold');
       CREATE DOMAIN inventory.sku AS varchar(20) NOT NULL CHECK (VALUE <> '');
       CREATE TABLE items (
         id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
         gone text,
         price numeric(10,2) NOT NULL,
         "SKU" inventory.sku,
         states inventory.status[],
         total numeric GENERATED ALWAYS AS (price * 2) STORED
         ${postgres.major >= 18 ? ', half numeric GENERATED ALWAYS AS (price / 2) VIRTUAL' : ''});
       ALTER TABLE items DROP COLUMN gone`,
    )
    await using session = await openSession(db.url)
    const [items] = await find(session, 'items')
    const shape = items!.columns.map((column) => [
      column.number,
      column.name,
      column.typeName,
      column.typmod,
      column.notNull,
      column.generated,
    ])
    expect(shape).toEqual([
      [1, 'id', 'bigint', -1, true, undefined],
      [3, 'price', 'numeric(10,2)', 655366, true, undefined],
      [4, 'SKU', 'inventory.sku', -1, false, undefined],
      [5, 'states', 'inventory.status[]', -1, false, undefined],
      [6, 'total', 'numeric', -1, false, 'stored'],
      ...(postgres.major >= 18 ? [[7, 'half', 'numeric', -1, false, 'virtual']] : []),
    ])
    const [sku] = await db.query<{ oid: number }>(`SELECT 'inventory.sku'::regtype::oid AS oid`)
    expect(items!.columns[2]!.typeOid).toBe(sku!.oid)
    expect(items).toMatchObject({ kind: 'ordinary', owner: 'postgres', estimatedRows: undefined, rowSecurity: false })
    expect(items).toMatchObject({ schemaUsable: true, readable: true, hasChildren: false, ancestors: [] })
  })

  test('keys: which unique indexes can serve, and what is deferrable', async () => {
    await using db = await testDatabase(
      postgres.server,
      `CREATE TABLE t (a int NOT NULL, b int NOT NULL, c int, d int NOT NULL, PRIMARY KEY (b, a));
       CREATE UNIQUE INDEX good ON t (d, a);
       CREATE UNIQUE INDEX with_include ON t (d) INCLUDE (c);
       CREATE UNIQUE INDEX nullable ON t (c);
       CREATE UNIQUE INDEX partial ON t (a) WHERE a > 0;
       CREATE UNIQUE INDEX expression ON t ((a + 1));
       CREATE INDEX not_unique ON t (a);
       ALTER TABLE t ADD CONSTRAINT may_wait UNIQUE (a) DEFERRABLE;
       CREATE UNIQUE INDEX invalid ON t (a, b, d);
       UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'invalid'::regclass;
       CREATE TABLE later (id int, PRIMARY KEY (id) DEFERRABLE INITIALLY DEFERRED)`,
    )
    await using session = await openSession(db.url)
    const tables = byName(await find(session, '*'))
    expect(tables.get('t')).toMatchObject({
      primaryKey: { name: 't_pkey', columns: ['b', 'a'], deferrable: false },
      identityColumns: ['b', 'a'],
      uniqueKeys: [
        { name: 'good', columns: ['d', 'a'] },
        { name: 'with_include', columns: ['d'] },
      ],
    })
    expect(tables.get('later')).toMatchObject({
      primaryKey: { columns: ['id'], deferrable: true },
      identityColumns: undefined,
      uniqueKeys: [],
    })
  })

  test.runIf(postgres.major >= 18)('a NOT NULL that was not validated does not hold', async () => {
    await using db = await testDatabase(
      postgres.server,
      `CREATE TABLE t (a int UNIQUE, b int UNIQUE);
       INSERT INTO t VALUES (NULL, 1);
       ALTER TABLE t ADD CONSTRAINT hope NOT NULL a NOT VALID;
       ALTER TABLE t ADD CONSTRAINT fact NOT NULL b`,
    )
    await using session = await openSession(db.url)
    const [t] = await find(session, 't')
    expect(t!.columns.map(({ notNull }) => notNull)).toEqual([false, true])
    expect(t!.uniqueKeys.map(({ columns }) => columns)).toEqual([['b']])
  })

  test('the replica identity is what pg_get_replica_identity_index says', async () => {
    await using db = await testDatabase(
      postgres.server,
      `CREATE TABLE pk (id int PRIMARY KEY);
       CREATE TABLE bare (id int);
       CREATE TABLE may_wait (id int PRIMARY KEY DEFERRABLE);
       CREATE TABLE nothing (id int PRIMARY KEY); ALTER TABLE nothing REPLICA IDENTITY NOTHING;
       CREATE TABLE whole (id int PRIMARY KEY); ALTER TABLE whole REPLICA IDENTITY FULL;
       CREATE TABLE by_index (id int PRIMARY KEY, a int NOT NULL, b int NOT NULL);
       CREATE UNIQUE INDEX by_index_b_a ON by_index (b, a);
       ALTER TABLE by_index REPLICA IDENTITY USING INDEX by_index_b_a;
       CREATE TABLE index_dropped (id int PRIMARY KEY, a int NOT NULL);
       CREATE UNIQUE INDEX index_dropped_a ON index_dropped (a);
       ALTER TABLE index_dropped REPLICA IDENTITY USING INDEX index_dropped_a;
       DROP INDEX index_dropped_a;
       CREATE TABLE root (id int PRIMARY KEY) PARTITION BY RANGE (id);
       CREATE TABLE root_by_index (id int NOT NULL UNIQUE) PARTITION BY RANGE (id);
       ALTER TABLE root_by_index REPLICA IDENTITY USING INDEX root_by_index_id_key`,
    )
    await using session = await openSession(db.url)
    const said = await db.query<{ name: string; identity: string; columns: string[] | null }>(
      `SELECT c.relname AS name, c.relreplident AS identity,
              (SELECT array_agg(a.attname::text ORDER BY a.attnum) FROM pg_attribute a
                WHERE a.attrelid = pg_get_replica_identity_index(c.oid)) AS columns
         FROM pg_class c WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') ORDER BY 1`,
    )
    const found = await find(session, '*')
    expect(
      found.map(({ name, replicaIdentity, identityColumns }) => [name, replicaIdentity[0], identityColumns]),
    ).toEqual(said.map(({ name, identity, columns }) => [name, identity, columns ?? undefined]))
    expect(said.map(({ columns }) => columns).filter((columns) => columns !== null)).toHaveLength(4)
  })

  describe('partitions', () => {
    const TREE = `
      CREATE SCHEMA archive;
      CREATE FOREIGN DATA WRAPPER nowhere; CREATE SERVER elsewhere FOREIGN DATA WRAPPER nowhere;
      CREATE TABLE metrics (at date, id int NOT NULL, PRIMARY KEY (at, id)) PARTITION BY RANGE (at);
      CREATE TABLE metrics_2026 PARTITION OF metrics FOR VALUES FROM ('2026-01-01') TO ('2027-01-01') PARTITION BY LIST (id);
      CREATE TABLE metrics_2026_one PARTITION OF metrics_2026 FOR VALUES IN (1);
      CREATE TABLE metrics_2026_two (id int NOT NULL, at date NOT NULL);
      ALTER TABLE metrics_2026 ATTACH PARTITION metrics_2026_two FOR VALUES IN (2);
      ALTER TABLE metrics_2026_two REPLICA IDENTITY FULL;
      CREATE TABLE archive."metrics 2025" PARTITION OF metrics FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
      CREATE TABLE logs (id int) PARTITION BY LIST (id);
      CREATE FOREIGN TABLE logs_far PARTITION OF logs FOR VALUES IN (1) SERVER elsewhere;
      CREATE UNLOGGED TABLE logs_fast PARTITION OF logs FOR VALUES IN (2);
      CREATE TABLE logs_kept PARTITION OF logs FOR VALUES IN (3)`

    test('a tree of three levels is its root with the leaves, each with its own facts', async () => {
      await using db = await testDatabase(
        postgres.server,
        `${TREE}; INSERT INTO metrics VALUES ('2026-02-02', 1), ('2025-02-02', 1); ANALYZE metrics`,
      )
      await using session = await openSession(db.url)
      const tables = byName(await find(session, '*.*'))
      expect([...tables.keys()].sort()).toEqual(['logs', 'metrics'])
      expect(tables.get('metrics')).toMatchObject({
        kind: 'partitioned',
        estimatedRows: 2,
        pages: 2,
        ancestors: [],
        primaryKey: { columns: ['at', 'id'], deferrable: false },
        partitions: [
          {
            schema: 'archive',
            name: 'metrics 2025',
            replicaIdentity: 'default',
            identityColumns: ['at', 'id'],
            pages: 1,
          },
          { schema: 'public', name: 'metrics_2026_one', replicaIdentity: 'default', identityColumns: ['at', 'id'] },
          { schema: 'public', name: 'metrics_2026_two', replicaIdentity: 'full', identityColumns: undefined },
        ],
      })
      expect(tables.get('logs')!.partitions.map(({ name, kind, persistence }) => [name, kind, persistence])).toEqual([
        ['logs_far', 'foreign table', 'permanent'],
        ['logs_fast', 'ordinary', 'unlogged'],
        ['logs_kept', 'ordinary', 'permanent'],
      ])
    })

    test('one named by itself knows what stands above', async () => {
      await using db = await testDatabase(postgres.server, TREE)
      await using session = await openSession(db.url)
      const [leaf, middle] = await find(session, 'metrics_2026_one,archive."metrics 2025"').then((found) =>
        found.reverse(),
      )
      expect(leaf).toMatchObject({ kind: 'ordinary', identityColumns: ['at', 'id'], partitions: [] })
      expect(leaf!.ancestors.map(({ name }) => name)).toEqual(['metrics_2026', 'metrics'])
      expect(middle!.ancestors.map(({ name }) => name)).toEqual(['metrics'])
      const [root] = await find(session, 'metrics_2026')
      expect(root).toMatchObject({ kind: 'partitioned', ancestors: [{ schema: 'public', name: 'metrics' }] })
      expect(root!.partitions).toHaveLength(2)
    })

    test('one that is being detached is no longer among them', async () => {
      await using db = await testDatabase(postgres.server, TREE)
      await using session = await openSession(db.url)
      const reader = await db.connect()
      await reader.query('BEGIN; SELECT * FROM metrics') // the second half of the detachment waits for it
      const other = await db.connect()
      const detached = other.query('ALTER TABLE metrics DETACH PARTITION archive."metrics 2025" CONCURRENTLY')
      await expect
        .poll(async () => (await find(session, 'metrics'))[0]!.partitions.map(({ name }) => name))
        .toEqual(['metrics_2026_one', 'metrics_2026_two'])
      await reader.query('COMMIT')
      await detached
      expect(names(await find(session, 'archive.*'))).toEqual(['archive/metrics 2025'])
    })
  })

  test('views, foreign, unlogged and temporary tables are passed over', async () => {
    await using db = await testDatabase(
      postgres.server,
      `CREATE TABLE kept (id int); CREATE VIEW v AS SELECT 1; CREATE MATERIALIZED VIEW m AS SELECT 1;
       CREATE UNLOGGED TABLE u (id int); CREATE TEMP TABLE temporary (id int);
       CREATE SEQUENCE s; CREATE TYPE composite AS (a int)`,
    )
    await using session = await openSession(db.url)
    expect(names(await find(session, '*.*'))).toEqual(['public/kept'])
    await expect(find(session, 'u')).rejects.toMatchObject({ code: 'TABLE_NOT_CAPTURABLE' })
    await expect(find(session, 'v')).rejects.toMatchObject({ code: 'TABLE_NOT_CAPTURABLE' })
    await expect(find(session, 'temporary')).rejects.toMatchObject({ code: 'TABLE_NOT_FOUND' })
    await expect(find(session, 's')).rejects.toMatchObject({ code: 'TABLE_NOT_FOUND' })
  })

  test('children by plain inheritance are tables of their own, and their parent says that it has some', async () => {
    await using db = await testDatabase(
      postgres.server,
      'CREATE TABLE parent (id int PRIMARY KEY); CREATE TABLE child (extra text) INHERITS (parent); CREATE TABLE former () INHERITS (child); DROP TABLE former',
    )
    await using session = await openSession(db.url)
    const found = await find(session, '*')
    expect(found.map(({ name, hasChildren }) => [name, hasChildren])).toEqual([
      ['child', false],
      ['parent', true],
    ])
  })

  test('what the role may not read, or reads in part, is told with the SQL that mends it', async () => {
    await using db = await testDatabase(
      postgres.server,
      `CREATE SCHEMA hidden;
       CREATE TABLE hidden.one (id int); CREATE TABLE two (id int, secret text);
       CREATE TABLE free (id int);
       CREATE TABLE guarded (id int); ALTER TABLE guarded ENABLE ROW LEVEL SECURITY;
       CREATE TABLE forced (id int); ALTER TABLE forced ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY`,
    )
    const role = await makeRole(db)
    await db.query(
      `GRANT SELECT ON hidden.one, free, guarded, forced TO "${role}"; GRANT SELECT (id) ON two TO "${role}"`,
    )
    {
      await using session = await openSession(urlAs(db.url, role))
      const found = await find(session, '*.*')
      const tables = byName(found)
      expect(tables.get('one')).toMatchObject({ schemaUsable: false, readable: true })
      expect(tables.get('two')).toMatchObject({ schemaUsable: true, readable: false })
      expect(tables.get('two')!.columns.map(({ readable }) => readable)).toEqual([true, false])
      expect(found.filter(({ rowSecurity }) => rowSecurity).map(({ name }) => name)).toEqual(['forced', 'guarded'])
      const denied = readingObstacle(found, role)
      expect(denied).toMatchObject({ code: 'TABLE_NOT_READABLE' })
      await db.query(String(denied!.details.sql))
      const hidden = readingObstacle(await find(session, '*.*'), role)
      expect(hidden).toMatchObject({
        code: 'ROW_SECURITY_ACTIVE',
        details: { tables: ['public.forced', 'public.guarded'] },
      })
      await db.query(String(hidden!.details.sql))
      expect(readingObstacle(await find(session, '*.*'), role)).toBeUndefined()
      for (const name of ['hidden.one', 'public.two', 'public.guarded', 'public.forced']) {
        await session.query(`SET row_security = off; LOCK TABLE ${name} IN ACCESS SHARE MODE; SELECT * FROM ${name}`)
      }
    }
    await dropRole(db, role)
  })

  test('the facts are read without waiting for a migration’s lock', async () => {
    await using db = await testDatabase(postgres.server, 'CREATE TABLE busy (id int PRIMARY KEY)')
    await using session = await openSession(db.url, { settings: { lock_timeout: '1000' } })
    const migration = await db.connect()
    await migration.query('BEGIN; LOCK TABLE busy IN ACCESS EXCLUSIVE MODE')
    expect(await find(session, 'busy')).toHaveLength(1)
    await migration.query('ROLLBACK')
  })

  test('a table dropped between two looks is left out', async () => {
    await using db = await testDatabase(postgres.server, 'CREATE TABLE a (id int); CREATE TABLE b (id int)')
    await using session = await openSession(db.url)
    const [a, b] = await find(session, 'a,b')
    await db.query('DROP TABLE a')
    expect(names(await describeTables(session, [b!.oid, a!.oid]))).toEqual(['public/b'])
    expect((await measureTables(session, [a!.oid, b!.oid])).size).toBe(1)
    expect(await describeTables(session, [])).toEqual([])
  })

  test.runIf(postgres.major === DEFAULT_MAJOR)('a thousand tables take five queries', async () => {
    await using db = await testDatabase(
      postgres.server,
      `DO $$ BEGIN FOR i IN 1..1000 LOOP EXECUTE format('CREATE TABLE t%s (id int PRIMARY KEY, a text, b text)', i); END LOOP; END $$`,
    )
    await using session = await openSession(db.url)
    const counting = new CountingQueryable(session)
    const found = await find(counting, '*')
    expect(found).toHaveLength(1000)
    expect(found.every(({ columns, primaryKey }) => columns.length === 3 && primaryKey !== undefined)).toBe(true)
    expect(counting.queries).toBeLessThanOrEqual(5)
    expect(
      (
        await measureTables(
          session,
          found.map(({ oid }) => oid),
        )
      ).size,
    ).toBe(1000)
  })
})

async function keyWords(db: TestDatabase): Promise<string[]> {
  const rows = await db.query<{ word: string }>('SELECT word FROM pg_get_keywords()')
  return rows.map(({ word }) => word)
}
