import { expect, test } from 'vitest'
import {
  type CompositeType,
  jsonCastsIn,
  nameOf,
  type PgType,
  TypeCatalog,
} from '../../../../src/postgres/catalog/types.js'
import { parseConnectionString } from '../../../../src/postgres/connectionString.js'
import type { Queryable } from '../../../../src/postgres/queryable.js'
import { Session } from '../../../../src/postgres/session.js'
import { type TestDatabase, testDatabase } from '../../../support/database.js'
import { describeEachMajor } from '../../../support/versions.js'

describeEachMajor('the type catalog', (postgres) => {
  test('tells what types are made of, through domains, arrays and composites', async () => {
    await using db = await testDatabase(
      postgres.server,
      `CREATE TYPE mood AS ENUM ('sad', 'glad');
       CREATE TYPE pair AS ("a ""1""" int4, m mood);
       CREATE DOMAIN pairs AS pair[];
       CREATE DOMAIN few_pairs AS pairs CHECK (cardinality(value) < 3);
       CREATE TYPE spans AS RANGE (subtype = float8);
       CREATE TABLE whole (b box[], gone text, p few_pairs, s spans, v int2vector, t text, pt point, n name);
       ALTER TABLE whole DROP COLUMN gone`,
    )
    await using catalog = await openCatalog(db)
    const whole = (await catalog.type('public.whole')) as CompositeType
    const fields = Object.fromEntries(whole.fields.map(({ name, type }) => [name, outline(type)]))
    expect(fields).toStrictEqual({
      b: 'box[;]',
      p: '{a "1":int4 m:public.mood(enum)}[,]',
      s: 'public.spans(range)',
      v: 'int2 vector',
      t: 'text',
      pt: 'point', // has an element type and is no array
      n: 'name',
    })
    expect(await catalog.type('public.few_pairs')).toBe(await catalog.type('public._pair'))
    expect(await catalog.type('public.spans[]').then(outline)).toBe('public.spans(range)[,]')
    expect(await catalog.type('public.spans_multirange').then(outline)).toBe('public.spans_multirange(multirange)')
  })

  test('knows hstore in any schema, and not by its name alone', async () => {
    await using db = await testDatabase(
      postgres.server,
      `CREATE SCHEMA "my types"; CREATE EXTENSION hstore SCHEMA "my types";
       CREATE TYPE public.hstore AS ENUM ('a');
       CREATE FUNCTION public.hstore_to_json(public.hstore) RETURNS json LANGUAGE sql AS $$SELECT '{}'::json$$;
       CREATE CAST (public.hstore AS json) WITH FUNCTION public.hstore_to_json`,
    )
    await using catalog = await openCatalog(db)
    expect((await catalog.type('"my types".hstore')).kind).toBe('hstore')
    expect(outline(await catalog.type('"my types".hstore[]'))).toBe('my types.hstore(hstore)[,]')
    expect((await catalog.type('public.hstore')).kind).toBe('scalar')
  })

  test('names the types that the server would make JSON of by a cast', async () => {
    await using db = await testDatabase(
      postgres.server,
      `CREATE TYPE mood AS ENUM ('sad'); CREATE TYPE plain AS ENUM ('a'); CREATE TYPE row_type AS (m mood, p plain);
       CREATE FUNCTION mood_json(mood) RETURNS json LANGUAGE sql AS $$SELECT '{}'::json$$;
       CREATE FUNCTION row_json(row_type) RETURNS json LANGUAGE sql AS $$SELECT '{}'::json$$;
       CREATE CAST (mood AS json) WITH FUNCTION mood_json;
       CREATE CAST (plain AS json) WITH INOUT;
       CREATE CAST (plain AS jsonb) WITH INOUT;
       CREATE CAST (row_type AS json) WITH FUNCTION row_json;
       CREATE DOMAIN moodiness AS mood`,
    )
    await using catalog = await openCatalog(db)
    const mood = await catalog.type('public.mood')
    expect(mood).toMatchObject({ kind: 'scalar', variety: 'enum', jsonCast: 'public.mood_json' })
    expect(await catalog.type('public.moodiness')).toBe(mood)
    for (const name of ['public.row_type', 'public.row_type[]', 'public.moodiness[]', 'public.mood']) {
      expect(jsonCastsIn(await catalog.type(name)).map(nameOf), name).toStrictEqual(['public.mood'])
    }
    for (const name of ['public.plain', 'int4', 'json', 'public.plain[]']) {
      expect(jsonCastsIn(await catalog.type(name)), name).toStrictEqual([])
    }
  })

  test('notices altered composites, however deep in other types, and reads nothing while none is', async () => {
    await using db = await testDatabase(
      postgres.server,
      `CREATE TYPE pair AS (x int4, y int4);
       CREATE DOMAIN pairs AS pair[];
       CREATE TYPE outer_type AS (a text, p pairs);
       CREATE TYPE other AS (b text);
       CREATE TABLE plain (id int4, n int4[])`,
    )
    await using catalog = await openCatalog(db)
    const oids = new Map<string, number>()
    for (const name of ['int4', 'int4[]', 'public.outer_type', 'public.pairs', 'public.other', 'public.pair']) {
      oids.set(name, await catalog.oid(name))
    }
    await catalog.types.load([...oids.values()])
    const before = new Map([...oids].map(([name, oid]) => [name, catalog.types.get(oid)]))
    let queries = catalog.queries
    expect(await catalog.types.refresh()).toEqual(new Set())
    expect(catalog.queries - queries).toBe(1)

    await db.query('ALTER TYPE pair DROP ATTRIBUTE x, ADD ATTRIBUTE z int4')
    // Whoever compiles one of them meanwhile does not hide it from the others.
    await catalog.types.reload([oids.get('public.pairs')!])
    const altered = await catalog.types.refresh()
    for (const name of ['public.outer_type', 'public.pairs', 'public.pair']) {
      expect(altered.has(oids.get(name)!), name).toBe(true)
    }
    expect(altered.has(oids.get('public.other')!)).toBe(false)
    expect(outline(catalog.types.get(oids.get('public.outer_type')!)!)).toBe('{a:text p:{y:int4 z:int4}[,]}')
    for (const name of ['int4', 'public.other']) expect(catalog.types.get(oids.get(name)!)).toEqual(before.get(name))
    queries = catalog.queries
    expect(await catalog.types.refresh()).toEqual(new Set())
    expect(catalog.queries - queries).toBe(1)
  })

  test('without composites asks nothing', async () => {
    await using db = await testDatabase(postgres.server)
    await using catalog = await openCatalog(db)
    await catalog.type('int4[]')
    const queries = catalog.queries
    expect(await catalog.types.refresh()).toEqual(new Set())
    expect(catalog.queries).toBe(queries)
  })

  test('gives an unknown OID as an opaque scalar and tells of it once', async () => {
    await using db = await testDatabase(postgres.server)
    await using catalog = await openCatalog(db)
    await catalog.types.load([4294967295, 23])
    await catalog.types.load([4294967295])
    expect(catalog.types.get(4294967295)).toMatchObject({ kind: 'scalar', variety: 'unknown', oid: 4294967295 })
    expect(catalog.types.takeUnknown()).toStrictEqual([4294967295])
    await catalog.types.load([4294967295])
    expect(catalog.types.takeUnknown()).toStrictEqual([])
    expect(catalog.types.get(24)).toBe(undefined)
  })

  test('asks once for any number of types, and not at all for those it knows', async () => {
    await using db = await testDatabase(
      postgres.server,
      Array.from({ length: 300 }, (_, i) => `CREATE TYPE t${i} AS (a ${i === 0 ? 'int4' : `t${i - 1}`});`).join(''),
    )
    await using catalog = await openCatalog(db)
    const oids = await db.query<{ oid: number }>(
      `SELECT oid::int4 AS oid FROM pg_type WHERE typnamespace = 'public'::regnamespace`,
    )
    await catalog.types.load(oids.map(({ oid }) => oid))
    expect(catalog.queries).toBe(1)
    await catalog.types.load(oids.map(({ oid }) => oid))
    expect(catalog.queries).toBe(1)
    expect(oids.every(({ oid }) => catalog.types.get(oid) !== undefined)).toBe(true)
  })

  test('reads a composite anew when asked to, and keeps the shape of a dropped one', async () => {
    await using db = await testDatabase(postgres.server, 'CREATE TYPE pair AS (a int4, b text)')
    await using catalog = await openCatalog(db)
    const before = await catalog.type('public.pair')
    await db.query('ALTER TYPE pair RENAME ATTRIBUTE b TO c; ALTER TYPE pair ADD ATTRIBUTE d int8')
    expect(await catalog.type('public.pair')).toBe(before)
    await catalog.types.reload([before.oid])
    expect(outline(catalog.types.get(before.oid)!)).toBe('{a:int4 c:text d:int8}')
    await db.query('DROP TYPE pair')
    await catalog.types.reload([before.oid])
    expect(outline(catalog.types.get(before.oid)!)).toBe('{a:int4 c:text d:int8}')
  })
})

