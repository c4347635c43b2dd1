import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { EmbeddedPostgres } from '../../../src/cli/embedded/server.js'
import {
  type AnyMessage,
  type ConnectorRun,
  connector,
  connectorHere,
  type StateMessage,
} from '../../support/airbyte/connector.js'
import { configured, discovered, foldedStates, STATE_TYPES, stateTypesOf } from '../../support/airbyte/syncs.js'
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

/** Slots are the cluster's: each database has its own. */
const configOf = (db: TestDatabase, more: object = {}) => ({
  connectionURI: db.url,
  slot_name: `slot_${db.name}`,
  ...more,
})

async function read(config: object, catalog: unknown, state?: unknown): Promise<ConnectorRun> {
  const run = await connector('read', { config, catalog, ...(state !== undefined && { state }) })
  expect({ code: run.code, errors: run.errors, stderr: run.stderr }).toEqual({ code: 0, errors: [], stderr: '' })
  return run
}

const kind = (message: AnyMessage): string =>
  message.type === 'TRACE' ? (message.trace.stream_status?.status ?? message.trace.type) : message.type

describe.each(STATE_TYPES)('state of type %s', (state_type) => {
  test('rows, then what changed since, then nothing: each run goes on where the state says', async () => {
    await using db = await database("CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1,'a'),(2,'b')")
    const config = configOf(db, { state_type })
    const catalog = configured(await discovered(config))
    const first = await read(config, catalog, [])
    expect(first.records.map(({ data }) => data)).toEqual([
      {
        id: 1,
        v: 'a',
        _ab_cdc_lsn: expect.any(Number),
        _ab_cdc_updated_at: expect.stringMatching(/^\d{4}-.*Z$/),
        _ab_cdc_deleted_at: null,
      },
      expect.objectContaining({ id: 2, v: 'b' }),
    ])
    expect(first.records[0]).toMatchObject({ stream: 't', namespace: 'public' })
    const order = first.messages.filter(({ type }) => type !== 'LOG').map(kind)
    // The first STATE comes before the rows: whoever is cut off behind it goes on from there.
    expect(order).toEqual(['STARTED', 'STATE', 'RECORD', 'RUNNING', 'RECORD', 'STATE', 'COMPLETE'])
    expect(first.states.at(-1)!.type).toBe(state_type.toUpperCase())

    await db.query("DELETE FROM t WHERE id = 1; UPDATE t SET v = 'c'; INSERT INTO t VALUES (3, 'd')")
    const second = await read(config, catalog, foldedStates(first.states))
    expect(second.records.map(({ data }) => [data.id, data.v, data._ab_cdc_deleted_at !== null])).toEqual([
      [1, null, true],
      [2, 'c', false],
      [3, 'd', false],
    ])
    const cursors = [...first.records, ...second.records].map(({ data }) => data._ab_cdc_lsn as number)
    expect(cursors.slice(2)).toEqual([...new Set(cursors.slice(2))].sort((a, b) => a - b))
    expect(Math.min(...cursors.slice(2))).toBeGreaterThan(Math.max(...cursors.slice(0, 2)))

    const [{ lsn }] = (await db.query('SELECT pg_current_wal_flush_lsn()::text AS lsn')) as [{ lsn: string }]
    const began = performance.now()
    const third = await read(config, catalog, foldedStates(second.states))
    // At once, and not when some timeout is over; `npm run bench -- airbyte` has it under three seconds.
    expect(performance.now() - began).toBeLessThan(8000)
    expect(third.records).toEqual([])
    expect(third.messages.filter(({ type }) => type !== 'LOG').map(kind)).toEqual([
      'STARTED',
      'RUNNING',
      'STATE',
      'COMPLETE',
    ])
    const [{ moved }] = (await db.query('SELECT $1::pg_lsn >= $2::pg_lsn AS moved', [
      lsnOf(third.states.at(-1)!),
      lsn,
    ])) as [{ moved: boolean }]
    expect(moved).toBe(true)
  })

  test('the slot is moved to what the incoming state says, and no further', async () => {
    await using db = await database("CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1,'a')")
    const config = configOf(db, { state_type })
    const catalog = configured(await discovered(config))
    const confirmed = async () => {
      const [row] = await db.query(
        'SELECT confirmed_flush_lsn::text AS lsn FROM pg_replication_slots WHERE slot_name = $1',
        [config.slot_name],
      )
      return row!.lsn as string
    }
    const first = await read(config, catalog)
    await db.query("UPDATE t SET v = 'b'")
    const repeated = await read(config, catalog, foldedStates(first.states))
    expect(repeated.records).toHaveLength(1)
    expect(await confirmed()).toBe(lsnOf(first.states.at(-1)!))
    // Its state was lost: the same comes again.
    const again = await read(config, catalog, foldedStates(first.states))
    expect(again.records.map(({ data }) => data)).toEqual(repeated.records.map(({ data }) => data))
    await read(config, catalog, foldedStates(again.states))
    expect(await confirmed()).toBe(lsnOf(again.states.at(-1)!))
    expect(lsnOf(again.states.at(-1)!)).not.toBe(lsnOf(first.states.at(-1)!))
  })
})

