import type { Queryable } from './queryable.js'

/** A xid, of 64 bits: whatever ended before this was asked has an earlier one. */
export async function nextXid(queryable: Queryable): Promise<string> {
  const [row] = await queryable.query<{ xid: string }>(
    'SELECT pg_catalog.pg_snapshot_xmax(pg_catalog.pg_current_snapshot())::pg_catalog.text AS xid',
  )
  return row!.xid
}

/**
 * Whether tables, other than temporary ones, or enums were made or altered by transactions that began since `xid`, and
 * have committed. Also a TRUNCATE is such a change.
 */
export async function catalogChangedSince(queryable: Queryable, xid: string): Promise<boolean> {
  const [row] = await queryable.query<{ changed: boolean }>(CHANGED, [xid])
  return row!.changed
}

// A row's xmin has 32 bits, and is less than half their range away from any present xid; below 3: frozen.
const CHANGED = `
SELECT EXISTS (
  SELECT FROM (
    SELECT xmin FROM pg_catalog.pg_class WHERE relpersistence <> 't'
    UNION ALL
    SELECT a.xmin FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
     WHERE c.relpersistence <> 't'
    UNION ALL
    SELECT i.xmin FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
     WHERE c.relpersistence <> 't'
    UNION ALL
    SELECT xmin FROM pg_catalog.pg_enum
  ) AS r,
  LATERAL (SELECT r.xmin::pg_catalog.text::pg_catalog.int8 AS xid) AS x
  WHERE x.xid >= 3
    AND (x.xid - $1::pg_catalog.int8 % 4294967296 + 4294967296) % 4294967296 < 2147483648
) AS changed`
