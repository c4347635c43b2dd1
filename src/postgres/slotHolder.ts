import type { Queryable } from './queryable.js'

/** Who reads a slot now. */
export interface SlotHolder {
  readonly pid: number
  /** Undefined where we may not see it. */
  readonly application: string | undefined
  readonly address: string | undefined
  /** When it last said that it lives, by its own clock in milliseconds. */
  readonly repliedAt: number | undefined
}

interface Row {
  readonly pid: number
  readonly application: string | null
  readonly address: string | null
  readonly replied_at: number | null
}

/** Undefined when nobody reads it. Of another role's session little is seen without pg_read_all_stats. */
export async function slotHolder(queryable: Queryable, slot: string): Promise<SlotHolder | undefined> {
  const [row] = await queryable.query<Row>(
    `SELECT s.active_pid AS pid,
            r.application_name AS application,
            pg_catalog.host(r.client_addr) AS address,
            EXTRACT(epoch FROM r.reply_time)::pg_catalog.float8 * 1000 AS replied_at
       FROM pg_catalog.pg_replication_slots s
       LEFT JOIN pg_catalog.pg_stat_replication r ON r.pid = s.active_pid
      WHERE s.slot_name = $1 AND s.active_pid IS NOT NULL`,
    [slot],
  )
  if (row === undefined) return undefined
  return {
    pid: row.pid,
    application: row.application || undefined,
    address: row.address ?? undefined,
    repliedAt: row.replied_at ?? undefined,
  }
}
