import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { EmbeddedPostgres } from '../../../src/cli/embedded/server.js'
import { findTables } from '../../../src/postgres/catalog/tables.js'
import { parseTablePatterns } from '../../../src/postgres/tablePattern.js'
import { verdictOf } from '../../../src/verify/report.js'
import { verify } from '../../../src/verify/verify.js'
import type { TestDatabase } from '../../support/database.js'
import { openSession, urlAs } from '../../support/openSession.js'
import { failureOf, Replication, rowsOf } from '../../support/replication.js'
import { majors, startServer } from '../../support/servers.js'

let server: EmbeddedPostgres
beforeAll(async () => {
  server = await startServer()
})
afterAll(() => server?.[Symbol.asyncDispose]())

const between = (tables: string, sql: string, targetSql = '') =>
  Replication.between(server, server, tables, sql, targetSql)

const destination = { autoCreate: true } as const

/** Columns, types, NOT NULL and key, as the catalog has them. */
async function shapeOf(db: TestDatabase, table: string) {
  await using session = await openSession(db.url)
  const [found] = await findTables(session, parseTablePatterns(table))
  const { columns, primaryKey, kind } = found!
  return {
    ...{ kind, key: primaryKey?.columns },
    columns: columns.map(({ name, typeName, notNull }) => `${name} ${typeName}${notNull ? ' NOT NULL' : ''}`),
  }
}

const EVERYTHING = `
  CREATE SCHEMA "Shop-s";
  CREATE TYPE "Shop-s".mood AS ENUM ('sad', 'it''s', 'b\\');
  CREATE DOMAIN "Shop-s".short AS varchar(9) COLLATE "C" NOT NULL CHECK (VALUE <> 'gone') CONSTRAINT two CHECK (length(VALUE) > 0);
  CREATE DOMAIN shorter AS "Shop-s".short CHECK (length(VALUE) < 5);
  CREATE TYPE pair AS ("X" numeric(5, 2), mood "Shop-s".mood[], word shorter);
  CREATE TABLE "Shop-s"."All" (
    b int, a text NOT NULL, "Mood" "Shop-s".mood NOT NULL, moods "Shop-s".mood[], s "Shop-s".short, ss shorter[],
    p pair, ps pair[], n numeric(12, 3), v varchar(20), c char(3), t timestamptz(3), bits bit varying(4), i interval,
    j jsonb, u uuid, x xml, r int4range, mr int8multirange, "char" "char", id int GENERATED ALWAYS AS IDENTITY, d int DEFAULT 5,
    PRIMARY KEY (b, a));`

const FILLED = `INSERT INTO "Shop-s"."All" (b, a, "Mood", moods, s, ss, p, ps, n, v, c, t, bits, i, j, u, x, r, mr, "char")
  SELECT k, 'a' || k, 'it''s', '{sad,"b\\\\"}', 'code', '{ab,cd}', '(1.5,{sad},w)', ARRAY['(2,,v)'::pair], 1.5, 'v', 'c', '2026-01-01Z',
    B'101', '1 mon', '{"a": 1}', '8c7d2f5e-0000-4000-8000-000000000001', '<a/>', '[1,5)', '{[1,3),[7,9)}', 'q'
    FROM generate_series(1, 5) k`

test.concurrent('values mean the same, and are found equal, whatever the databases are set to', async () => {
  const sql = 'CREATE TABLE t (id int PRIMARY KEY, words text[], x xml, v text, i interval, b bytea)'
  await using pair = await between('t', sql)
  for (const db of [pair.from, pair.to]) {
    const odd = {
      array_nulls: 'off',
      xmloption: 'document',
      standard_conforming_strings: 'off',
      IntervalStyle: 'sql_standard',
    }
    for (const [name, value] of Object.entries(odd))
      await db.query(`ALTER DATABASE "${db.name}" SET ${name} = '${value}'`)
  }
  await pair.from.query(String.raw`
    INSERT INTO t VALUES (1, ARRAY['NULL', NULL, '\"'], xmlparse(CONTENT 'a <b/> c'), '\''', '-1 mon 2 days 03:04', '\x005c27')`)
  await pair.expectSame('t', { destination })
  await pair.from.query('INSERT INTO t SELECT id + 1, words, x, v, i, b FROM t; UPDATE t SET v = v || v WHERE id = 1')
  await pair.expectSame('t', { destination })
  const [equal] = (await verify({ source: pair.from.url, target: pair.to.url, tables: 't', settleSeconds: 0 })).tables
  expect(verdictOf(equal!)).toBe('equal')
})

