import type { ConnectionOptions } from '../postgres/connectionString.js'
import type { Queryable } from '../postgres/queryable.js'
import { sqlstateOf } from '../postgres/serverError.js'
import { Session } from '../postgres/session.js'
import type { ParsedDestination } from './options.js'

/** So that a cut network frees the checkpoint's row before TCP's own two hours are over. */
const KEEPALIVE = { tcp_keepalives_idle: '30', tcp_keepalives_interval: '10', tcp_keepalives_count: '6' }
/** What row level security would hide is an error, not a row that is not there. */
const WRITING = { row_security: 'off' }
const INSUFFICIENT_PRIVILEGE = '42501'

/** Which of the server's processes a session was. */
export interface Backend {
  readonly pid: number
  readonly startedAt: string
}

/** A session that writes, and what it was to the server. */
export interface WriteSession {
  readonly session: Session
  readonly backend: Backend
}

export type WriteSettings = Pick<ParsedDestination, 'replicationRole' | 'synchronousCommit' | 'signal'>

/**
 * Connects, ready to write. `before` is the session lost before this one: if the server has not noticed yet, its process
 * still holds the checkpoint's row, and is ended.
 */
export async function connectToWrite(
  connection: ConnectionOptions,
  { replicationRole, synchronousCommit, signal }: WriteSettings,
  before: Backend | undefined,
): Promise<WriteSession> {
  const settings = { ...WRITING, ...KEEPALIVE }
  const session = await Session.connect(connection, { settings, ...(signal !== undefined && { signal }) })
  try {
    if (before !== undefined) await terminate(session, [before])
    // Else the source would be told of what a crash of the target may still undo. What may be off is so by itself (LazyCommits).
    const wanted = synchronousCommit === 'off' ? 'local' : synchronousCommit
    const [row] = await session.query<Backend>(
      `SELECT pid, backend_start::pg_catalog.text AS "startedAt",
              pg_catalog.set_config('synchronous_commit', coalesce($1,
                nullif(pg_catalog.current_setting('synchronous_commit'), 'off'), 'local'), false)
         FROM pg_catalog.pg_stat_activity WHERE pid = pg_catalog.pg_backend_pid()`,
      [wanted ?? null],
    )
    if (replicationRole !== 'origin') await becomeReplica(session, replicationRole === 'replica')
    return { session, backend: row! }
  } catch (error) {
    session.destroy()
    throw error
  }
}

/** Ends processes of ours whose connections were cut, which they may not have noticed. */
export async function terminate(queryable: Queryable, backends: readonly Backend[]): Promise<void> {
  await queryable.query(
    `SELECT pg_catalog.pg_terminate_backend(a.pid)
       FROM pg_catalog.pg_stat_activity a
       JOIN ROWS FROM (
         pg_catalog.unnest($1::pg_catalog.int4[]), pg_catalog.unnest($2::pg_catalog.text[])
       ) AS b (pid, started)
         ON a.pid = b.pid AND a.backend_start = b.started::pg_catalog.timestamptz
      WHERE a.usename = CURRENT_USER`,
    [backends.map(({ pid }) => pid), backends.map(({ startedAt }) => startedAt)],
  )
}

async function becomeReplica(session: Session, required: boolean): Promise<void> {
  try {
    await session.query('SET session_replication_role = replica')
  } catch (error) {
    if (required || sqlstateOf(error) !== INSUFFICIENT_PRIVILEGE) throw error
  }
}
