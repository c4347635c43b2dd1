import {
  COLUMN_MAYBE_RENAMED,
  COLUMN_REPLACED,
  COLUMN_VALUES_UNKNOWN,
  TARGET_COLUMN_MISSING,
  TARGET_TYPE_DIFFERS,
} from '../core/destinationErrors.js'
import { quoteIdentifier, quoteLiteral, sqlName } from '../postgres/identifier.js'
import { addedColumns, type Mode } from './modes.js'
import type { Shape, ShapeColumn } from './shape.js'
import type { AppliedColumn, AppliedShape } from './tableShapes.js'
import type { TargetColumn, TargetTable } from './targetTable.js'
import { isOfOneKind, isSameOrWider, isWidening } from './widening.js'

export interface EvolveRules {
  /** What becomes of a column that the source has dropped. */
  readonly dropped: 'keep' | 'drop'
  readonly mode: Mode
  /** A type of the source as SQL of the target. */
  readonly translate: (typeName: string) => string
}

/**
 * Clauses of an ALTER TABLE, each a statement of its own, that give the target's table what rows of `table` need. `before`
 * is the shape of which something was written before; `wanted` are the columns of `table` that are written.
 *
 * A column that is new gets what the source's older rows have in it. A rename is one where `before` has the column under its
 * number; where that is not known, and cannot be told from a column that took another one's place, it is refused.
 */