test.concurrent('a table is not written into itself, nor a copy into copies of itself', async () => {
  await using pair = await between('a,*', 'CREATE TABLE a (id int PRIMARY KEY, v text)')
  await pair.from.query("INSERT INTO a VALUES (1, 'x')")
  const onto = (options: object) =>
    pair.run({ source: { existingSlot: 'snapshot' }, destination: { ...destination, url: pair.from.url, ...options } })
  const versions = 'SELECT xmin::text, v FROM a'
  const before = await pair.from.query(versions)
  expect(await failureOf(onto({}))).toMatchObject({
    code: 'TARGET_IS_SOURCE',
    message: expect.stringContaining('public.a would be written into itself'),
  })
  expect(await pair.from.query(versions)).toEqual(before)
  // In one database is no mistake where nothing comes back.
  await onto({ table: 'copy_{table}', source: 'copy' })
  expect(await rowsOf(pair.from, 'copy_a')).toEqual(['(1,x)'])
  await pair.from.query("INSERT INTO a VALUES (2, 'y')")
  expect(await failureOf(onto({ table: 'copy_{table}', source: 'copy' }))).toMatchObject({
    code: 'TARGET_IS_SOURCE',
    message: expect.stringContaining(
      'public.copy_a, whose rows are to go into public.copy_copy_a, is itself written to',
    ),
  })
})

test.concurrent('rows of another run’s checkpoint do not go into ours', async () => {
  await using pair = await between(
    'tailrace.checkpoint',
    'CREATE SCHEMA tailrace; CREATE TABLE tailrace.checkpoint (source text PRIMARY KEY, n int)',
    '',
  )
  await pair.from.query("INSERT INTO tailrace.checkpoint VALUES ('other', 1)")
  expect(await failureOf(pair.run({ destination }))).toMatchObject({ code: 'TARGET_TABLE_RESERVED' })
  await pair.to.query('DROP SCHEMA tailrace CASCADE')
  await pair.run({ source: { existingSlot: 'snapshot' }, destination: { ...destination, checkpointSchema: 'ours' } })
  expect(await rowsOf(pair.to, 'tailrace.checkpoint')).toEqual(['(other,1)'])
})

test.concurrent('a table with its schema, key, NOT NULL, enums, domains and composites', async () => {
  await using pair = await between('"Shop-s"."All"', EVERYTHING)
  await pair.from.query(FILLED)
  await pair.expectSame('"Shop-s"."All"', { destination })
  const shape = await shapeOf(pair.to, '"Shop-s"."All"')
  expect(shape).toEqual(await shapeOf(pair.from, '"Shop-s"."All"'))
  expect(shape.key).toEqual(['b', 'a'])
  const facts = `
    SELECT array_agg(enumlabel ORDER BY enumsortorder) AS labels,
           (SELECT array_agg(pg_get_constraintdef(oid) ORDER BY pg_get_constraintdef(oid)) FROM (SELECT oid FROM pg_constraint WHERE contypid <> 0 AND contype = 'c' AND oid > 16384) c (oid)) AS checks,
           (SELECT array_agg(format_type(attrelid, NULL) || attname || format_type(atttypid, atttypmod) ORDER BY attnum)
              FROM pg_attribute JOIN pg_class c ON c.oid = attrelid WHERE relkind = 'c' AND relname = 'pair') AS fields,
           (SELECT array_agg(typname || typnotnull || typcollation::regcollation ORDER BY typname) FROM pg_type WHERE typtype = 'd' AND oid > 16384) AS domains
      FROM pg_enum`
  expect(await pair.to.query(facts)).toEqual(await pair.from.query(facts))
  await pair.from.query(
    `UPDATE "Shop-s"."All" SET moods = '{}', ss = NULL WHERE b < 3; DELETE FROM "Shop-s"."All" WHERE b = 4; ${FILLED.replace('(1, 5)', '(6, 9)')}`,
  )
  await pair.expectSame('"Shop-s"."All"', { destination })
})

