import type { PlannedTable } from '../capturePlan.js'
import { type TableProgress, unreadTable } from './progress.js'

/**
 * The columns in whose order a table is read in chunks: those of an index, in its order, that tell every row apart and that
 * every change carries; none: the table is read whole. Prefers the index of the records' key.
 */
export function scanKeyOf({ table, plan, columns }: PlannedTable): readonly string[] {
  const { primaryKey, identityColumns, uniqueKeys } = table
  const indexes = [primaryKey?.columns, identityColumns, ...uniqueKeys.map((key) => key.columns)].filter((index) =>
    index?.every((name) => columns.includes(name)),
  ) as (readonly string[])[]
  const same = indexes.find(
    (index) => index.length === plan.key.length && index.every((name) => plan.key.includes(name)),
  )
  if (same !== undefined) return same
  // With the whole old row every index will do.
  const whole = table.replicaIdentity === 'full' && !plan.notWhole
  return whole || plan.insertsOnly ? (indexes[0] ?? []) : []
}

/** The table, to be read from its beginning; `id` names the snapshot in its rows' ids. */
export function toBeRead(planned: PlannedTable, id: string, again = false): TableProgress {
  const { oid, schema, name } = planned.table
  return unreadTable({ oid, id, schema, name, key: scanKeyOf(planned) }, { again })
}
