import { KEY_TABLE_UNKNOWN } from '../core/errors.js'
import { VERIFY_REPAIR_KEYLESS, VERIFY_TARGET_MISSING, VERIFY_TARGET_SHARED } from '../core/verifyErrors.js'
import { readingObstacle } from '../postgres/catalog/readability.js'
import { listRelations } from '../postgres/catalog/relations.js'
import { type CatalogTable, describeTables, findTables } from '../postgres/catalog/tables.js'
import { type ColumnSelection, resolveColumns } from '../postgres/columnSelection.js'
import { sqlName } from '../postgres/identifier.js'
import { RelationNames } from '../postgres/tablePattern.js'
import type { ParsedVerifyOptions } from './options.js'
import type { Side } from './side.js'
import { pairTables, type TablePair } from './tablePair.js'

type Wishes = Pick<ParsedVerifyOptions, 'include' | 'excluded' | 'columns' | 'keys' | 'targetOf' | 'repair'>

/** Which tables are compared with which, and how; every mistake that can be known before anything is read. */
export async function planTables(source: Side, target: Side, wishes: Wishes): Promise<TablePair[]> {
  const tables = await findTables(source, wishes.include, wishes.excluded)
  const targets = await findTargets(target, tables, wishes)
  await checkReadable(source, tables)
  await checkReadable(target, targets)
  const columns = selected(tables, wishes.columns)
  const keys = selected(tables, wishes.keys)
  const pairs = tables.map((table, at) =>
    pairTables(table, targets[at]!, { columns: columns.get(table), key: keys.get(table) }),
  )
  const keyless = pairs.filter(({ key }) => key.length === 0).map((pair) => sqlName(pair.source))
  if (wishes.repair && keyless.length > 0) throw VERIFY_REPAIR_KEYLESS({ tables: keyless })
  return pairs
}

async function findTargets(
  target: Side,
  tables: readonly CatalogTable[],
  { targetOf }: Pick<Wishes, 'targetOf'>,
): Promise<CatalogTable[]> {
  const names = tables.map((table) => sqlName(targetOf(table)))
  const twice = names.find((name, at) => names.indexOf(name) !== at)
  if (twice !== undefined) {
    const sharing = tables.filter((_, at) => names[at] === twice).map(sqlName)
    throw VERIFY_TARGET_SHARED({ target: twice, tables: sharing })
  }
  const relations = await listRelations(target)
  const known = new Map(
    relations.filter(({ kind }) => kind === 'ordinary' || kind === 'partitioned').map((one) => [sqlName(one), one]),
  )
  const missing = names.filter((name) => !known.has(name))
  if (missing.length > 0) throw VERIFY_TARGET_MISSING({ tables: missing, database: target.to })
  const oids = names.map((name) => known.get(name)!.oid)
  const described = await describeTables(target, oids)
  if (described.length === names.length) return described
  const left = new Set(described.map(sqlName))
  throw VERIFY_TARGET_MISSING({ tables: names.filter((name) => !left.has(name)), database: target.to })
}

/** Partitions are read through their root, whose privileges and policies alone count then. */
async function checkReadable(side: Side, tables: readonly CatalogTable[]): Promise<void> {
  const [row] = await side.query<{ user: string }>('SELECT CURRENT_USER::pg_catalog.text AS user')
  const obstacle = readingObstacle(
    tables.map((table) => ({ ...table, partitions: [] })),
    row!.user,
  )
  if (obstacle !== undefined) throw side.says(obstacle)
}

function selected(
  tables: readonly CatalogTable[],
  selections: readonly ColumnSelection[],
): Map<CatalogTable, string[]> {
  const names = new RelationNames(tables)
  const chosen = new Map<CatalogTable, string[]>()
  for (const selection of selections) {
    const [table] = names.match(selection.table)
    if (table === undefined) throw KEY_TABLE_UNKNOWN({ selection: selection.text, tables: tables.map(sqlName) })
    chosen.set(table, [...(chosen.get(table) ?? []), ...resolveColumns(selection, table)])
  }
  return chosen
}