test.concurrent('types of extensions, in whatever schema the target has them; without the extension an error says what to do', async () => {
  const sql = `
    CREATE EXTENSION citext; CREATE EXTENSION hstore;
    CREATE DOMAIN mail AS citext NOT NULL;
    CREATE TABLE t (id citext PRIMARY KEY, h hstore, hs hstore[], m mail)`
  await using pair = await between('t', sql, 'CREATE SCHEMA ext; CREATE EXTENSION citext SCHEMA ext')
  await pair.from.query(`INSERT INTO t VALUES ('Ab', 'a=>1', '{"b=>2"}', 'x@y')`)
  const refused = await failureOf(pair.run({ destination }))
  expect(refused).toMatchObject({
    code: 'TARGET_TYPE_MISSING',
    details: { table: 'public.t', column: 'h', type: 'public.hstore' },
    hint: expect.stringContaining('CREATE EXTENSION hstore SCHEMA public;'),
  })
  expect(await pair.to.query("SELECT FROM pg_type WHERE typname = 'mail'")).toEqual([])
  await pair.to.query('CREATE EXTENSION hstore SCHEMA ext')
  await pair.expectSame('t', { destination })
  expect(await shapeOf(pair.to, 't')).toMatchObject({
    key: ['id'],
    columns: ['id ext.citext NOT NULL', 'h ext.hstore', 'hs ext.hstore[]', 'm public.mail'],
  })
})

const RANGES = `
  CREATE EXTENSION citext; CREATE SCHEMA "R s"; CREATE SCHEMA sets; CREATE TYPE level AS ENUM ('low', 'mid', 'high');
  CREATE FUNCTION apart(float4, float4) RETURNS float8 LANGUAGE sql IMMUTABLE AS 'SELECT ($1 - $2)::float8';
  CREATE TYPE "R s"."Words" AS RANGE (SUBTYPE = text, SUBTYPE_OPCLASS = text_pattern_ops, COLLATION = "C");
  CREATE TYPE span AS RANGE (SUBTYPE = float8, SUBTYPE_DIFF = float8mi, MULTIRANGE_TYPE_NAME = sets."Spans");
  CREATE TYPE near AS RANGE (SUBTYPE = float4, SUBTYPE_DIFF = apart);
  CREATE TYPE levels AS RANGE (SUBTYPE = level);
  CREATE TYPE names AS RANGE (SUBTYPE = citext);
  CREATE DOMAIN wide AS span CHECK (NOT isempty(VALUE));
  CREATE TYPE both_ends AS (s span, l levels[]);
  CREATE TABLE t (id span PRIMARY KEY, w "R s"."Words", s sets."Spans", n near[], l levels_multirange, m names, d wide, c both_ends)`

