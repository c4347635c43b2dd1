import type { FoundRow, SeenRow, SeenRows } from './rowReader.js'
import type { RowState } from './settling.js'
import type { PairedColumn, TablePair } from './tablePair.js'

export type Values = readonly (string | null)[]

/** What makes the rows of one transaction equal. Rows stand in it by id. */
export interface RepairPlan {
  readonly deletes: readonly string[]
  readonly inserts: readonly { readonly id: string; readonly values: Values }[]
  readonly updates: readonly RowUpdate[]
  /** What the source shows of every row that is touched, and the target is to show afterwards. */
  readonly wanted: ReadonlyMap<string, RowState>
  /** Equal by now. */
  readonly equal: number
  /** Changed since they were found, and not equal: somebody is at them. */
  readonly left: number
}

export interface RowUpdate {
  readonly id: string
  readonly columns: readonly { readonly column: PairedColumn; readonly value: string | null }[]
}

/**
 * Decides by what both sides show now, the target's rows locked: a row is touched only if it shows on both sides what it
 * showed when it was found to differ, and of a row to update only the columns that differ.
 */
export function planRepair(
  pair: TablePair,
  found: readonly FoundRow[],
  source: SeenRows,
  target: SeenRows,
): RepairPlan {
  const deletes: string[] = []
  const inserts: { id: string; values: Values }[] = []
  const updates: RowUpdate[] = []
  const wanted = new Map<string, RowState>()
  let equal = 0
  let left = 0
  for (const row of found) {
    const { id } = row
    const from = source.get(id)
    const to = target.get(id)
    if (stateOf(from) === stateOf(to)) equal++
    else if (stateOf(from) !== stateOf(row.source) || stateOf(to) !== stateOf(row.target)) left++
    else {
      wanted.set(id, stateOf(from))
      if (from === undefined) deletes.push(id)
      else if (to === undefined) inserts.push({ id, values: from.values! })
      else updates.push({ id, columns: differingColumns(pair, from.values!, to.values!) })
    }
  }
  return { deletes, inserts, updates, wanted, equal, left }
}

function stateOf(row: SeenRow | undefined): RowState {
  return row?.state ?? ''
}

function differingColumns(pair: TablePair, from: Values, to: Values): RowUpdate['columns'] {
  const differing = pair.columns.map((column, at) => ({ column, value: from[at]!, other: to[at] }))
  return differing
    .filter(({ column, value, other }) => value !== other && isWritable(column))
    .map(({ column, value }) => ({ column, value }))
}

/** A generated column of the target follows from the others. */
export function isWritable({ target }: PairedColumn): boolean {
  return target.generated === undefined
}
