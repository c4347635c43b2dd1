import type { PresentColumn, Table } from '../core/table.js'
import type { QualifiedName } from '../postgres/identifier.js'
import { identify, type NumberedColumn, PASSING } from './columnIdentity.js'
import type { AppliedColumn, AppliedShape } from './tableShapes.js'
import type { TargetTable } from './targetTable.js'

/** A column of a shape, and which of the source's columns it is. */
export interface ShapeColumn {
  readonly name: string
  readonly typeName: string
  /** By the source's catalog, which may have been asked later than rows were written. */
  readonly notNull: boolean
  /** As {@link AppliedColumn.number}. */
  readonly number: number | null | undefined
  /** Text of what rows have that are older than the column, null for NULL; undefined: only the rows themselves tell. */
  readonly before: string | null | undefined
}

/** A shape of a table of the source, to be followed. */
export interface Shape extends QualifiedName {
  readonly oid: number
  readonly columns: readonly ShapeColumn[]
  readonly present: readonly PresentColumn[] | undefined
}

/** What `table` is behind the shape `before`: the catalog was asked about it later, when a column may have had another name. */
export function shapeOf(table: Table, before: AppliedShape | undefined): Shape {
  const { oid, schema, name, columns, present } = table
  const known = before?.columns.filter(isNumbered)
  const found = known && present && identify(columns, known, present)
  return {
    ...{ oid, schema, name, present },
    columns: columns.map(({ name, typeName, notNull, origin }, i): ShapeColumn => {
      const number = found?.[i] === undefined ? origin?.number : found[i]
      // Its rows are out of sight by the time it could be compared.
      if (number === PASSING) return { name, typeName, notNull, number, before: null }
      const now = present?.find((one) => one.number === number)
      return { name, typeName, notNull, number, before: now === undefined ? origin?.before : now.before }
    }),
  }
}

function isNumbered(column: AppliedColumn): column is AppliedColumn & NumberedColumn {
  return typeof column.number === 'number' && column.kept === undefined
}

/** As it can be compared with shapes of the table `oid`: numbers of another one of its name tell nothing. */
export function comparable(shape: AppliedShape | undefined, oid: number): AppliedShape | undefined {
  if (shape === undefined || shape.oid === oid) return shape
  return { oid, columns: shape.columns.map((column) => ({ ...column, number: undefined })) }
}

/** `shape` as it is remembered, with what the target keeps of `before`. */
export function appliedShape(shape: Shape, before: AppliedShape | undefined, facts: TargetTable): AppliedShape {
  const there = shape.columns.map(({ name, typeName, notNull, number }): AppliedColumn => {
    const at = facts.columns.get(name)?.number
    const wasNotNull = before?.columns.some((one) => one.notNull === true && one.at !== undefined && one.at === at)
    return { name, typeName, number, at, ...((notNull || wasNotNull) && { notNull: true }) }
  })
  const isKept = ({ name, at }: AppliedColumn) => {
    return !there.some((one) => one.name === name) && at !== undefined && facts.columns.get(name)?.number === at
  }
  const kept = (before?.columns ?? []).filter(isKept).map((column) => ({ ...column, kept: true as const }))
  return { oid: shape.oid, columns: [...there, ...kept] }
}
