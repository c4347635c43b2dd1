import { KEY_TABLE_UNKNOWN } from '../../core/errors.js'
import { TailraceError } from '../../core/tailraceError.js'
import type { Relation } from '../../postgres/catalog/relations.js'
import { chooseTables } from '../../postgres/catalog/tableChoice.js'
import type { CatalogTable } from '../../postgres/catalog/tables.js'
import { resolveColumns } from '../../postgres/columnSelection.js'
import { sqlName } from '../../postgres/identifier.js'
import { RelationNames, type TablePattern } from '../../postgres/tablePattern.js'
import type { ParsedOptions } from '../options.js'

/** As a run chooses, but each mistake is noted and left out instead of ending it. */
export function chooseWhatCanBe(
  relations: readonly Relation[],
  { include, excluded }: Pick<ParsedOptions, 'include' | 'excluded'>,
  mistakes: TailraceError[],
): Relation[] {
  const noted = <T>(work: () => T): T | undefined => {
    try {
      return work()
    } catch (error) {
      if (!(error instanceof TailraceError)) throw error
      mistakes.push(error)
      return undefined
    }
  }
  const good: TablePattern[] = include.filter((one) => noted(() => chooseTables(relations, [one], [])) !== undefined)
  if (good.length === 0) return []
  return noted(() => chooseTables(relations, good, excluded)) ?? chooseTables(relations, good, [])
}

/** Which columns each --key names, by the table's OID. */
export function chooseKeys(
  tables: readonly CatalogTable[],
  { keys }: Pick<ParsedOptions, 'keys'>,
  mistakes: TailraceError[],
): Map<number, string[]> {
  const names = new RelationNames(tables)
  const chosen = new Map<number, string[]>()
  for (const selection of keys) {
    const [table] = names.match(selection.table)
    try {
      if (table === undefined) throw KEY_TABLE_UNKNOWN({ selection: selection.text, tables: tables.map(sqlName) })
      chosen.set(table.oid, [...(chosen.get(table.oid) ?? []), ...resolveColumns(selection, table)])
    } catch (error) {
      if (!(error instanceof TailraceError)) throw error
      mistakes.push(error)
    }
  }
  return chosen
}
