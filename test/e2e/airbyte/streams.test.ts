import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { EmbeddedPostgres } from '../../../src/cli/embedded/server.js'
import { NO_STATE, readState } from '../../../src/homes/airbyte/read/savedState.js'
import { type ConnectorMessages, connectorHere, startConnector } from '../../support/airbyte/connector.js'
import { ajv } from '../../support/airbyte/protocolSchemas.js'
import { configOf, read } from '../../support/airbyte/reads.js'
import {
  configured,
  type DiscoveredStream,
  discovered,
  foldedStates,
  STATE_TYPES,
  stateTypesOf,
} from '../../support/airbyte/syncs.js'
import { type TestDatabase, testDatabase } from '../../support/database.js'
import { startServer } from '../../support/servers.js'

let server: EmbeddedPostgres
beforeAll(async () => {
  server = await startServer()
})
afterAll(() => server[Symbol.asyncDispose]())

async function database(sql: string): Promise<TestDatabase> {
  const db = await testDatabase(server, sql)
  db.expectSlots = true
  return db
}

const named = (streams: readonly DiscoveredStream[], ...names: readonly string[]) =>
  streams.filter(({ name }) => names.includes(name))
const ids = (run: ConnectorMessages, stream: string) =>
  run.records.filter((one) => one.stream === stream).map(({ data }) => data.id)
const statusesOf = (run: ConnectorMessages, name: string) =>
  run
    .of('TRACE')
    .filter(({ trace }) => trace.stream_status?.stream_descriptor.name === name)
    .map(({ trace }) => trace.stream_status.status)

const TWO = 'CREATE TABLE a (id int PRIMARY KEY, v text); CREATE TABLE b (id int PRIMARY KEY, v text);'