describe.each(stateTypesOf('legacy'))('state of type %s', (state_type) => {
  test('every state within a run can be gone on from: what follows it comes, and the whole is the table', async () => {
    await using db = await database(
      'CREATE TABLE t (id int PRIMARY KEY, v text); CREATE TABLE u (a text, b int, PRIMARY KEY (a, b))',
    )
    await db.query(
      "INSERT INTO t SELECT i, repeat('x', 500) FROM generate_series(1, 40000) i; INSERT INTO u SELECT i::text, i FROM generate_series(1, 3000) i",
    )
    const config = configOf(db, { state_type, checkpoint_seconds: 0.1 })
    const catalog = configured(await discovered(config))
    const first = await read(config, catalog)
    expect(first.states.length).toBeGreaterThan(2)
    await db.query(
      "DELETE FROM t WHERE id % 7 = 0; UPDATE t SET v = 'new' WHERE id % 5 = 0; UPDATE u SET b = b + 1 WHERE b < 10",
    )
    const resume = (state: unknown) => connectorHere('read', { config, catalog, state })
    for (const cut of pick(first)) {
      const before = first.messages.slice(0, cut)
      const states = before.filter(({ type }) => type === 'STATE').map(({ state }) => state as StateMessage)
      const resumed = await resume(foldedStates(states))
      expect({ code: resumed.code, errors: resumed.errors }).toEqual({ code: 0, errors: [] })
      const all = [...before, ...resumed.messages].flatMap(({ record }) => (record === undefined ? [] : [record]))
      expect(folded(all, 't', ['id']).map(({ id, v }) => [id, v])).toEqual(
        (await db.query('SELECT id, v FROM t ORDER BY id')).map(({ id, v }) => [id, v]),
      )
      expect(folded(all, 'u', ['a', 'b']).length).toBe(3000)
    }
  })
})

/** Positions behind some STATE messages: the first, one in the middle, the last but one. */
function pick(run: ConnectorRun): number[] {
  const at = run.messages.flatMap(({ type }, index) => (type === 'STATE' ? [index + 1] : []))
  return [at[0]!, at[Math.floor(at.length / 2)]!, at.at(-2)!]
}

/** By key the record with the greatest cursor, the later of two equal ones; without those deleted. */
function folded(records: readonly { stream: string; data: Record<string, unknown> }[], stream: string, key: string[]) {
  const rows = new Map<string, Record<string, unknown>>()
  for (const { stream: of, data } of records) {
    if (of !== stream) continue
    const id = JSON.stringify(key.map((name) => data[name]))
    if ((rows.get(id)?._ab_cdc_lsn as number) > (data._ab_cdc_lsn as number)) continue
    rows.set(id, data)
  }
  const live = [...rows.values()].filter(({ _ab_cdc_deleted_at: deleted }) => deleted === null)
  return live.sort((a, b) => Number(a[key[0]!]) - Number(b[key[0]!]))
}

function lsnOf(state: StateMessage): string {
  const holder = state.stream?.stream_state ?? state.global?.shared_state ?? state.data
  return (holder as { lsn: string }).lsn
}
