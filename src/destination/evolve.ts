import {
  COLUMN_MAYBE_RENAMED,
  COLUMN_REPLACED,
  COLUMN_VALUES_UNKNOWN,
  TARGET_TYPE_DIFFERS,
} from '../core/destinationErrors.js'
import type { Column, Table } from '../core/table.js'
import { quoteIdentifier, quoteLiteral, sqlName } from '../postgres/identifier.js'
import { addedColumns, type Mode } from './modes.js'
import type { TargetColumn, TargetTable } from './targetTable.js'
import { isSameOrWider, isWidening } from './widening.js'

export interface EvolveRules {
  /** What becomes of a column that the source has dropped. */
  readonly dropped: 'keep' | 'drop'
  readonly mode: Mode
  /** A type of the source as SQL of the target. */
  readonly translate: (typeName: string) => string
}

/**
 * Clauses of an ALTER TABLE, each a statement of its own, that give the target's table what rows of `table` need. `before`
 * is the shape that the run knew of the source's table before; `wanted` are the columns of `table` that are written.
 *
 * A column that is new gets what the source's older rows have in it. A rename is one where `before` has the column under its
 * number; where that is not known, and cannot be told from a column that took another one's place, it is refused.
 */
export function planEvolution(
  table: Table,
  before: Table | undefined,
  wanted: readonly number[],
  facts: TargetTable,
  { dropped, mode, translate }: EvolveRules,
): string[] {
  const target = sqlName(facts)
  const clauses: string[] = []
  const alter = (clause: string) => clauses.push(`ALTER TABLE ${target} ${clause}`)
  const columns = wanted.map((index) => table.columns[index]!)
  /** The target's columns, as they will be called. */
  const there = new Map(facts.columns)
  for (const column of columns) {
    const old = renamedFrom(column, before)
    const own = old === undefined ? undefined : there.get(old.name)
    if (own === undefined || there.has(column.name)) continue
    alter(`RENAME COLUMN ${quoteIdentifier(own.name)} TO ${quoteIdentifier(column.name)}`)
    there.delete(own.name)
    there.set(column.name, own)
  }
  const extra = [...there].filter(([name]) => !table.columns.some((column) => column.name === name))
  columns.forEach((column, place) => {
    const own = there.get(column.name)
    if (own === undefined) {
      const follows = columns.slice(place + 1).some(({ name }) => there.has(name))
      requireAdded(column, { table, before, target, follows, extra: extra.map(([, one]) => one), translate })
      // What is older in a history is as it was then.
      if (mode.kind === 'history') alter(`ADD COLUMN ${quoteIdentifier(column.name)} ${translate(column.typeName)}`)
      else alter(`ADD COLUMN ${definition(column, target, translate)}`)
    } else if (isReplaced(column, before)) {
      const name = quoteIdentifier(column.name)
      throw COLUMN_REPLACED({ table: target, column: name, type: translate(column.typeName) })
    } else if (!own.generated) {
      const old = before?.columns.find(({ name }) => name === (renamedFrom(column, before)?.name ?? column.name))
      const wider = newType(own, column, old, target, translate)
      if (wider !== undefined) alter(`ALTER COLUMN ${quoteIdentifier(column.name)} TYPE ${wider}`)
    }
  })
  for (const { name, type } of addedColumns(mode)) {
    if (!facts.columns.has(name)) alter(`ADD COLUMN ${quoteIdentifier(name)} ${type}`)
  }
  for (const [name, own] of extra) {
    // What the source's catalog still has was not dropped: rows of an older shape come late, behind a snapshot's.
    const isGone = table.present?.has(name) === false
    const wasTheirs = isGone && before?.columns.some((column) => column.name === name) === true
    if (wasTheirs && dropped === 'drop') alter(`DROP COLUMN ${quoteIdentifier(name)}`)
    // Nobody gives it a value any more.
    else if (own.notNull && !own.hasDefault && !own.generated && own.identity === undefined) {
      alter(`ALTER COLUMN ${quoteIdentifier(name)} DROP NOT NULL`)
    }
  }
  return clauses
}

/** The column of `before` that has its number and another name. */
function renamedFrom(column: Column, before: Table | undefined): Column | undefined {
  const number = column.origin?.number
  if (number === undefined) return undefined
  const old = before?.columns.find((one) => one.origin?.number === number)
  return old?.name === column.name ? undefined : old
}

/** It was dropped, and another one made under its name. */
function isReplaced(column: Column, before: Table | undefined): boolean {
  const old = before?.columns.find(({ name }) => name === column.name)?.origin?.number
  return old !== undefined && column.origin?.number !== undefined && old !== column.origin.number
}

interface Missing {
  readonly table: Table
  readonly before: Table | undefined
  readonly target: string
  /** Columns behind it are there: what is added comes last. */
  readonly follows: boolean
  /** The target's columns that the source does not have. */
  readonly extra: readonly TargetColumn[]
  readonly translate: (typeName: string) => string
}

/** It was added at the source, and is not another one with a new name. */
function requireAdded(column: Column, { table, before, target, follows, extra, translate }: Missing): void {
  // A shape that was compiled late may have columns that its table has no more: one of them could have been this one.
  const isKnown =
    column.origin?.number !== undefined && before?.columns.every((one) => one.origin?.number !== undefined) === true
  const type = translate(column.typeName)
  const suspect = extra.find((one) => one.typeName === type)
  if (isKnown || (!follows && suspect === undefined)) return
  throw COLUMN_MAYBE_RENAMED({
    ...{ table: target, source: sqlName(table), column: quoteIdentifier(column.name), type },
    other: suspect === undefined ? undefined : quoteIdentifier(suspect.name),
  })
}

/** With the value that older rows have as its default: rows of the older shape may still come. */
function definition(column: Column, target: string, translate: (typeName: string) => string): string {
  const name = quoteIdentifier(column.name)
  const type = translate(column.typeName)
  const before = column.origin?.before
  if (before === undefined) throw COLUMN_VALUES_UNKNOWN({ table: target, column: name, type })
  return before === null ? `${name} ${type}` : `${name} ${type} DEFAULT ${quoteLiteral(before)}`
}

/** The type that the target's column is to have; undefined: as it is. */
function newType(
  own: TargetColumn,
  column: Column,
  old: Column | undefined,
  target: string,
  translate: (typeName: string) => string,
): string | undefined {
  const type = translate(column.typeName)
  if (isSameOrWider(type, own.typeName)) return undefined
  if (isWidening(own.typeName, type)) return type
  // Types need not be the same; but the source's rows were rewritten, and the target's are as they were.
  const followed = old !== undefined && old.typeName !== column.typeName && translate(old.typeName) === own.typeName
  if (!followed) return undefined
  throw TARGET_TYPE_DIFFERS({ table: target, column: quoteIdentifier(column.name), from: own.typeName, to: type })
}
