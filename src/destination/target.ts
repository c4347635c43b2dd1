import { TARGET_COLUMN_MISSING, TARGET_KEY_MISSING } from '../core/destinationErrors.js'
import type { Table } from '../core/table.js'
import { type ColumnSelection, resolveColumns } from '../postgres/columnSelection.js'
import { type QualifiedName, quoteIdentifier, sqlName } from '../postgres/identifier.js'
import { RelationNames } from '../postgres/tablePattern.js'
import type { FoldShape } from './fold.js'
import { addedColumns, type Mode, requireFree } from './modes.js'
import type { TargetColumn, TargetTable } from './targetTable.js'

/** How rows of one shape are written into one table. */
export interface Target extends FoldShape {
  readonly facts: TargetTable
  /** The target's columns, as `written` and `key`. */
  readonly columns: readonly TargetColumn[]
  readonly keyColumns: readonly TargetColumn[]
  /** Bytes decide whether keys are equal. */
  readonly byBytes: boolean
  /** An index that ON CONFLICT can take; else rows are updated, then inserted. */
  readonly hasArbiter: boolean
  /** Rows are found by an index of the key: it has the operators and collations by which keys are compared. */
  readonly isIndexed: boolean
  /** UPDATE cannot set all that may have changed: rows that are there make way for the new ones. */
  readonly replaces: boolean
  readonly mode: Mode
}

/** Joins a shape of the source to a table of the target, or says what is missing there. */
export function joinTarget(table: Table, facts: TargetTable, keys: readonly ColumnSelection[], mode: Mode): Target {
  const target = sqlName(facts)
  const key = mode.kind === 'history' ? [] : keyOf(table, keys)
  requireFree(table, mode)
  for (const { name, type } of addedColumns(mode)) {
    if (facts.columns.has(name)) continue
    throw TARGET_COLUMN_MISSING({ table: target, column: quoteIdentifier(name), type, source: undefined })
  }
  const written: number[] = []
  const columns: TargetColumn[] = []
  for (const index of wantedColumns(table, keys)) {
    const { name, typeName } = table.columns[index]!
    const column = facts.columns.get(name)
    if (column === undefined) {
      throw TARGET_COLUMN_MISSING({
        table: target,
        column: quoteIdentifier(name),
        type: typeName,
        source: sqlName(table),
      })
    }
    if (column.generated) continue
    written.push(index)
    columns.push(column)
  }
  const keyColumns = key.map((index) => facts.columns.get(table.columns[index]!.name)!)
  const indexes = facts.uniqueIndexes.filter((index) => sameNames(index.columns, keyColumns))
  if (key.length > 0 && indexes.length === 0) {
    throw TARGET_KEY_MISSING({ table: target, key: keyColumns.map(({ name }) => quoteIdentifier(name)).join(', ') })
  }
  return {
    table,
    target,
    key,
    written,
    facts,
    columns,
    keyColumns,
    byBytes: keyColumns.every((column) => column.byBytes),
    // ON CONFLICT refuses as soon as one of the indexes that it finds is deferrable.
    hasArbiter: indexes.every((index) => index.is_immediate),
    isIndexed: indexes.some((index) => index.is_usual),
    mode,
    replaces: key.length > 0 && columns.some((one) => one.identity === 'always' && !keyColumns.includes(one)),
  }
}

/** Indexes of the columns that are written. The key's are needed whatever is selected. */
export function wantedColumns(table: Table, keys: readonly ColumnSelection[]): number[] {
  return [...new Set([...table.selected, ...keyOf(table, keys)])].sort((a, b) => a - b)
}

/** The key that the settings name for the table, else its own; as indexes of its columns. */
export function keyOf(table: Table, keys: readonly ColumnSelection[]): readonly number[] {
  const names = new RelationNames<QualifiedName>([table])
  const selection = keys.find((one) => names.match(one.table).length > 0)
  if (selection === undefined) return table.key
  return resolveColumns(selection, table).map((name) => table.columns.findIndex((column) => column.name === name))
}

function sameNames(names: readonly string[], columns: readonly TargetColumn[]): boolean {
  return names.length === columns.length && columns.every(({ name }) => names.includes(name))
}

/** Targets in an order in which whatever a foreign key points to comes first; circles in the order given. */
export function byReferences<T extends { readonly facts: TargetTable }>(targets: readonly T[]): T[] {
  const ordered: T[] = []
  const seen = new Set<T>()
  const visit = (target: T) => {
    if (seen.has(target)) return
    seen.add(target)
    for (const other of targets) if (target.facts.references.includes(other.facts.oid)) visit(other)
    ordered.push(target)
  }
  for (const target of targets) visit(target)
  return ordered
}