test.concurrent('ranges and multiranges of the user, of whatever they are made of', async () => {
  await using pair = await between('t', RANGES, 'CREATE SCHEMA ext; CREATE EXTENSION citext SCHEMA ext')
  await pair.from.query(`INSERT INTO t SELECT span(i, i + 1), '[a,"b c")', '{[1,2),[3,4)}', '{"[1,2)","(,3]"}', '{[low,mid)}', '[Ab,b]',
    '[1,2]', ROW('[1,2)', '{"[low,high]"}')::both_ends FROM generate_series(1, 5) i`)
  await pair.expectSame('t', { destination })
  const facts = `
    SELECT rngtypid::regtype::text AS range, replace(rngsubtype::regtype::text, 'ext.', '') AS of, rngmultitypid::regtype::text AS multi,
           CASE WHEN rngcollation > 0 THEN rngcollation::regcollation END::text AS collation, opcname, rngsubdiff::text AS difference
      FROM pg_range JOIN pg_opclass o ON o.oid = rngsubopc WHERE rngtypid >= 16384 ORDER BY 1`
  const own = (rows: readonly object[]) =>
    rows.map((row) => ({
      ...row,
      difference: Object.values(row).includes('near') ? '-' : (row as { difference: string }).difference,
    }))
  const made = await pair.to.query(facts)
  expect(made).toHaveLength(5)
  expect(made).toEqual(own(await pair.from.query(facts)))
  await pair.from.query(
    "UPDATE t SET id = span(100, 200), d = '(,5)' WHERE lower(id) = 3; DELETE FROM t WHERE lower(id) = 1",
  )
  await pair.expectSame('t', { destination: { ...destination, evolve: true } })
  await pair.from.query(
    "CREATE TYPE late AS RANGE (SUBTYPE = time); ALTER TABLE t ADD COLUMN late late_multirange; UPDATE t SET late = '{[10:00,11:00)}'",
  )
  await pair.expectSame('t', { destination: { ...destination, evolve: true } })
})

test.concurrent('partition roots become plain tables, keyless ones have none, keys and columns as they are set', async () => {
  const sql = `
    CREATE TABLE parts (id int, at date, n int, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
    CREATE TABLE p1 PARTITION OF parts FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
    CREATE TABLE p2 PARTITION OF parts FOR VALUES FROM ('2026-02-01') TO ('2026-03-01');
    CREATE TABLE log (line text NOT NULL);
    CREATE TABLE people (id int PRIMARY KEY, code text NOT NULL, secret text, n int); ALTER TABLE people REPLICA IDENTITY FULL`
  await using pair = await between('parts,log,people', sql)
  const options = {
    source: { keyless: 'inserts', columns: ['people:code,n'] },
    destination: { ...destination, table: 'Copy.{table}', keys: ['people:code'] },
  } as const
  await pair.from.query(`
    INSERT INTO parts SELECT i, '2026-01-15'::date + i, i FROM generate_series(1, 40) i;
    INSERT INTO log VALUES ('a'), ('a'); INSERT INTO people SELECT i, 'c' || i, 's', i FROM generate_series(1, 9) i`)
  await pair.run(options)
  await pair.from.query(`
    UPDATE parts SET at = '2026-01-01', n = 0 WHERE id > 30; UPDATE people SET code = 'new' WHERE id = 3; DELETE FROM people WHERE id = 4;
    INSERT INTO log VALUES ('b')`)
  await pair.run(options)
  const shapes = await Promise.all(['parts', 'log', 'people'].map((table) => shapeOf(pair.to, `"Copy".${table}`)))
  expect(shapes).toEqual([
    { kind: 'ordinary', key: ['id', 'at'], columns: ['id integer NOT NULL', 'at date NOT NULL', 'n integer'] },
    { kind: 'ordinary', key: undefined, columns: ['line text NOT NULL'] },
    { kind: 'ordinary', key: ['code'], columns: ['code text NOT NULL', 'n integer'] },
  ])
  const rows = (db: TestDatabase, sql: string) => db.query(sql)
  for (const [own, copy] of [
    ['parts', '"Copy".parts'],
    ['log', '"Copy".log'],
    ['(SELECT code, n FROM people)', '"Copy".people'],
  ]) {
    const sql = (of: string) => `SELECT t::text AS row FROM ${of} t ORDER BY 1`
    expect(await rows(pair.to, sql(copy!))).toEqual(await rows(pair.from, sql(own!)))
  }
})

test.concurrent('a table that comes in the middle of the stream', async () => {
  await using pair = await between('*', 'CREATE TABLE old (id int PRIMARY KEY); INSERT INTO old VALUES (1)')
  await pair.expectSame('old', { destination })
  await pair.from.query(
    "CREATE TYPE m AS ENUM ('a'); CREATE TABLE tn (id int PRIMARY KEY, m m); INSERT INTO tn VALUES (1, 'a')",
  )
  await pair.expectSame('tn', { destination })
})