describe.each(stateTypesOf('stream'))('state of type %s', (state_type) => {
  test('a stream that is new in the catalog is read from its beginning, and the others go on', async () => {
    await using db = await database(`${TWO} INSERT INTO a VALUES (1); INSERT INTO b VALUES (1), (2)`)
    const config = configOf(db, { state_type })
    const streams = await discovered(config)
    const first = await read(config, configured(named(streams, 'a')))
    await db.query('INSERT INTO a VALUES (2); INSERT INTO b VALUES (3)')
    const second = await read(config, configured(streams), foldedStates(first.states))
    expect(ids(second, 'a')).toEqual([2])
    expect(ids(second, 'b')).toEqual([1, 2, 3])
    await db.query('INSERT INTO a VALUES (3); INSERT INTO b VALUES (4)')
    const third = await read(config, configured(streams), foldedStates(second.states))
    expect([ids(third, 'a'), ids(third, 'b')]).toEqual([[3], [4]])
  })

  test('a stream that was reset is read anew, and the others go on', async () => {
    await using db = await database(`${TWO} INSERT INTO a VALUES (1); INSERT INTO b VALUES (1)`)
    const config = configOf(db, { state_type })
    const catalog = configured(await discovered(config))
    const [last] = foldedStates((await read(config, catalog)).states).slice(-1)
    await db.query('INSERT INTO a VALUES (2); INSERT INTO b VALUES (2)')
    const reset = JSON.parse(JSON.stringify(last))
    if (reset.type === 'GLOBAL') reset.global.stream_states[0].stream_state = null
    if (reset.type === 'LEGACY') delete reset.data.streams['public.a']
    if (reset.type === 'STREAM') expect(reset.stream.stream_descriptor.name).toBe('b')
    const second = await read(config, catalog, [reset])
    expect([ids(second, 'a'), ids(second, 'b')]).toEqual([[1, 2], [2]])
  })

  test('a stream that left the catalog and comes back is read anew: nothing of it is missing', async () => {
    await using db = await database(`${TWO} INSERT INTO a VALUES (1); INSERT INTO b VALUES (1)`)
    const config = configOf(db, { state_type })
    const streams = await discovered(config)
    const first = await read(config, configured(streams))
    await db.query('INSERT INTO a VALUES (2); INSERT INTO b VALUES (2)')
    const began = performance.now()
    const without = await read(config, configured(named(streams, 'a')), foldedStates(first.states))
    expect(performance.now() - began).toBeLessThan(8000)
    expect(without.records.map(({ stream }) => stream)).toEqual(['a'])
    await db.query('INSERT INTO b VALUES (3)')
    const kept = foldedStates([...first.states, ...without.states])
    const back = await read({ ...config, on_lost_position: 'resync' }, configured(streams), kept)
    expect(ids(back, 'b')).toEqual([1, 2, 3])
    expect(ids(back, 'a')).toEqual([])
  })

  test('every shape in which clients pass a state is taken', async () => {
    await using db = await database('CREATE TABLE a (id int PRIMARY KEY); INSERT INTO a VALUES (1)')
    const config = configOf(db, { state_type })
    const catalog = configured(await discovered(config))
    for (const nothing of ['', '{}', '[]', 'null', '[null]', '[{"type":"STREAM"}]', '{"data":{}}']) {
      expect(readState(nothing === '' ? undefined : JSON.parse(nothing))).toEqual(NO_STATE)
    }
    expect(ids(await read(config, catalog, '[{"type":"STREAM","stream":null,"global_":null}]'), 'a')).toEqual([1])
    expect(ids(await read(config, catalog, ''), 'a')).toEqual([1])
    const state = foldedStates((await read(config, catalog)).states)[0] as Record<string, unknown>
    await db.query('INSERT INTO a VALUES (2)')
    const explicit = { ...state, type: state.type, stream: state.stream ?? null, data: state.data ?? null }
    const repeated = `[${JSON.stringify(explicit).slice(0, -1)},"global_":null,"global_":${JSON.stringify(state.global ?? null)}}]`
    const shapes: unknown[] = [
      state,
      { type: 'STATE', state },
      [{ ...explicit, global: state.global ?? null, destinationStats: null }],
      JSON.parse(repeated),
    ]
    if (state.data !== undefined) shapes.push(state.data, { data: state.data }, [{ data: state.data }])
    for (const shape of shapes) expect(readState(shape)).toEqual(readState([state]))
    expect(ids(await read(config, catalog, repeated), 'a')).toEqual([2])
    const nameless = [JSON.parse(JSON.stringify(state).replaceAll(/,?"namespace":"public"/g, ''))]
    expect(ids(await read(config, catalog, nameless), 'a')).toEqual([2])
  })

  test('SIGKILL in the middle: from the last whole state on everything comes, and what came before it does not again', async () => {
    await using db = await database('CREATE TABLE a (id int PRIMARY KEY, v text)')
    await db.query("INSERT INTO a SELECT i, repeat('x', 800) FROM generate_series(1, 60000) i")
    const config = configOf(db, { state_type, checkpoint_seconds: 0.1 })
    const catalog = configured(await discovered(config))
    await using killed = await startConnector('read', { config, catalog })
    await killed.waitFor(() => killed.states.length > 1, 'two states')
    killed.kill('SIGKILL')
    await killed.ended
    await db.query("DELETE FROM a WHERE id % 3 = 0; UPDATE a SET v = 'new' WHERE id % 5 = 0")
    const states = killed.states
    const resumed = await read(config, catalog, foldedStates(states))
    const rows = new Map<unknown, unknown>()
    for (const { data } of [...killed.records, ...resumed.records]) {
      if (data._ab_cdc_deleted_at !== null) rows.delete(data.id)
      else rows.set(data.id, data.v)
    }
    const expected = await db.query('SELECT id, v FROM a ORDER BY id')
    expect([...rows].sort(([a], [b]) => Number(a) - Number(b))).toEqual(expected.map(({ id, v }) => [id, v]))
    // What was read before the last state is not read again.
    const cut = killed.messages.findLastIndex(({ type }) => type === 'STATE')
    const stored = killed.messages.slice(0, cut).filter(({ type }) => type === 'RECORD').length
    const scanned = resumed.records.filter(({ data }) => data._ab_cdc_deleted_at === null && data.v !== 'new')
    expect(stored).toBeGreaterThan(0)
    expect(scanned.length).toBeLessThanOrEqual(60_000 - stored)
  })

  test('a run without end goes on until SIGTERM, which ends it with a state', async () => {
    await using db = await database('CREATE TABLE a (id int PRIMARY KEY); INSERT INTO a VALUES (1)')
    const config = configOf(db, { state_type })
    const catalog = { ...configured(await discovered(config)), tail: true }
    await using running = await startConnector('read', { config, catalog })
    await running.waitFor(() => running.records.length === 1, 'the row')
    await running.waitFor(async () => {
      const [row] = await db.query('SELECT active FROM pg_replication_slots WHERE slot_name = $1', [config.slot_name])
      return row?.active
    }, 'the stream')
    await db.query('INSERT INTO a VALUES (2)')
    await running.waitFor(() => running.records.length === 2, 'the change')
    running.kill('SIGTERM')
    expect(await running.ended).toEqual({ code: 0, signal: null })
    expect(running.problem()).toBeUndefined()
    expect(running.messages.slice(-2).map(({ type }) => type)).toEqual(['STATE', 'TRACE'])
    await db.query('INSERT INTO a VALUES (3)')
    const next = await read(config, configured(await discovered(config)), foldedStates(running.states))
    expect(ids(next, 'a')).toEqual([3])
  })
})

test('a run whose client is gone ends with the next message, whatever that is', async () => {
  await using db = await database('CREATE TABLE a (id int PRIMARY KEY); INSERT INTO a VALUES (1)')
  const config = configOf(db, { checkpoint_seconds: 600 })
  const catalog = { ...configured(await discovered(config)), tail: true }
  await using running = await startConnector('read', { config, catalog })
  const isStreaming = async () => {
    const [row] = await db.query('SELECT active FROM pg_replication_slots WHERE slot_name = $1', [config.slot_name])
    return running.records.length === 1 && row?.active
  }
  await running.waitFor(isStreaming, 'the stream')
  running.closeOutput()
  await db.query(
    'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()',
  )
  expect(await running.ended).toEqual({ code: 141, signal: null })
})

