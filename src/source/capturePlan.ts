import { KEY_COLUMN_UNPUBLISHED, KEY_TABLE_UNKNOWN } from '../core/errors.js'
import type { TailraceError } from '../core/tailraceError.js'
import { type GeneratedColumns, isPublished } from '../postgres/catalog/identity.js'
import { type ChosenKey, chooseKeyByPolicy, hasNoIdentity } from '../postgres/catalog/keyChoice.js'
import type { CatalogTable } from '../postgres/catalog/tables.js'
import { type ColumnSelection, resolveColumns } from '../postgres/columnSelection.js'
import { quoteIdentifier, sqlName } from '../postgres/identifier.js'
import type { Publication } from '../postgres/publication.js'
import { RelationNames } from '../postgres/tablePattern.js'
import type { CapturePlan } from './streamedTable.js'

/** A table with everything the run decided about it. */
export interface PlannedTable {
  readonly table: CatalogTable
  readonly key: ChosenKey
  readonly plan: CapturePlan
  /** Names of the columns that the stream sends, in its order. */
  readonly columns: readonly string[]
  /** SQL of the publication's row filter: it holds for the snapshot too. */
  readonly rowFilter?: string | undefined
}

export interface PlanWishes {
  readonly columns: readonly ColumnSelection[]
  readonly keys: readonly ColumnSelection[]
  readonly keyless: 'refuse' | 'inserts' | 'skip'
  /** A table that `keyless: skip` leaves out, and why. */
  readonly onLeftOut?: ((table: CatalogTable, refusal: TailraceError) => void) | undefined
  readonly generated: GeneratedColumns
  readonly serverVersion: number
  /** More tables are captured than these: columns and keys may be chosen for one of them. */
  readonly someOnly?: boolean | undefined
}

/** Decides keys and columns of the tables; refuses the first that cannot be captured exactly, or leaves it out. Pure. */
export function planCapture(tables: readonly CatalogTable[], wishes: PlanWishes): PlannedTable[] {
  const columns = chosenColumns(tables, wishes.columns, wishes)
  const keys = chosenColumns(tables, wishes.keys, wishes)
  return tables.flatMap((table): PlannedTable[] => {
    const { keyless, generated, serverVersion } = wishes
    const choice = chooseKeyByPolicy(table, { key: keys.get(table), keyless, generated, serverVersion })
    if ('refusal' in choice) {
      if (keyless !== 'skip' || !hasNoIdentity(choice.refusal)) throw choice.refusal
      wishes.onLeftOut?.(table, choice.refusal)
      return []
    }
    const selected = columns.get(table)
    const { chosen } = choice
    const plan = {
      key: chosen.columns,
      columns: selected,
      notWhole: table.kind === 'partitioned' && !chosen.wholeOldRows,
      insertsOnly: chosen.insertsOnly,
      keyOfPartitions: table.kind === 'partitioned' && !identifies(table, chosen.columns),
    }
    const published = table.columns.filter((column) => isPublished(column, generated)).map(({ name }) => name)
    return [{ table, key: chosen, plan, columns: published }]
  })
}

/** Whether the table's own replica identity carries the key, whatever its partitions have. */
function identifies({ replicaIdentity, identityColumns }: CatalogTable, key: readonly string[]): boolean {
  return replicaIdentity === 'full' || key.every((name) => identityColumns?.includes(name))
}

/** Which columns each selection names, by table. A selection of a table that is not captured is a mistake. */
export function chosenColumns(
  tables: readonly CatalogTable[],
  selections: readonly ColumnSelection[],
  { someOnly = false }: Pick<PlanWishes, 'someOnly'>,
): Map<CatalogTable, string[]> {
  const names = new RelationNames(tables)
  const chosen = new Map<CatalogTable, string[]>()
  for (const selection of selections) {
    const [table] = names.match(selection.table)
    if (table === undefined && someOnly) continue
    if (table === undefined) throw KEY_TABLE_UNKNOWN({ selection: selection.text, tables: tables.map(sqlName) })
    chosen.set(table, [...(chosen.get(table) ?? []), ...resolveColumns(selection, table)])
  }
  return chosen
}

/**
 * What publications leave out of the tables: the snapshot leaves it out too. A key that would be left out is refused:
 * nothing would tell the rows apart.
 */
export function restrictByPublications(
  planned: readonly PlannedTable[],
  publications: readonly Publication[],
): PlannedTable[] {
  return planned.map((one) => {
    const members = publications.flatMap(({ tables }) => tables.filter(({ oid }) => oid === one.table.oid))
    const everything = publications.some(({ allTables, schemas }) => allTables || schemas.includes(one.table.schema))
    const list = everything ? undefined : members.find(({ columns }) => columns !== undefined)?.columns
    const unpublished = list && one.plan.key.find((name) => !list.includes(name))
    if (unpublished !== undefined) {
      const problem = 'the column list of the publication leaves it out'
      throw KEY_COLUMN_UNPUBLISHED({ table: sqlName(one.table), column: quoteIdentifier(unpublished), problem })
    }
    return {
      ...one,
      columns: list === undefined ? publishedColumns(one, publications) : namesOf(one.table.columns, list),
      rowFilter: rowFilterOf(one.table, publications),
    }
  })
}

/** A list may name generated columns: PostgreSQL 18 publishes them then, whatever the publication says of them. */
function namesOf(columns: CatalogTable['columns'], list: readonly string[]): string[] {
  return columns.map(({ name }) => name).filter((name) => list.includes(name))
}

/** Of several publications the one that has the table decides about its generated columns. */
function publishedColumns({ table, columns }: PlannedTable, publications: readonly Publication[]): readonly string[] {
  const publishing = publications.find(({ allTables, schemas, tables }) => {
    return allTables || schemas.includes(table.schema) || tables.some(({ oid }) => oid === table.oid)
  })
  if (publishing === undefined) return columns
  return table.columns.filter((column) => isPublished(column, publishing.generatedColumns)).map(({ name }) => name)
}

/** The rows of a table that publications let through, as SQL; undefined: all. */
export function rowFilterOf(
  { oid, schema }: Pick<CatalogTable, 'oid' | 'schema'>,
  publications: readonly Publication[],
): string | undefined {
  if (publications.some(({ allTables, schemas }) => allTables || schemas.includes(schema))) return undefined
  const members = publications.flatMap(({ tables }) => tables.filter((member) => member.oid === oid))
  // The server ORs the filters of several publications: one without any lets every row through.
  const filters = members.map(({ rowFilter }) => rowFilter)
  const filtered = filters.length > 0 && filters.every((filter) => filter !== undefined)
  return filtered ? filters.map((filter) => `(${filter})`).join(' OR ') : undefined
}
