import type { Queryable } from './queryable.js'

/**
 * Virtual ids of the transactions of this database that are open, prepared ones included, also of those that have
 * written nothing yet (and have no xid): every transaction holds the lock on its own virtual id, or on its xid once it is
 * prepared, until all see that it has ended. Whoever may connect may look. Our own transaction is left out.
 */
export async function openTransactions(queryable: Queryable): Promise<string[]> {
  const rows = await queryable.query<{ id: string }>(
    `SELECT DISTINCT l.virtualtransaction AS id
       FROM pg_catalog.pg_locks l
       LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid
       LEFT JOIN pg_catalog.pg_prepared_xacts p ON l.pid IS NULL AND p.transaction = l.transactionid
      WHERE l.locktype IN ('virtualxid', 'transactionid') AND l.mode = 'ExclusiveLock' AND l.granted
        AND l.pid IS DISTINCT FROM pg_catalog.pg_backend_pid()
        AND coalesce(a.datname, p.database, pg_catalog.current_database()) = pg_catalog.current_database()
        AND a.backend_type IS DISTINCT FROM 'autovacuum worker'`,
  )
  return rows.map(({ id }) => id)
}