/** A catalog over a session of ours, with its empty search_path, which counts its queries. */
async function openCatalog(db: TestDatabase) {
  const session = await Session.connect(parseConnectionString(db.url))
  const catalog = {
    queries: 0,
    types: new TypeCatalog({
      query: (...query) => {
        catalog.queries++
        return session.query(...query)
      },
    } as Queryable),
    async oid(name: string): Promise<number> {
      const rows = await session.query<{ oid: string }>('SELECT $1::regtype::oid::text AS oid', [name])
      return Number(rows[0]!.oid)
    },
    async type(name: string): Promise<PgType> {
      const oid = await catalog.oid(name)
      await catalog.types.load([oid])
      return catalog.types.get(oid)!
    },
    [Symbol.asyncDispose]: () => session.close(),
  }
  return catalog
}

function outline(type: PgType): string {
  switch (type.kind) {
    case 'array':
      if (type.vector) return `${outline(type.element)} vector`
      return `${outline(type.element)}[${String.fromCharCode(type.delimiter)}]`
    case 'composite':
      return `{${type.fields.map((field) => `${field.name}:${outline(field.type)}`).join(' ')}}`
    case 'hstore':
      return `${nameOf(type)}(hstore)`
    case 'scalar':
      return type.variety === 'base' ? nameOf(type) : `${nameOf(type)}(${type.variety})`
  }
}
