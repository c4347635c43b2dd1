import type { Queryable } from './queryable.js'

/**
 * Whether what these transactions wrote to catalogs is there for every change that a slot still gives: they were over
 * before any that it was made for, or has kept since. False also where that cannot be told: another slot may hold the same
 * horizon further back. Each as pg_catalog's `xmin` has it.
 */
export async function isBeforeSlot(queryable: Queryable, slot: string, xids: readonly string[]): Promise<boolean> {
  const [row] = await queryable.query<{ before: boolean | null }>(
    `SELECT pg_catalog.bool_and(pg_catalog.age(x::pg_catalog.xid) > pg_catalog.age(s.catalog_xmin)) AS before
       FROM pg_catalog.pg_replication_slots s, pg_catalog.unnest($2::pg_catalog.text[]) AS x
      WHERE s.slot_name = $1`,
    [slot, xids],
  )
  return row?.before === true
}
