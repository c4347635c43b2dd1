import { expect, test } from 'vitest'
import { connectorHere, type RecordMessage } from '../../support/airbyte/connector.js'
import { configured, discovered, stateTypesOf } from '../../support/airbyte/syncs.js'
import { testDatabase } from '../../support/database.js'
import { startServer } from '../../support/servers.js'

const ROWS = 9000
/** A row a page, so that a small table is read in several pieces. */
const TABLE = `CREATE TABLE t (id int PRIMARY KEY, v text) WITH (fillfactor = 10);
  ALTER TABLE t ALTER v SET STORAGE PLAIN`

const refreshing = (line: string) => line.startsWith('{"type":"STATE"') && line.includes('"refreshing"')

test('a full refresh that was cut off goes on: each row comes, also one that was moved to where all had been read', async () => {
  await using server = await startServer()
  await using db = await testDatabase(server, TABLE)
  for (const state_type of stateTypesOf('stream')) {
    await db.query('TRUNCATE t')
    await db.query(`INSERT INTO t SELECT i, repeat('x', 450) FROM generate_series(1, ${ROWS}) i`)
    const config = { connectionURI: db.url, state_type, checkpoint_seconds: 0.1, snapshot_workers: 1 }
    const streams = await discovered(config)
    expect(streams[0]).toMatchObject({ name: 't', is_resumable: true })
    const catalogOf = (generation_id: number, destination_sync_mode: string) => ({
      streams: configured(streams, 'full_refresh').streams.map((one) => {
        return { ...one, generation_id, sync_id: 1, destination_sync_mode }
      }),
    })
    const read = async (state: unknown, generation = 1, destination = 'overwrite_dedup') => {
      const run = await connectorHere('read', { config, catalog: catalogOf(generation, destination), state })
      expect({ code: run.code, errors: run.errors }).toEqual({ code: 0, errors: [] })
      return run
    }
    const whole = await read([])
    expect(whole.lines.filter((line) => line.startsWith('{"type":"RECORD"'))).toHaveLength(ROWS)
    // Nothing that came behind this line got to the client.
    const cut = whole.lines.findIndex(refreshing)
    expect(cut).toBeGreaterThan(0)
    const state = [JSON.parse(whole.lines[cut]!).state]
    const before = whole.messages
      .slice(0, cut)
      .flatMap(({ type, record }) => (type === 'RECORD' ? [record as RecordMessage] : []))
    expect(before.length).toBeLessThan(ROWS)

    // Pages that were read are emptied, and rows from pages that were not move there.
    await db.query('DELETE FROM t WHERE id <= 1000')
    await db.query('VACUUM t')
    await db.query(`UPDATE t SET v = repeat('moved', 1560) WHERE id > ${ROWS - 50}`)
    await db.query("UPDATE t SET v = 'new' WHERE id BETWEEN 1500 AND 1600; INSERT INTO t VALUES (-1, 'added')")
    const [{ moved }] = (await db.query(
      `SELECT count(*)::int AS moved FROM t WHERE id > ${ROWS - 50} AND ctid < '(1000,0)'`,
    )) as [{ moved: number }]
    expect(moved).toBe(50)

    const resumed = await read(state)
    const { records } = resumed
    expect(records.length).toBeLessThan(ROWS - before.length + 500)
    expect(new Map(folded([...before, ...records]))).toEqual(
      new Map([
        ...before.filter(({ data }) => (data.id as number) <= 1000).map(({ data }) => [data.id, data.v] as const),
        ...(await db.query('SELECT id, v FROM t')).map(({ id, v }) => [id, v] as const),
      ]),
    )
    // It is finished: the next sync begins anew.
    expect(resumed.states.at(-1)!.stream?.stream_state ?? {}).toEqual({})

    // A destination that keeps all has kept what came before the state, too: old versions stay beside new ones, with a word.
    const plain = await read(state, 1, 'overwrite')
    expect(plain.records).toHaveLength(records.length)
    const both = 'destination_sync_mode overwrite both versions stay'
    expect(plain.logs.filter((one) => one.includes(both))).toHaveLength(1)
    expect(resumed.logs.join()).not.toContain('both versions stay')

    // Another sync; a table whose rows lie elsewhere now.
    const rows = ROWS - 1000 + 1
    const other = await read(state, 2, 'overwrite')
    expect(other.records).toHaveLength(rows)
    expect(other.logs.join()).not.toContain('both versions stay')
    await db.query('VACUUM FULL t')
    expect((await read(state)).records).toHaveLength(rows)
  }
})

function folded(records: readonly RecordMessage[]): [unknown, unknown][] {
  const byKey = new Map<unknown, RecordMessage>()
  for (const record of records) {
    const known = byKey.get(record.data.id)
    if (known === undefined || (known.data._ab_cdc_lsn as number) <= (record.data._ab_cdc_lsn as number)) {
      byKey.set(record.data.id, record)
    }
  }
  return [...byKey].map(([id, { data }]) => [id, data.v])
}
