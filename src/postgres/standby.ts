import { quoteLiteral } from './identifier.js'
import { type Lsn, parseLsn } from './lsn.js'
import type { Queryable } from './queryable.js'

/** The first version whose standbys decode changes. */
export const DECODES_ON_STANDBYS = 160000

export interface StandbyFacts {
  readonly standby: boolean
  /** As the server prints it. */
  readonly version: string
  /** The slot is a copy of the primary's, by sync_replication_slots (17 and later). */
  readonly synced: boolean
  /** Of a primary: the end of all WAL that is written, flushed or not. */
  readonly insertLsn: Lsn | undefined
}

/** In words that a replication session takes, too: it has no parameters, and gives text for every type. */
export async function standbyFacts(queryable: Queryable, slot: string): Promise<StandbyFacts> {
  const [row] = await queryable.query<{
    standby: string
    version: string
    synced: string | null
    inserted: string | null
  }>(
    `SELECT pg_catalog.pg_is_in_recovery()::pg_catalog.text AS standby,
            pg_catalog.current_setting('server_version') AS version,
            (SELECT pg_catalog.to_jsonb(s) ->> 'synced' FROM pg_catalog.pg_replication_slots s
              WHERE s.slot_name = ${quoteLiteral(slot)}) AS synced,
            CASE WHEN NOT pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_current_wal_insert_lsn()::pg_catalog.text END AS inserted`,
  )
  const { standby, version, synced, inserted } = row!
  const insertLsn = inserted === null ? undefined : parseLsn(inserted)
  return { standby: standby === 'true', version, synced: synced === 'true', insertLsn }
}