test('streams whose states are of different runs: each goes on from its own, nothing twice and nothing lost', async () => {
  await using db = await database(`${TWO} INSERT INTO a VALUES (1); INSERT INTO b VALUES (1)`)
  const config = configOf(db)
  const catalog = configured(await discovered(config))
  const first = await read(config, catalog)
  await db.query('INSERT INTO a VALUES (2); INSERT INTO b VALUES (2)')
  const second = await read(config, catalog, foldedStates(first.states))
  await db.query('INSERT INTO a VALUES (3); INSERT INTO b VALUES (3)')
  const of = (states: ConnectorMessages['states'], name: string) =>
    states.findLast(({ stream }) => stream!.stream_descriptor.name === name)!
  const third = await read(config, catalog, [of(second.states, 'a'), of(first.states, 'b')])
  expect([ids(third, 'a'), ids(third, 'b')]).toEqual([[3], [2, 3]])
})

test('a stream that is missing, one of a wrong mode and one that cannot be captured: told, and the others are read', async () => {
  await using db = await database(`${TWO} CREATE TABLE keyless (v text); INSERT INTO a VALUES (1)`)
  const config = configOf(db)
  const streams = await discovered(config)
  const [a] = named(streams, 'a')
  const catalog = configured([a!, { ...a!, name: 'orderz' }, ...named(streams, 'keyless')])
  const invalid = { ...configured(named(streams, 'b')).streams[0]!, sync_mode: 'INVALID' }
  const run = await connectorHere('read', { config, catalog: { streams: [...catalog.streams, invalid] } })
  expect(run.code).toBe(1)
  expect(ids(run, 'a')).toEqual([1])
  expect(statusesOf(run, 'a')).toEqual(['STARTED', 'RUNNING', 'COMPLETE'])
  for (const name of ['orderz', 'keyless', 'b']) expect(statusesOf(run, name)).toEqual(['STARTED', 'INCOMPLETE'])
  const errors = Object.fromEntries(run.errors.map((error) => [error.stream_descriptor.name, error]))
  expect(errors.orderz).toMatchObject({
    failure_type: 'config_error',
    message: expect.stringContaining('no such table'),
  })
  expect(errors.keyless.message).toContain('REPLICA IDENTITY FULL')
  expect(errors.b.message).toContain('INVALID')
})

