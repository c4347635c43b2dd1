import { sleep } from '../core/abort.js'
import { type Lsn, lastRecordEnd, parseLsn } from '../postgres/lsn.js'
import type { Queryable } from '../postgres/queryable.js'

const POLL_MS = 20
/** A commit with synchronous_commit = off is flushed after three times wal_writer_delay (0.2 s) at the latest. */
const ASYNC_COMMIT_MS = 1000

/**
 * The LSN behind everything that is committed now. The stream sends what is flushed only, and what is written without
 * a commit may stay unflushed for long: so the flushed end, once asynchronous commits had their time to get there.
 */
export async function currentLsn(queryable: Queryable, signal: AbortSignal): Promise<Lsn> {
  const inserted = lastRecordEnd((await read(queryable)).inserted)
  const since = performance.now()
  for (;;) {
    const { flushed } = await read(queryable)
    if (flushed >= inserted) return inserted
    if (performance.now() - since > ASYNC_COMMIT_MS) return flushed
    await sleep(POLL_MS, signal)
  }
}

async function read(queryable: Queryable): Promise<{ readonly inserted: Lsn; readonly flushed: Lsn }> {
  const [row] = await queryable.query<{ inserted: string; flushed: string }>(
    `SELECT CASE WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_last_wal_replay_lsn()
                 ELSE pg_catalog.pg_current_wal_insert_lsn() END::pg_catalog.text AS inserted,
            CASE WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_last_wal_replay_lsn()
                 ELSE pg_catalog.pg_current_wal_flush_lsn() END::pg_catalog.text AS flushed`,
  )
  return { inserted: parseLsn(row!.inserted)!, flushed: parseLsn(row!.flushed)! }
}
