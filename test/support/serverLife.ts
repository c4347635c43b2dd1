import type { EmbeddedPostgres } from '../../src/cli/embedded/server.js'
import type { TailraceError } from '../../src/core/tailraceError.js'
import type { TestDatabase } from './database.js'
import type { SourceReader } from './sourceReader.js'

/** Ends the run's replication connection, from outside and without its doing. */
export async function killWalsender(db: TestDatabase): Promise<void> {
  const killed = await db.query(
    `SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots
      WHERE database = current_database() AND active_pid IS NOT NULL`,
  )
  if (killed.length === 0) throw new Error('nobody streams')
}

/** What ended the run, after what. */
export async function failureOf(reader: SourceReader): Promise<TailraceError> {
  return reader.ended.then(
    () => {
      throw new Error('the run ended without an error')
    },
    (error) => error,
  )
}

/** Writes WAL until whoever needs an old segment has lost it: with max_slot_wal_keep_size of a few MB. */
export async function loseWal(db: TestDatabase): Promise<void> {
  for (let segment = 0; segment < 4; segment++) {
    await db.query("SELECT pg_logical_emit_message(false, 'ballast', repeat('x', 100000)); SELECT pg_switch_wal()")
  }
  await db.query('CHECKPOINT')
}

/** A server whose slots may hold little WAL. */
export const LITTLE_WAL = { max_slot_wal_keep_size: '1MB', min_wal_size: '32MB', max_wal_size: '48MB' }

/** The same database by way of several servers, the first that answers. */
export function urlOfAll(servers: readonly EmbeddedPostgres[], database: string): string {
  const hosts = servers.map(({ port }) => `127.0.0.1:${port}`).join(',')
  return `postgresql://postgres@${hosts}/${database}`
}
