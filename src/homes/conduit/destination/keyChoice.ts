import { type ColumnSelection, parseColumnSelection, resolveColumns } from '../../../postgres/columnSelection.js'
import type { QualifiedName } from '../../../postgres/identifier.js'
import { RelationNames } from '../../../postgres/tablePattern.js'
import { splitSelections } from '../settings/selections.js'

/** The columns that the setting `key` names for a table of the target; undefined: none. Throws `COLUMN_NOT_FOUND`. */
export type KeyChoice = (
  table: QualifiedName & { readonly columns: readonly { readonly name: string }[] },
) => readonly string[] | undefined

/** Stands for every table, where columns are named without one. */
const ANY = 'any'

/** Reads `id,region`, or `orders:id,region,sales.items:sku`. Throws `TABLE_PATTERN_INVALID`. */
export function keyChoice(setting: string): KeyChoice {
  if (setting === '') return () => undefined
  const split = splitSelections(setting, undefined)
  if (split === undefined) {
    const selection = parseColumnSelection(`${ANY}:${setting}`)
    return (table) => resolveColumns(selection, table)
  }
  const selections: ColumnSelection[] = split.map(parseColumnSelection)
  return (table) => {
    const names = new RelationNames<QualifiedName>([table])
    const selection = selections.find((one) => names.match(one.table).length > 0)
    return selection && resolveColumns(selection, table)
  }
}
