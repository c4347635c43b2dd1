import type { PlannedTable } from '../capturePlan.js'

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
  return plan.full || plan.insertsOnly ? (indexes[0] ?? []) : []
}