describe('what cannot be made', () => {
  test.concurrent("a table's row type: which column, which type", async () => {
    const sql = 'CREATE TABLE span (a int); CREATE TABLE t (id int PRIMARY KEY, "S" span[])'
    await using pair = await between('t', sql)
    await pair.from.query("INSERT INTO t VALUES (1, '{(1)}')")
    expect(await failureOf(pair.run({ destination }))).toMatchObject({
      code: 'TARGET_TYPE_MISSING',
      details: { column: '"S"', type: 'public.span', what: "table's row type" },
    })
    await pair.to.query('CREATE TYPE span AS (a int)')
    await pair.expectSame('t', { destination })
  })

  test.concurrent('a multirange whose range is there, with one of another name', async () => {
    const sql =
      'CREATE TYPE span AS RANGE (SUBTYPE = date, MULTIRANGE_TYPE_NAME = spans); CREATE TABLE t (id int PRIMARY KEY, s spans)'
    await using pair = await between('t', sql, 'CREATE TYPE span AS RANGE (SUBTYPE = date)')
    await pair.from.query("INSERT INTO t VALUES (1, '{[2026-01-01,2026-02-01)}')")
    expect(await failureOf(pair.run({ destination }))).toMatchObject({
      code: 'TARGET_TYPE_MISSING',
      details: { column: 's', type: 'public.spans', what: 'the multirange of public.span' },
      hint: expect.stringContaining('RENAME TO spans;'),
    })
    await pair.to.query('ALTER TYPE span_multirange RENAME TO spans')
    await pair.expectSame('t', { destination })
  })

  test.concurrent('what a role may not, or the target does not know: the SQL that was tried', async () => {
    const sql = `
      CREATE FUNCTION fine(text) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT true';
      CREATE DOMAIN word AS text CHECK (fine(VALUE)); CREATE TABLE t (id int PRIMARY KEY, w word)`
    await using pair = await between('t', sql)
    await pair.from.query("INSERT INTO t VALUES (1, 'x')")
    await pair.to.query(`
      DO $$ BEGIN CREATE ROLE maker LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$;
      CREATE SCHEMA tailrace; GRANT ALL ON SCHEMA tailrace TO maker; GRANT TEMPORARY ON DATABASE ${pair.to.name} TO maker;
      REVOKE CREATE ON SCHEMA public FROM public`)
    const asMaker = { destination: { ...destination, url: urlAs(pair.to.url, 'maker') } }
    expect(await failureOf(pair.run(asMaker))).toMatchObject({
      code: 'TARGET_NOT_MADE',
      details: { sqlstate: '42501', action: 'made' },
      hint: expect.stringContaining(
        'CREATE TABLE IF NOT EXISTS public.t (id integer NOT NULL, w public.word, PRIMARY KEY (id));',
      ),
    })
    expect(await failureOf(pair.run({ destination }))).toMatchObject({
      code: 'TARGET_NOT_MADE',
      message: expect.stringContaining('fine(text) does not exist'),
    })
    await pair.to.query("CREATE FUNCTION fine(text) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT true'")
    await pair.expectSame('t', { destination })
    await pair.to.query('DROP OWNED BY maker')
  })
})

test.runIf(majors.length > 1)('from the oldest major to the newest, and back', async () => {
  await using old = await startServer({ major: Math.min(...majors) })
  await using young = await startServer({ major: Math.max(...majors) })
  for (const [from, to] of [
    [old, young],
    [young, old],
  ] as const) {
    await using pair = await Replication.between(from, to, '"Shop-s"."All"', EVERYTHING, '')
    await pair.from.query(FILLED)
    await pair.expectSame('"Shop-s"."All"', { destination })
    expect(await shapeOf(pair.to, '"Shop-s"."All"')).toEqual(await shapeOf(pair.from, '"Shop-s"."All"'))
  }
})
