import { TARGET_TABLE_GONE } from '../core/destinationErrors.js'
import type { PositionJson } from '../core/record.js'
import type { Table } from '../core/table.js'
import { sqlName } from '../postgres/identifier.js'
import type { Queryable } from '../postgres/queryable.js'
import { execute, schemasMissing } from './createTable.js'
import { dropNotNull, planEvolution } from './evolve.js'
import type { ParsedDestination } from './options.js'
import { appliedShape, comparable, type Shape, type ShapeColumn, shapeOf } from './shape.js'
import { type AppliedShape, TableShapes } from './tableShapes.js'
import { wantedColumns } from './target.js'
import { findTargetTable, type TargetTable } from './targetTable.js'
import { planTypes } from './targetTypes.js'

type Options = Pick<ParsedDestination, 'targetOf' | 'keys' | 'mode' | 'columnsDropped' | 'checkpointSchema' | 'source'>

/** Alters the target's tables as the source alters its own, when the first row of a shape comes. Outlives sessions. */
export class Evolution {
  readonly #options: Options
  readonly #shapes: TableShapes
  /** By name of the source's table, the last shape of which something is committed; and those of the open transaction. */
  #committed = new Map<string, AppliedShape>()
  readonly #open = new Map<string, AppliedShape>()

  constructor(options: Options) {
    this.#options = options
    this.#shapes = new TableShapes(options.checkpointSchema, options.source)
  }

  /** What was written before this run, up to `position`. */
  async open(queryable: Queryable, position: PositionJson | undefined): Promise<void> {
    if (position === undefined) await this.#shapes.forget(queryable)
    this.#committed = await this.#shapes.load(queryable)
  }

  /** A transaction begins. */
  begin(): void {
    this.#open.clear()
  }

  /** It ends: keeps what it has seen of shapes in it. */
  async store(queryable: Queryable): Promise<void> {
    const isOther = ([name, shape]: [string, AppliedShape]) => {
      return JSON.stringify(this.#committed.get(name)) !== JSON.stringify(shape)
    }
    const changed = new Map([...this.#open].filter(isOther))
    if (changed.size > 0) await this.#shapes.store(queryable, changed)
  }

  /** It was committed. */
  commit(): void {
    for (const [name, shape] of this.#open) this.#committed.set(name, shape)
    this.#open.clear()
  }

  /** Adds labels to enums of the target; not within a transaction, in which a new label could not be used yet. */
  async addLabels(queryable: Queryable, table: Table): Promise<void> {
    const target = this.#options.targetOf(table)
    const facts = await findTargetTable(queryable, target)
    const columns = wantedColumns(table, this.#options.keys)
      .map((index) => table.columns[index]!)
      .filter(({ name, typeName }) => facts?.columns.get(name)?.typeName === typeName)
    const { labels } = await planTypes(queryable, columns, sqlName(target))
    if (labels.length > 0) await execute(queryable, sqlName(target), 'altered', labels)
  }

  /** Rows of `table` come next, in the transaction that is open. A target that is missing is not made: it was never there. */
  async follow(queryable: Queryable, table: Table): Promise<Shape> {
    const { targetOf, keys, mode, columnsDropped } = this.#options
    const before = this.#before(table)
    const shape = shapeOf(table, before)
    const target = targetOf(table)
    const facts = await findTargetTable(queryable, target)
    if (facts === undefined) {
      // Made anew it would have what comes from now on, and nothing of what was written before.
      if (this.#known(table)?.oid === table.oid)
        throw TARGET_TABLE_GONE({ table: sqlName(target), source: sqlName(table) })
      return shape
    }
    const wanted = wantedColumns(table, keys)
    const isNew = ({ name, typeName }: ShapeColumn) => {
      const old = before?.columns.find((column) => column.name === name)
      return !facts.columns.has(name) || (old !== undefined && old.typeName !== typeName)
    }
    const columns = wanted.filter((index) => isNew(shape.columns[index]!)).map((index) => table.columns[index]!)
    const types = await planTypes(queryable, columns, sqlName(target))
    const rules = { dropped: columnsDropped, mode, translate: types.translate }
    const clauses = planEvolution(shape, before, wanted, facts, rules)
    const schemas = await schemasMissing(queryable, types.schemas)
    const statements = [...schemas, ...types.statements, ...clauses]
    if (statements.length > 0) await execute(queryable, sqlName(target), 'altered', statements)
    return shape
  }

  /** The target's table is as `facts` say now, and takes the rows of that shape. */
  followed(table: Table, shape: Shape, facts: TargetTable): void {
    this.#open.set(sqlName(table), appliedShape(shape, this.#before(table), facts))
  }

  /**
   * A row of `table` has NULL in a column where the target refuses it. True: the source had NOT NULL there, which it has dropped
   * since, as that row proves, and now the target has, in the transaction that is open. False: it is the target's own.
   */
  async followNull(queryable: Queryable, table: Table, column: string): Promise<boolean> {
    const shape = this.#before(table)
    if (shape?.columns.some(({ name, notNull }) => name === column && notNull === true) !== true) return false
    const target = sqlName(this.#options.targetOf(table))
    await execute(queryable, target, 'altered', [dropNotNull(target, column)])
    const columns = shape.columns.map((one) => (one.name === column ? { ...one, notNull: undefined } : one))
    this.#open.set(sqlName(table), { ...shape, columns })
    return true
  }

  #before(table: Table): AppliedShape | undefined {
    return comparable(this.#known(table), table.oid)
  }

  #known(table: Table): AppliedShape | undefined {
    const name = sqlName(table)
    return this.#open.get(name) ?? this.#committed.get(name)
  }
}

/** The target could not follow a shape whose first row is record `at` of a batch: `cause` says why. */
export class ShapeRefused extends Error {
  readonly at: number

  constructor(at: number, cause: unknown) {
    super('a shape was refused', { cause })
    this.at = at
  }
}
