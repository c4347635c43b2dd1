import type { CatalogTable } from '../../postgres/catalog/tables.js'
import { parseLsn } from '../../postgres/lsn.js'
import type { Queryable } from '../../postgres/queryable.js'
import type { Session } from '../../postgres/session.js'
import { replayedSnapshot } from '../../postgres/transactionSnapshot.js'
import type { SourceEvent } from '../events.js'
import { describeParty, inTheWayOf } from '../snapshot/locks.js'
import { lockSql } from '../snapshot/query.js'
import { BEGIN } from '../snapshot/tableLocks.js'
import type { Reading } from './stretches.js'

const REPORT_AFTER_MS = 2000
const NEXT_REPORT_MS = 10_000

/**
 * Begins the transaction of a chunk: locks the table before anything takes a snapshot, so that no rewrite comes between
 * (design section 3, rule 8). Waits for a migration that has the table, and tells of it.
 */
export async function lockForChunk(
  session: Session,
  table: CatalogTable,
  control: Queryable,
  emit: (event: SourceEvent) => void,
): Promise<void> {
  const since = performance.now()
  let timer: NodeJS.Timeout | undefined
  const report = async () => {
    timer = setTimeout(report, NEXT_REPORT_MS)
    const holders = await inTheWayOf(control, [table.oid]).catch(() => [])
    if (holders.length === 0) return
    const seconds = Math.round((performance.now() - since) / 1000)
    emit({ type: 'waiting-for-lock', seconds, holders: holders.map(describeParty) })
  }
  timer = setTimeout(report, REPORT_AFTER_MS)
  try {
    await session.query(`${BEGIN}; ${lockSql([table])}`)
  } finally {
    clearTimeout(timer)
  }
}

export interface OpenedChunk extends Reading {
  /** Of the table's name, columns and unique indexes as they are now; another one than before means another shape. */
  readonly shape: string
}

interface Row {
  readonly standby: boolean
  readonly snapshot: string
  readonly lsn: string
  readonly shape: string | null
}

// The statement's own snapshot is the transaction's; what it calls is called afterwards.
const OPEN = `
SELECT pg_catalog.pg_is_in_recovery() AS standby,
       pg_catalog.pg_current_snapshot()::pg_catalog.text AS snapshot,
       CASE WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_last_wal_replay_lsn()
            ELSE pg_catalog.pg_current_wal_insert_lsn() END::pg_catalog.text AS lsn,
       (SELECT pg_catalog.format('%I.%I ', n.nspname, c.relname) || pg_catalog.string_agg(pg_catalog.concat_ws(
                 ':', a.attnum, a.attname, a.atttypid, a.atttypmod, a.attnotnull, a.attgenerated), ',' ORDER BY a.attnum)
                 || ' ' || ARRAY(SELECT x.indexrelid FROM pg_catalog.pg_index x
                                  WHERE x.indrelid = c.oid AND x.indisunique AND x.indisvalid ORDER BY 1)::pg_catalog.text
          FROM pg_catalog.pg_attribute a
          JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
          JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
         WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped
         GROUP BY n.nspname, c.relname, c.oid) AS shape`

const REPLAYED = `SELECT pg_catalog.pg_last_wal_replay_lsn()::pg_catalog.text AS lsn`

/**
 * Takes the snapshot of the transaction that `lockForChunk` began, and tells which it is. On a standby what it shows is
 * known only when nothing was replayed meanwhile: `replayed` is what had been before; undefined otherwise.
 */
export async function openChunk(
  session: Session,
  oid: number,
  replayed: string | undefined,
): Promise<OpenedChunk | { readonly standby: true }> {
  const [row] = await session.query<Row>(OPEN, [oid])
  const { standby, snapshot, lsn, shape } = row!
  if (standby && lsn !== replayed) return { standby }
  return {
    snapshot: standby ? replayedSnapshot(lsn) : snapshot,
    until: parseLsn(lsn)!,
    shape: shape ?? '',
  }
}

/** How far a standby has replayed, as `openChunk` wants it. */
export async function replayedLsn(queryable: Queryable): Promise<string | undefined> {
  const [row] = await queryable.query<{ lsn: string | null }>(REPLAYED)
  return row!.lsn ?? undefined
}