export function planEvolution(
  table: Shape,
  before: AppliedShape | undefined,
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
  for (const { from, to } of renames(columns, before, there)) {
    alter(`RENAME COLUMN ${quoteIdentifier(from)} TO ${quoteIdentifier(to)}`)
    const own = there.get(from)!
    there.delete(from)
    there.set(to, own)
  }
  const extra = [...there].filter(([name]) => !table.columns.some((column) => column.name === name))
  columns.forEach((column, place) => {
    const own = there.get(column.name)
    if (own === undefined) {
      requireNotTaken(column, { table, before, target, translate })
      const follows = columns.slice(place + 1).some(({ name }) => there.has(name))
      requireAdded(column, { table, before, target, follows, extra: extra.map(([, one]) => one), translate })
      // What is older in a history is as it was then.
      if (mode.kind === 'history') alter(`ADD COLUMN ${quoteIdentifier(column.name)} ${translate(column.typeName)}`)
      else alter(`ADD COLUMN ${definition(column, target, translate)}`)
    } else if (isReplaced(column, own, before)) {
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
    const isGone = table.present?.some((column) => column.name === name) === false
    const wasTheirs = isGone && before?.columns.some((column) => column.name === name) === true
    if (wasTheirs && dropped === 'drop') alter(`DROP COLUMN ${quoteIdentifier(name)}`)
    // Nobody gives it a value any more.
    else if (own.notNull && !own.hasDefault && !own.generated && own.identity === undefined) {
      clauses.push(dropNotNull(target, name))
    }
  }
  return clauses
}

/** `target` in SQL's form. */
export function dropNotNull(target: string, column: string): string {
  return `ALTER TABLE ${target} ALTER COLUMN ${quoteIdentifier(column)} DROP NOT NULL`
}

interface Rename {
  readonly from: string
  readonly to: string
}

/** In an order in which each new name is free; names that go round in a circle by way of another one. */
function renames(
  columns: readonly ShapeColumn[],
  before: AppliedShape | undefined,
  there: ReadonlyMap<string, TargetColumn>,
): Rename[] {
  const wanted = columns.flatMap((column): Rename[] => {
    const from = renamedFrom(column, before)?.name
    return from !== undefined && there.has(from) ? [{ from, to: column.name }] : []
  })
  let possible = wanted
  for (let count = -1; count !== possible.length; ) {
    count = possible.length
    const leaving = new Set(possible.map(({ from }) => from))
    possible = possible.filter(({ to }) => !there.has(to) || leaving.has(to))
  }
  const inTheWay = possible.filter(({ from }) => possible.some(({ to }) => to === from))
  const aside = (name: string) => `tailrace ${there.get(name)!.number}`
  return [
    ...inTheWay.map(({ from }) => ({ from, to: aside(from) })),
    ...possible.map(({ from, to }) => ({ from: inTheWay.some((one) => one.from === from) ? aside(from) : from, to })),
  ]
}

/** The column of `before` that has its number and another name. */
function renamedFrom({ name, number }: ShapeColumn, before: AppliedShape | undefined): AppliedColumn | undefined {
  if (typeof number !== 'number') return undefined
  const old = before?.columns.find((one) => one.number === number)
  return old?.name === name ? undefined : old
}

/** It was dropped, and another one made under its name; and the target's is still the old one's. */
function isReplaced({ name, number }: ShapeColumn, own: TargetColumn, before: AppliedShape | undefined): boolean {
  const old = before?.columns.find((one) => one.name === name)
  if (old?.number === undefined || number === undefined || number === old.number) return false
  return old.at === own.number
}

interface Missing {
  readonly table: Shape
  readonly before: AppliedShape | undefined
  readonly target: string
  /** Columns behind it are there: what is added comes last. */
  readonly follows: boolean
  /** The target's columns that the source does not have. */
  readonly extra: readonly TargetColumn[]
  readonly translate: (typeName: string) => string
}

/** It was not at the target before: made anew it would have nothing in it of what its older rows have at the source. */
function requireNotTaken(
  { name, number, typeName }: ShapeColumn,
  { table, before, target, translate }: Pick<Missing, 'table' | 'before' | 'target' | 'translate'>,
): void {
  const old = typeof number === 'number' ? before?.columns.find((one) => one.number === number) : undefined
  if (old?.name !== name || old.at === undefined) return
  const [column, type] = [quoteIdentifier(name), translate(typeName)]
  throw TARGET_COLUMN_MISSING({ table: target, column, type, source: sqlName(table) })
}

/** It was added at the source, and is not another one with a new name. */
function requireAdded(column: ShapeColumn, { table, before, target, follows, extra, translate }: Missing): void {
  // A shape that was compiled late may have columns that its table has no more: one of them could have been this one.
  const isKnown = column.number !== undefined && before?.columns.every((one) => one.number !== undefined) === true
  const type = translate(column.typeName)
  const suspect = extra.find((one) => one.typeName === type)
  if (isKnown || (!follows && suspect === undefined)) return
  throw COLUMN_MAYBE_RENAMED({
    ...{ table: target, source: sqlName(table), column: quoteIdentifier(column.name), type },
    other: suspect === undefined ? undefined : quoteIdentifier(suspect.name),
  })
}

/** With the value that older rows have as its default: rows of the older shape may still come. */
function definition(column: ShapeColumn, target: string, translate: (typeName: string) => string): string {
  const name = quoteIdentifier(column.name)
  const type = translate(column.typeName)
  const { before } = column
  if (before === undefined) throw COLUMN_VALUES_UNKNOWN({ table: target, column: name, type })
  return before === null ? `${name} ${type}` : `${name} ${type} DEFAULT ${quoteLiteral(before)}`
}

/** The type that the target's column is to have; undefined: as it is. */
function newType(
  own: TargetColumn,
  column: ShapeColumn,
  old: AppliedColumn | undefined,
  target: string,
  translate: (typeName: string) => string,
): string | undefined {
  const type = translate(column.typeName)
  if (type === own.typeName) return undefined
  // Types need not be the same; but the source's rows were rewritten, and the target's are as they were.
  const followed = old !== undefined && old.typeName !== column.typeName && translate(old.typeName) === own.typeName
  if (isSameOrWider(type, own.typeName) && !(followed && !isOfOneKind(own.typeName, type))) return undefined
  if (isWidening(own.typeName, type)) return type
  if (!followed) return undefined
  throw TARGET_TYPE_DIFFERS({ table: target, column: quoteIdentifier(column.name), from: own.typeName, to: type })
}
