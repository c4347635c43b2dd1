import pg from 'pg'
import { EmbeddedPostgres } from '../../src/cli/embedded/server.js'

/** More of them are stopped: each holds memory. */
const MOST_IDLE = 3

interface Idle {
  readonly kind: string
  readonly server: EmbeddedPostgres
}

/** Of this process, whichever of its test files asks. The keeper ends them with it. */
const idle: Idle[] = []

/**
 * A server of this kind that another test file had, as good as new; or one that `start` makes. Its end gives it back, unless
 * it was stopped meanwhile, or something is left in it that does not go with a database, a slot or a role.
 */
export async function leaseServer(kind: string, start: () => Promise<EmbeddedPostgres>): Promise<EmbeddedPostgres> {
  const found = idle.findIndex((one) => one.kind === kind && one.server.pid !== undefined)
  const server = idle.splice(found, found < 0 ? 0 : 1)[0]?.server ?? (await start())
  const { pid } = server
  atItsEnd(server, async () => {
    atItsEnd(server, async () => {})
    if (server.pid !== pid || !(await clean(server.url()).catch(() => false))) return remove(server)
    idle.push({ kind, server })
    if (idle.length > MOST_IDLE) await remove(idle.shift()!.server)
  })
  return server
}

function atItsEnd(server: EmbeddedPostgres, work: () => Promise<void>): void {
  Object.defineProperty(server, Symbol.asyncDispose, { configurable: true, value: work })
}

function remove(server: EmbeddedPostgres): Promise<void> {
  return EmbeddedPostgres.prototype[Symbol.asyncDispose].call(server)
}

/** Whether nothing is left of what tests made there. */
async function clean(url: string): Promise<boolean> {
  const client = new pg.Client({ connectionString: url })
  client.on('error', () => {})
  await client.connect()
  try {
    const { rows } = await client.query<{ sql: string | null }>(LEFT)
    for (const { sql } of rows) {
      if (sql === null) return false
      await client.query(sql)
    }
    return true
  } finally {
    await client.end()
  }
}

/** What removes each thing that is left, in order; null for what is not looked into. */
const LEFT = `
  SELECT sql FROM (
    SELECT 0 AS step, NULL AS sql WHERE pg_is_in_recovery()
      OR EXISTS (SELECT FROM pg_prepared_xacts) OR EXISTS (SELECT FROM pg_db_role_setting)
      OR EXISTS (SELECT FROM pg_file_settings WHERE sourcefile LIKE '%/postgresql.auto.conf')
      OR EXISTS (SELECT FROM pg_tablespace WHERE oid >= 16384)
      OR EXISTS (SELECT FROM pg_class WHERE oid >= 16384) OR EXISTS (SELECT FROM pg_proc WHERE oid >= 16384)
      OR EXISTS (SELECT FROM pg_namespace WHERE oid >= 16384) OR EXISTS (SELECT FROM pg_publication)
      OR EXISTS (SELECT FROM pg_extension WHERE oid >= 16384)
    UNION ALL SELECT 1, format('SELECT pg_drop_replication_slot(%L)', slot_name) FROM pg_replication_slots
    UNION ALL SELECT 2, format('DROP DATABASE %I WITH (FORCE)', datname) FROM pg_database WHERE oid >= 16384
    UNION ALL SELECT 3, format('DROP ROLE %I', rolname) FROM pg_roles WHERE oid >= 16384
  ) AS things ORDER BY step`
