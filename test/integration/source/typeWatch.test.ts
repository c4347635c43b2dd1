import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from 'vitest'
import type { EmbeddedPostgres } from '../../../src/cli/embedded/server.js'
import { ByteWriter } from '../../../src/core/byteWriter.js'
import type { Table } from '../../../src/core/table.js'
import { describeTables } from '../../../src/postgres/catalog/tables.js'
import { TypeDefinitions } from '../../../src/postgres/catalog/typeDefinitions.js'
import { TypeCatalog } from '../../../src/postgres/catalog/types.js'
import { Relation } from '../../../src/postgres/pgoutput/relation.js'
import type { Session } from '../../../src/postgres/session.js'
import type { SourceEvent } from '../../../src/source/events.js'
import { ShapeRegistry } from '../../../src/source/shapeRegistry.js'
import { type CompilerOptions, compileRelation } from '../../../src/source/streamedTable.js'
import { TypeWatch } from '../../../src/source/typeWatch.js'
import { type TestDatabase, testDatabase } from '../../support/database.js'
import { CountingQueryable, openSession } from '../../support/openSession.js'
import { startServer } from '../../support/servers.js'
import { readSource } from '../../support/sourceReader.js'
import { waitFor } from '../../support/waitFor.js'

let server: EmbeddedPostgres
beforeAll(async () => {
  server = await startServer()
})
afterAll(() => server?.[Symbol.asyncDispose]())

let db: TestDatabase
let session: Session
let catalog: CountingQueryable
let compiler: CompilerOptions
let shapes: ShapeRegistry
let events: SourceEvent[]
let watch: TypeWatch | undefined

beforeEach(async () => {
  db = await testDatabase(
    server,
    `CREATE TYPE pair AS (x int4, y int4);
     CREATE DOMAIN pairs AS pair[];
     CREATE TABLE t (p pair);
     CREATE TABLE nested (n pairs);
     CREATE TABLE plain (n int4)`,
  )
  session = await openSession(db.url)
  catalog = new CountingQueryable(session)
  compiler = { types: new TypeCatalog(catalog), definitions: new TypeDefinitions(session), codecs: {} }
  events = []
  const plan = { key: [], columns: undefined, notWhole: false, insertsOnly: true, keyOfPartitions: false }
  shapes = new ShapeRegistry({
    captures: () => true,
    compile: (relation) => compileRelation(relation, plan, catalog, compiler),
    mayAlter: ({ name }) => name !== 'plain',
  })
})
afterEach(async () => {
  vi.useRealTimers()
  watch?.stop()
  await session.close()
  await db[Symbol.asyncDispose]()
})

function startWatch(): TypeWatch {
  watch = new TypeWatch(compiler, shapes, (event) => events.push(event))
  return watch
}

/** What the stream says of a table, as it is now. */
async function relationOf(name: string): Promise<Relation> {
  const [{ oid }] = (await db.query('SELECT $1::regclass::oid::int8 AS oid', [name])) as [{ oid: string }]
  const [table] = await describeTables(session, [Number(oid)])
  const columns = table!.columns.map(({ name, typeOid, typmod }) => ({ name, typeOid, typmod, partOfKey: false }))
  return new Relation(Number(oid), 'public', name, 'default', columns)
}

/** The first column's JSON of a text. */
function json({ codecs }: Table, text: string): string {
  const writer = new ByteWriter(100)
  const bytes = Buffer.from(text)
  codecs[0]!.writeJson(writer, bytes, 0, bytes.length)
  return writer.toBuffer().toString()
}

function warnings(): string[] {
  return events.map((event) => (event.type === 'warning' ? event.code : event.type))
}

const ALTER = 'ALTER TYPE pair DROP ATTRIBUTE x, ADD ATTRIBUTE z int4'

test('an altered composite has its present shape after a look, in every table, and is told', async () => {
  const [t, nested, plain] = [await relationOf('t'), await relationOf('nested'), await relationOf('plain')]
  const before = await Promise.all([t, nested, plain].map((one) => shapes.learn(one)!.shape.ready))
  expect(json(before[0]!, '(1,2)')).toBe('{"x":1,"y":2}')
  await startWatch().look()
  expect(await shapes.of(t)!.ready).toBe(before[0])

  await db.query(ALTER)
  await watch!.look()
  expect(json(await shapes.of(t)!.ready, '(1,2)')).toBe('{"y":1,"z":2}')
  expect(json(await shapes.of(nested)!.ready, '{"(1,2)"}')).toBe('[{"y":1,"z":2}]')
  expect(await shapes.of(plain)!.ready).toBe(before[2])
  expect(events).toMatchObject([
    { code: 'TYPE_ALTERED', message: expect.stringContaining('type public.pair was altered') },
  ])
  await watch!.look()
  expect(warnings()).toEqual(['TYPE_ALTERED'])
})

