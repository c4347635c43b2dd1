import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { fromDist } from './dist.mjs'

/**
 * The same for all contestants: the dataset fits into memory, no checkpoint or vacuum falls into a measurement, and
 * whatever is read was made by a server that did not wait for the disk.
 */
const SETTINGS = {
  shared_buffers: '1GB',
  max_wal_size: '16GB',
  checkpoint_timeout: '1h',
  autovacuum: 'off',
  max_connections: '50',
}

/** A server on TCP loopback, with `more` settings, in a temporary folder that goes with it. */
export async function startServer(major, more = {}) {
  const { EmbeddedPostgres } = await fromDist('cli/embedded/server.js')
  const { platformName } = await fromDist('cli/embedded/binaries.js')
  return EmbeddedPostgres.start({ binaries: [`postgres-${major}-${platformName}`], settings: { ...SETTINGS, ...more } })
}

/** Runs `use` with a connection, which is closed afterwards. */
export async function withClient(server, database, use) {
  const client = new pg.Client(server.url(database))
  client.on('error', () => {}) // a query under way rejects with it
  await client.connect()
  try {
    return await use(client)
  } finally {
    await client.end()
  }
}

/** Everything committed is flushed, and no checkpoint is due: a reader can begin. */
export async function settle(client) {
  await client.query('CHECKPOINT')
}

export async function createSlot(client, slot) {
  await client.query(`SELECT pg_create_logical_replication_slot($1, 'pgoutput')`, [slot])
}

/** A second slot that reads the same WAL from the same place. */
export async function copySlot(client, from, to) {
  await client.query('SELECT pg_copy_logical_replication_slot($1, $2)', [from, to])
}

/** If it is there; also when whoever reads it has failed and its walsender has not noticed yet. */
export async function dropSlot(client, slot) {
  const holder = 'SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = $1 AND active'
  while ((await client.query(holder, [slot])).rowCount > 0) await sleep(10)
  await client.query('SELECT pg_drop_replication_slot($1) FROM pg_replication_slots WHERE slot_name = $1', [slot])
}

export async function currentLsn(client) {
  const { rows } = await client.query('SELECT pg_current_wal_flush_lsn()::text AS lsn')
  return rows[0].lsn
}

/** Resolves when nobody but us is connected, and the server has ended what it did for those who were. */
export async function alone(client, limitMs = 30_000) {
  const deadline = performance.now() + limitMs
  const others = `SELECT 1 FROM pg_stat_activity
    WHERE backend_type IN ('client backend', 'walsender', 'parallel worker') AND pid <> pg_backend_pid()`
  while ((await client.query(others)).rowCount > 0) {
    if (performance.now() > deadline) throw new Error('a session outlives its client')
    await sleep(5)
  }
}