test('a stream whose state is given up says so; one table is one stream; a column named as ours is left out', async () => {
  await using db = await database(
    'CREATE TABLE a (id int PRIMARY KEY, _ab_cdc_lsn text, v text); INSERT INTO a VALUES (1, $$mine$$, $$v$$); CREATE TABLE b (id int PRIMARY KEY)',
  )
  const config = configOf(db)
  const catalog = configured(await discovered(config))
  const loose = catalog.streams.map((one) => ({ ...one, stream: { ...one.stream, namespace: undefined } }))
  const run = await connectorHere('read', { config, catalog: { streams: [...catalog.streams, ...loose] } })
  expect(run.errors.map(({ internal_message: text }) => text.slice(0, 20))).toEqual(
    Array(2).fill('AIRBYTE_STREAM_TWICE'),
  )
  expect(run.lines.find((line) => line.includes('"RECORD"'))).toMatch(/"data":\{"id":1,"v":"v","_ab_cdc_lsn":\d/)
  expect(run.logs.join('\n')).toContain('public.a: its own _ab_cdc_lsn is left out')
  await db.query('ALTER TABLE a DROP CONSTRAINT a_pkey, DROP COLUMN v')
  const without = await connectorHere('read', { config, catalog, state: foldedStates(run.states) })
  expect(without.errors).toHaveLength(1)
  expect(without.logs.join('\n')).toContain('public.a loses its state')
  await db.query('ALTER TABLE a ADD PRIMARY KEY (id)')
  const [a] = catalog.streams
  const { id: _, ...properties } = a!.stream.json_schema.properties
  const narrow = { streams: [{ ...a, stream: { ...a!.stream, json_schema: { properties } } }] }
  const { logs } = await read(config, narrow, foldedStates(without.states))
  expect(logs.join('\n')).toContain('public.a: the catalog has v, which the table has not')
  expect(logs.join('\n')).toContain('public.a: id of its key is not in the catalog')
})

test('legacy states know streams whose schema has a dot', async () => {
  await using db = await database('CREATE SCHEMA "a.b"; CREATE TABLE "a.b"."c.d" (id int PRIMARY KEY)')
  const config = configOf(db, { state_type: 'legacy' })
  const catalog = configured(await discovered(config))
  const first = await read(config, catalog)
  await db.query('INSERT INTO "a.b"."c.d" VALUES (1); DELETE FROM "a.b"."c.d"')
  const second = await read(config, catalog, foldedStates(first.states))
  expect(second.records.map(({ data }) => data._ab_cdc_deleted_at !== null)).toEqual([false, true])
})

test('full_refresh: all rows each time, also of a table without a key, and nothing is made on the server', async () => {
  await using db = await testDatabase(server, "CREATE TABLE keyless (v text); INSERT INTO keyless VALUES ('x'), ('y')")
  for (const state_type of STATE_TYPES) {
    const config = configOf(db, { state_type })
    const catalog = configured(await discovered(config), 'full_refresh')
    const first = await read(config, catalog)
    expect(first.records.map(({ data }) => data.v)).toEqual(['x', 'y'])
    expect(first.states.at(-1)!.type).toBe(state_type.toUpperCase())
    expect(statusesOf(first, 'keyless')).toEqual(['STARTED', 'RUNNING', 'COMPLETE'])
    const second = await read(config, catalog, foldedStates(first.states))
    expect(second.records.map(({ data }) => data.v)).toEqual(['x', 'y'])
    const last = Math.max(...first.records.map(({ emitted_at }) => emitted_at))
    expect(last).toBeLessThan(Math.min(...second.records.map(({ emitted_at }) => emitted_at)))
  }
  expect(await db.query('SELECT pubname FROM pg_publication')).toEqual([])
})

test('half a surrogate pair in json, however deep, comes as U+FFFD, and is told; without a key an updated row is gone first', async () => {
  await using db = await database(`
    CREATE TYPE pair AS (n int, doc json); CREATE TABLE a (id int, raw json, list json[], deep pair[]);
    ALTER TABLE a REPLICA IDENTITY FULL;
    INSERT INTO a VALUES (1, '{"x": "\\ud83d"}', ARRAY['["\\ude00"]'::json], ARRAY[(1, '"\\ud83d\\ude00\\ud83d"')::pair])`)
  const config = configOf(db)
  const catalog = configured(await discovered(config))
  const first = await read(config, catalog)
  const mended = { raw: { x: '\ufffd' }, list: [['\ufffd']], deep: [{ n: 1, doc: '\u{1f600}\ufffd' }] }
  expect(first.records.map(({ data }) => data)).toMatchObject([{ id: 1, ...mended }])
  expect(first.logs.filter((one) => one.includes('half a surrogate pair'))).toHaveLength(1)
  await db.query('UPDATE a SET id = 2')
  const second = await read(config, catalog, foldedStates(first.states))
  expect(second.records.map(({ data }) => data)).toMatchObject([
    { id: 1, ...mended, _ab_cdc_deleted_at: expect.any(String) },
    { id: 2, ...mended, _ab_cdc_deleted_at: null },
  ])
})

test('both modes in one catalog: each as it is wanted', async () => {
  await using db = await database(
    `${TWO} CREATE TABLE c (id int PRIMARY KEY); INSERT INTO a VALUES (1); INSERT INTO b VALUES (1)`,
  )
  for (const state_type of stateTypesOf('global')) {
    const config = configOf(db, { state_type, slot_name: `${state_type}_${db.name}`, publication_name: state_type })
    const streams = await discovered(config)
    const catalog = {
      streams: [...configured(named(streams, 'a')).streams, ...configured(named(streams, 'b'), 'full_refresh').streams],
    }
    const first = await read(config, catalog)
    const second = await read(config, catalog, foldedStates(first.states))
    expect([ids(second, 'a'), ids(second, 'b')]).toEqual([[], [1]])
    // Without end the full refresh comes first: what it states keeps what the client has of the others.
    await db.query('INSERT INTO c VALUES (1)')
    const all = { streams: [...catalog.streams, ...configured(named(streams, 'c')).streams], tail: true }
    await using running = await startConnector('read', { config, catalog: all, state: foldedStates(first.states) })
    await running.waitFor(() => running.states.length > 0, 'a state')
    running.kill('SIGKILL')
    await running.ended
    const stored = foldedStates([...first.states, running.states[0]!])
    await db.query('DELETE FROM a')
    const last = await read(config, { ...all, tail: false }, stored)
    expect([ids(last, 'a'), ids(last, 'b'), ids(last, 'c')]).toEqual([[1], [1], [1]])
    expect(last.records.find(({ stream }) => stream === 'a')!.data._ab_cdc_deleted_at).not.toBeNull()
    expect(last.logs.join('\n')).not.toContain('is read anew')
    await db.query('INSERT INTO a VALUES (1); DELETE FROM c')
  }
})

test('only the columns of the catalog are written, and a primary key of the catalog is the key of deletes', async () => {
  await using db = await database(
    "CREATE TABLE a (id int, code text NOT NULL, v text); ALTER TABLE a REPLICA IDENTITY FULL; INSERT INTO a VALUES (1, 'one', 'x')",
  )
  const config = configOf(db)
  const [stream] = await discovered(config)
  const { v: _, ...properties } = stream!.json_schema.properties
  const catalog = configured([{ ...stream!, json_schema: { properties } }])
  const keyed = { streams: [{ ...catalog.streams[0]!, primary_key: [['code']] }] }
  const first = await read(config, keyed)
  expect(Object.keys(first.records[0]!.data)).toEqual([
    'id',
    'code',
    '_ab_cdc_lsn',
    '_ab_cdc_updated_at',
    '_ab_cdc_deleted_at',
  ])
  await db.query("UPDATE a SET code = 'uno', v = 'y'")
  const second = await read(config, keyed, foldedStates(first.states))
  expect(second.records.map(({ data }) => [data.code, data._ab_cdc_deleted_at !== null])).toEqual([
    ['one', true],
    ['uno', false],
  ])
  const wrong = await connectorHere('read', {
    config,
    catalog: { streams: [{ ...catalog.streams[0]!, primary_key: [['code', 'x']] }] },
  })
  expect(wrong.code).toBe(1)
  expect(wrong.errors[0]!.message).toContain('["code","x"]')
})

test('a transaction open at the beginning of a scan is waited for with a word; one within it, committed after it, comes later', async () => {
  await using db = await database(
    "CREATE TABLE a (id int PRIMARY KEY, v text); INSERT INTO a SELECT i, repeat('x', 800) FROM generate_series(1, 60000) i",
  )
  const config = configOf(db, { checkpoint_seconds: 0.1 })
  const catalog = configured(await discovered(config))
  const before = await db.connect()
  await before.query("BEGIN; UPDATE a SET v = 'before' WHERE id = 1; DELETE FROM a WHERE id = 60000")
  await using scanning = await startConnector('read', { config, catalog })
  await scanning.waitFor(() => scanning.logs.some((one) => one.includes('waiting for')), 'it waits')
  await before.query('COMMIT')
  await scanning.waitFor(() => scanning.states.length > 0, 'a state')
  const within = await db.connect()
  await within.query(
    "BEGIN; UPDATE a SET v = 'within' WHERE id IN (2, 59000); DELETE FROM a WHERE id IN (3, 59001); INSERT INTO a VALUES (0, 'within')",
  )
  expect((await scanning.ended).code).toBe(0)
  expect(scanning.problem()).toBeUndefined()
  await within.query('COMMIT')
  const after = await read(config, catalog, foldedStates(scanning.states))
  const rows = new Map<unknown, unknown>()
  for (const { data } of [...scanning.records, ...after.records]) {
    if (data._ab_cdc_deleted_at !== null) rows.delete(data.id)
    else rows.set(data.id, data.v)
  }
  const expected = await db.query('SELECT id, v FROM a ORDER BY id')
  expect([...rows].sort(([a], [b]) => Number(a) - Number(b))).toEqual(expected.map(({ id, v }) => [id, v]))
})

test('a row that was written behind the last state, and deleted before the run is resumed, is deleted by the resumed run', async () => {
  await using db = await database(`${TWO} INSERT INTO b VALUES (1)`)
  await db.query("INSERT INTO a SELECT i, repeat('x', 800) FROM generate_series(1, 20000) i")
  for (const known of [false, true]) {
    const config = configOf(db, { slot_name: `known_${known}_${db.name}`, publication_name: `known_${known}` })
    const streams = await discovered(config)
    // The stream is the first of its slot, or new beside another one.
    const stored = known ? (await read(config, configured(named(streams, 'b')))).states : []
    const whole = await read(config, configured(streams), foldedStates(stored))
    const messages = whole.messages.filter(({ type }) => type === 'RECORD' || type === 'STATE')
    expect(messages.findIndex(({ type }) => type === 'STATE')).toBeLessThan(
      messages.findIndex(({ record }) => record?.stream === 'a'),
    )
    // As if it had been killed behind its rows, with the first state alone stored.
    const first = whole.states.filter(({ stream }) => stream!.stream_descriptor.name === 'a').slice(0, 1)
    await db.query("DELETE FROM a WHERE id % 1000 = 1; INSERT INTO a VALUES (20001, 'y') ON CONFLICT DO NOTHING")
    const resumed = await read(config, configured(streams), foldedStates([...stored, ...first]))
    const rows = new Map<unknown, readonly [number, boolean]>()
    for (const { stream, data } of [...whole.records, ...resumed.records]) {
      if (stream !== 'a' || (rows.get(data.id)?.[0] ?? 0) > (data._ab_cdc_lsn as number)) continue
      rows.set(data.id, [data._ab_cdc_lsn as number, data._ab_cdc_deleted_at === null])
    }
    const live = [...rows].filter(([, [, alive]]) => alive).map(([id]) => Number(id))
    expect(live.sort((a, b) => a - b)).toEqual((await db.query('SELECT id FROM a ORDER BY id')).map(({ id }) => id))
    await db.query("INSERT INTO a SELECT i, repeat('x', 800) FROM generate_series(1, 20000) i ON CONFLICT DO NOTHING")
  }
})

test('rows that came, of which no state was stored, and that are gone before the next run: it deletes them', async () => {
  await using db = await database(`${TWO} INSERT INTO a SELECT i, 'x' FROM generate_series(1, 3000) i`)
  const config = configOf(db)
  const catalog = configured(named(await discovered(config), 'a'))
  const whole = await read(config, catalog)
  expect(ids(whole, 'a')).toHaveLength(3000)
  await db.query(
    "DELETE FROM a WHERE id % 100 = 1; UPDATE a SET v = 'y' WHERE id % 100 = 2; INSERT INTO a VALUES (3001)",
  )
  const again = await read(config, catalog)
  const rows = new Map<unknown, Readonly<Record<string, unknown>>>()
  for (const { data } of [...whole.records, ...again.records]) {
    if (((rows.get(data.id)?._ab_cdc_lsn as number) ?? 0) <= (data._ab_cdc_lsn as number)) rows.set(data.id, data)
  }
  const live = [...rows.values()].filter((data) => data._ab_cdc_deleted_at === null).map(({ id, v }) => ({ id, v }))
  live.sort((one, other) => Number(one.id) - Number(other.id))
  expect(live).toEqual(await db.query('SELECT id, v FROM a ORDER BY id'))
})

test('a slot that was made before its publication is read from now on', async () => {
  await using db = await database(`${TWO} INSERT INTO a VALUES (1)`)
  const config = configOf(db, { publication_name: 'younger' })
  await db.query("SELECT pg_create_logical_replication_slot($1, 'pgoutput')", [config.slot_name])
  await db.query("UPDATE a SET v = 'x'")
  await db.query('CREATE PUBLICATION younger FOR TABLE a, b')
  const catalog = configured(await discovered(config))
  const first = await read(config, catalog)
  expect(first.records.map(({ data }) => [data.id, data.v])).toEqual([[1, 'x']])
  await db.query('DELETE FROM a')
  expect(ids(await read(config, catalog, foldedStates(first.states)), 'a')).toEqual([1])
})

test('values that JSON or a format has not are null, and the record says so; all others fit their schema', async () => {
  await using db = await database(`
    CREATE TABLE a (id int PRIMARY KEY, big bigint, num numeric, float float8, day date, at timestamptz, local timestamp,
      flag bool, doc jsonb, raw json, tags text[], grid int[], bytes bytea, uid uuid, t time, money money);
    INSERT INTO a VALUES (1, 9223372036854775807, 12345678901234567890.123, 1.5, '1999-01-08', '2024-01-15 14:30+00',
      '2024-01-15 14:30', true, '[1]', '"x"', '{a,NULL}', '{{1,2},{3,4}}', '\\xdeadbeef', gen_random_uuid(), '04:05:06', '1');
    INSERT INTO a (id, num, float, day, at, local) VALUES (2, 'NaN', '-Infinity', 'infinity', '-infinity', 'infinity');
    INSERT INTO a (id) VALUES (3);`)
  const config = configOf(db)
  const streams = await discovered(config)
  const run = await read(config, configured(streams))
  const validate = ajv.compile({ ...streams[0]!.json_schema, additionalProperties: false })
  for (const { data } of run.records) expect(validate(data), ajv.errorsText(validate.errors)).toBe(true)
  expect(run.stdout).toContain('"big":9223372036854775807,"num":12345678901234567890.123,')
  expect(run.records[0]!.data).toMatchObject({
    bytes: '3q2+7w==',
    grid: [
      [1, 2],
      [3, 4],
    ],
    doc: [1],
    raw: 'x',
  })
  expect(run.records[0]!.meta).toBeUndefined()
  expect(run.records[1]!.data).toMatchObject({ num: null, float: null, day: null, at: null, local: null })
  expect(run.records[1]!.meta!.changes).toEqual(
    ['num', 'float', 'day', 'at', 'local'].map((field) => ({
      field,
      change: 'NULLED',
      reason: 'SOURCE_SERIALIZATION_ERROR',
    })),
  )
  await db.query("UPDATE a SET float = 'NaN' WHERE id = 1")
  const update = await read(config, configured(streams), foldedStates(run.states))
  expect(update.records[0]!.data).toMatchObject({
    ...run.records[0]!.data,
    float: null,
    _ab_cdc_lsn: expect.anything(),
    _ab_cdc_updated_at: expect.anything(),
  })
})

test('large values that an update left as they were are in the record; a truncate is told', async () => {
  await using db = await database(
    'CREATE TABLE a (id int PRIMARY KEY, n int, v text); ALTER TABLE a ALTER v SET STORAGE EXTERNAL',
  )
  await db.query("INSERT INTO a VALUES (1, 0, repeat('large', 2000))")
  for (const toast of ['fetch', 'omit']) {
    const config = configOf(db, { toast, slot_name: `${toast}_${db.name}`, publication_name: toast })
    const catalog = configured(await discovered(config))
    const first = await read(config, catalog)
    await db.query('UPDATE a SET n = n + 1')
    const second = await read(config, catalog, foldedStates(first.states))
    expect((second.records[0]!.data.v as string | undefined)?.length).toBe(toast === 'fetch' ? 10_000 : undefined)
    expect(second.logs.some((one) => one.includes('Set toast to fetch'))).toBe(toast === 'omit')
    if (toast === 'omit') continue
    // By the time it is fetched it is not there.
    await db.query('UPDATE a SET n = n + 1')
    await db.query('DELETE FROM a')
    const { logs, records } = await read(config, catalog, foldedStates(second.states))
    expect(records.map(({ data }) => 'v' in data)).toEqual([false, true])
    expect(logs.join('\n')).toContain('by the time they were fetched the row was deleted')
    expect(logs.join('\n')).not.toContain('Set toast to fetch')
    await db.query("INSERT INTO a VALUES (1, 0, repeat('large', 2000))")
  }
  const config = configOf(db)
  const first = await read(config, configured(await discovered(config)))
  await db.query('TRUNCATE a')
  const second = await read(config, configured(await discovered(config)), foldedStates(first.states))
  expect(second.records).toEqual([])
  expect(second.logs.join('\n')).toContain('public.a was truncated')
})

test('records in the formats of Estuary and Debezium, whose fields the catalog declares', async () => {
  await using db = await database("CREATE TABLE a (id int PRIMARY KEY, v text); INSERT INTO a VALUES (1, 'x')")
  const expected = {
    estuary: ['Insert', 'Update', 'Delete'],
    debezium: ['c', 'u', 'd'],
  }
  for (const [record_format, operations] of Object.entries(expected)) {
    await db.query("DELETE FROM a; INSERT INTO a VALUES (1, 'x')")
    const config = configOf(db, {
      record_format,
      slot_name: `${record_format}_${db.name}`,
      publication_name: record_format,
    })
    const streams = await discovered(config)
    const validate = ajv.compile({ ...streams[0]!.json_schema, additionalProperties: false })
    const first = await read(config, configured(streams))
    await db.query("UPDATE a SET v = 'y'; DELETE FROM a")
    const second = await read(config, configured(streams), foldedStates(first.states))
    const records = [...first.records, ...second.records].map(({ data }) => data)
    for (const data of records) expect(validate(data), ajv.errorsText(validate.errors)).toBe(true)
    const operation = (data: Readonly<Record<string, unknown>>) =>
      data._change_type ?? (data._meta as { op: string }).op
    expect(records.map(operation)).toEqual(operations)
    if (record_format === 'debezium') {
      expect(records[0]!._meta).toMatchObject({ source: { schema: 'public', table: 'a', snapshot: true } })
      expect(Object.keys(records[2]!)).toEqual(['id', '_change_lsn', '_meta'])
    }
  }
})

test('a slot that is gone: an error with the way out, or all rows anew when that was asked for', async () => {
  await using db = await database('CREATE TABLE a (id int PRIMARY KEY); INSERT INTO a VALUES (1)')
  const config = configOf(db)
  const catalog = configured(await discovered(config))
  const first = await read(config, catalog)
  await db.query('SELECT pg_drop_replication_slot($1)', [config.slot_name])
  await db.query('INSERT INTO a VALUES (2)')
  const state = foldedStates(first.states)
  const failed = await connectorHere('read', { config, catalog, state })
  expect(failed.code).toBe(1)
  expect(failed.errors).toMatchObject([
    { failure_type: 'config_error', message: expect.stringContaining(config.slot_name) },
  ])
  expect(statusesOf(failed, 'a')).toEqual(['STARTED', 'INCOMPLETE'])
  expect(failed.errors[0]!.message).toContain('on_lost_position: "resync"')
  const again = await read({ ...config, on_lost_position: 'resync' }, catalog, state)
  expect(ids(again, 'a')).toEqual([1, 2])
  expect(again.logs.join('\n')).toContain('Rows that are gone by now stay at the destination')
  const next = await read(config, catalog, foldedStates(again.states))
  expect(next.records).toEqual([])
})

test("a saved position before the slot's: an error with the way out, or all rows anew when that was asked for", async () => {
  await using db = await database('CREATE TABLE a (id int PRIMARY KEY); INSERT INTO a VALUES (1)')
  const config = configOf(db)
  const catalog = configured(await discovered(config))
  const state = foldedStates((await read(config, catalog)).states)
  await db.query('INSERT INTO a VALUES (2)')
  await db.query('SELECT pg_replication_slot_advance($1, pg_current_wal_lsn())', [config.slot_name])
  const failed = await connectorHere('read', { config, catalog, state })
  expect(failed.code).toBe(1)
  expect(failed.errors).toMatchObject([{ failure_type: 'config_error' }])
  expect(ids(await read({ ...config, on_lost_position: 'resync' }, catalog, state), 'a')).toEqual([1, 2])
})

test('a state beyond all that the server has written: an error, since what it writes up to there would be passed over; or all rows anew', async () => {
  await using db = await database('CREATE TABLE a (id int PRIMARY KEY); INSERT INTO a VALUES (1)')
  const config = configOf(db, { state_type: 'stream' })
  const catalog = configured(await discovered(config))
  const first = await read(config, catalog)
  await db.query('INSERT INTO a VALUES (2)')
  const { lsn } = first.states.at(-1)!.stream!.stream_state as { lsn: string }
  const future = `7FFFFFF/${lsn.split('/')[1]}`
  const state = JSON.parse(JSON.stringify(foldedStates(first.states)).replaceAll(lsn, future))
  const failed = await connectorHere('read', { config, catalog, state })
  expect([failed.code, failed.records]).toEqual([1, []])
  expect(failed.errors).toMatchObject([{ failure_type: 'config_error' }])
  expect(ids(await read({ ...config, on_lost_position: 'resync' }, catalog, state), 'a')).toEqual([1, 2])
})

test("a capture of Estuary's connector goes on from its own state", async () => {
  await using db = await database(
    `${TWO} INSERT INTO a VALUES (1); INSERT INTO b VALUES (1); CREATE PUBLICATION flow_publication FOR ALL TABLES`,
  )
  const config = configOf(db)
  const [slot] = await db.query(
    "SELECT lsn::text, (lsn - '0/0')::text AS number FROM pg_create_logical_replication_slot($1, 'pgoutput')",
    [config.slot_name],
  )
  await db.query('INSERT INTO a VALUES (2); INSERT INTO b VALUES (2)')
  const catalog = configured(await discovered(config))
  const scanning = { mode: 'Scanning', scan_key: ['id'] }
  const state = { current_lsn: Number(slot!.number), streams: { 'public.a': { mode: 'Active' }, 'public.b': scanning } }
  for (const shape of [
    state,
    { data: state },
    { type: 'LEGACY', data: { cursor: slot!.lsn, streams: state.streams } },
  ]) {
    const run = await read(config, catalog, shape)
    expect([ids(run, 'a'), ids(run, 'b')]).toEqual([[2], [1, 2]])
  }
})

test("a connection of Airbyte's connector goes on from its own state: what it had not finished reading is read anew", async () => {
  await using db = await database(
    `${TWO} INSERT INTO a VALUES (1); INSERT INTO b VALUES (1); CREATE PUBLICATION airbyte FOR TABLE a, b`,
  )
  const { slot_name: replication_slot, ...rest } = configOf(db, { state_type: 'global' })
  const config = { ...rest, replication_method: { method: 'CDC', replication_slot, publication: 'airbyte' } }
  await db.query("SELECT pg_create_logical_replication_slot($1, 'pgoutput')", [replication_slot])
  await db.query('INSERT INTO a VALUES (2); INSERT INTO b VALUES (2)')
  const [at] = await db.query("SELECT (pg_current_wal_lsn() - '0/0')::text AS lsn")
  await db.query('INSERT INTO a VALUES (3); INSERT INTO b VALUES (3)')
  const lsn = Number(at!.lsn)
  const offset = { transaction_id: null, lsn, lsn_proc: lsn, lsn_commit: lsn, txId: 700, ts_usec: 1 }
  const stream = (name: string, more: object) => ({
    stream_descriptor: { name, namespace: 'public' },
    stream_state: { stream_name: name, stream_namespace: 'public', cursor_field: [], ...more },
  })
  const state = {
    type: 'GLOBAL',
    global: {
      shared_state: { state: { [JSON.stringify([db.name, { server: db.name }])]: JSON.stringify(offset) } },
      stream_states: [stream('a', {}), stream('b', { version: 2, state_type: 'ctid', ctid: '(0,1)' })],
    },
  }
  const catalog = configured(await discovered(config))
  const run = await read(config, catalog, [state])
  expect([ids(run, 'a'), ids(run, 'b')]).toEqual([[3], [1, 2, 3]])
  await db.query('INSERT INTO a VALUES (4); INSERT INTO b VALUES (4)')
  const next = await read(config, catalog, foldedStates(run.states))
  expect([ids(next, 'a'), ids(next, 'b')]).toEqual([[4], [4]])
})

test('the state of a connector that is not known is an error, not a new beginning', async () => {
  await using db = await testDatabase(server, 'CREATE TABLE a (id int PRIMARY KEY)')
  const config = configOf(db)
  const catalog = configured(await discovered(config))
  const run = await connectorHere('read', { config, catalog, state: [{ data: { cdc: 'x', other: 1 } }] })
  expect(run.code).toBe(1)
  expect(run.errors).toMatchObject([
    { failure_type: 'config_error', message: expect.stringContaining('another connector') },
  ])
})