test('a Relation message has it without a look, and does not hide it from the other tables', async () => {
  const nested = await relationOf('nested')
  await Promise.all([shapes.learn(await relationOf('t'))!.shape.ready, shapes.learn(nested)!.shape.ready])
  await db.query(ALTER)
  const t = await relationOf('t')
  expect(json(await shapes.learn(t)!.shape.ready, '(1,2)')).toBe('{"y":1,"z":2}')
  expect(json(await shapes.of(nested)!.ready, '{"(1,2)"}')).toBe('[{"x":1,"y":2}]')
  await startWatch().look()
  expect(json(await shapes.of(nested)!.ready, '{"(1,2)"}')).toBe('[{"y":1,"z":2}]')
})

test('a value that does not fit is told, and looked into at once', async () => {
  const t = await relationOf('t')
  const before = await shapes.learn(t)!.shape.ready
  startWatch()
  await db.query('ALTER TYPE pair ADD ATTRIBUTE z int4')
  expect(json(before, '(1,2,3)')).toBe('"(1,2,3)"')
  expect(json(before, '(1,2,3)')).toBe('"(1,2,3)"')
  await waitFor(() => events.length === 2, { what: 'the look' })
  expect(warnings()).toEqual(['TYPE_SHAPE_DIFFERS', 'TYPE_ALTERED'])
  expect(json(await shapes.of(t)!.ready, '(1,2,3)')).toBe('{"x":1,"y":2,"z":3}')
})

test('looks every five seconds, only if there are composites, and no more once stopped', async () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
  await shapes.learn(await relationOf('plain'))!.shape.ready
  startWatch()
  let queries = catalog.queries
  vi.advanceTimersByTime(60_000)
  expect(catalog.queries).toBe(queries)

  const t = await relationOf('t')
  await shapes.learn(t)!.shape.ready
  await db.query(ALTER)
  vi.advanceTimersByTime(5000)
  await waitFor(() => events.length > 0, { what: 'the look' })
  expect(json(await shapes.of(t)!.ready, '(1,2)')).toBe('{"y":1,"z":2}')

  watch!.stop()
  queries = catalog.queries
  vi.advanceTimersByTime(60_000)
  expect(catalog.queries).toBe(queries)
})

test('a look that cannot be made is made the next time', async () => {
  const t = await relationOf('t')
  await shapes.learn(t)!.shape.ready
  startWatch()
  await db.query(ALTER)
  const query = vi.spyOn(catalog, 'query').mockRejectedValueOnce(new Error('the server is gone'))
  await watch!.look()
  expect(events).toEqual([])
  query.mockRestore()
  await watch!.look()
  expect(warnings()).toEqual(['TYPE_ALTERED'])
})

test('types that the catalog does not have are told once', async () => {
  await compiler.types.load([4_000_000_000])
  startWatch()
  expect(events).toMatchObject([{ code: 'TYPE_UNKNOWN', message: expect.stringContaining('OID 4000000000') }])
  await compiler.types.load([4_000_000_000, 4_000_000_001])
  await watch!.look()
  await watch!.look()
  expect(warnings()).toEqual(['TYPE_UNKNOWN', 'TYPE_UNKNOWN'])
})

test('a source gives rows in the present shape, soon after the type was altered', async () => {
  await db.query("CREATE TABLE u (id int PRIMARY KEY, p pair); INSERT INTO u VALUES (1, '(1,2)')")
  await using reader = readSource({ url: db.url, tables: 'u' })
  await reader.told('streaming')
  await db.query("INSERT INTO u VALUES (2, '(1,2)')")
  await reader.seen(({ key }) => key?.id === 2, 'the row before')
  await db.query(ALTER)
  await reader.until(() => reader.events.some((event) => event.type === 'warning' && event.code === 'TYPE_ALTERED'), {
    what: 'the type watch',
    timeoutMs: 15_000,
  })
  await db.query("INSERT INTO u VALUES (3, '(1,2)')")
  await reader.seen(({ key }) => key?.id === 3, 'the row after')
  expect(reader.records.map(({ operation, after }) => [operation, after!.p])).toEqual([
    ['snapshot', { x: 1, y: 2 }],
    ['create', { x: 1, y: 2 }],
    ['create', { y: 1, z: 2 }],
  ])
})
