import { type TextTarget, textTarget } from '../../../codec/text/target.js'
import { TABLE_NAME_INVALID } from '../../../core/conduitErrors.js'
import {
  TARGET_COLUMN_MISSING,
  TARGET_KEY_MISSING,
  TARGET_NOT_A_TABLE,
  TARGET_TABLE_MISSING,
} from '../../../core/destinationErrors.js'
import { COLUMN_NOT_FOUND } from '../../../core/errors.js'
import { Table } from '../../../core/table.js'
import type { FoundTable, PlainDestination } from '../../../destination/plainDestination.js'
import type { Target } from '../../../destination/target.js'
import type { TargetColumn, TargetTable } from '../../../destination/targetTable.js'
import { type QualifiedName, quoteIdentifier, sqlName } from '../../../postgres/identifier.js'
import type { KeyChoice } from './keyChoice.js'
import { PartReader, type SchemaTexts } from './parts.js'
import { NotATableName, tableNames } from './tableName.js'

/** What is missing at the target is looked for again after that: it may have been made meanwhile. */
const LOOK_AGAIN_MS = 1000
/** Names of tables that are kept: a template may give names without end. */
const MOST_NAMES = 10_000
/** Of all tables. Each has staging tables of its own: records whose fields differ without end would have as many. */
const MOST_SHAPES = 200

/** Rows with the same columns and key of a table, and how they are written. */
export interface RowShape {
  readonly table: Table
  readonly target: Target
  readonly key: readonly string[]
  /** Tells shapes apart. */
  readonly number: number
}

let shapes = 0
const TEXT: TextTarget = { kind: 'text', array: false }

/** A table of the target, as records are read for it. */
export class TargetEntry {
  readonly facts: TargetTable
  readonly parts: PartReader
  /** Of the setting `key`. */
  readonly chosenKey: readonly string[] | undefined
  readonly primaryKey: readonly string[] | undefined
  /** The last shape of a row that was written: deletes are written with it, so that they need no step of their own. */
  lastShape: RowShape | undefined
  /** What is made of records whose parts have the same columns. */
  readonly plans = new Map<string, unknown>()
  readonly foundAt = performance.now()
  readonly #destination: PlainDestination
  readonly #shapes = new Map<string, RowShape>()
  readonly #onShape: () => void

  constructor(
    { facts, types }: FoundTable,
    destination: PlainDestination,
    key: KeyChoice,
    schemas: SchemaTexts,
    onShape: () => void,
  ) {
    this.facts = facts
    this.#destination = destination
    this.#onShape = onShape
    const targets = new Map<string, TextTarget>()
    for (const { name, typeOid } of facts.columns.values()) {
      const type = types.get(typeOid)
      targets.set(name, type === undefined ? TEXT : textTarget(type))
    }
    this.parts = new PartReader((column) => targets.get(column) ?? TEXT, schemas)
    this.chosenKey = key({ ...facts, columns: [...facts.columns.values()] })
    this.primaryKey = facts.uniqueIndexes.find(({ is_primary }) => is_primary)?.columns
  }

  get name(): string {
    return sqlName(this.facts)
  }

  /** Whether what is missing may have been made since it was looked up. */
  get mayBeOld(): boolean {
    return performance.now() - this.foundAt > LOOK_AGAIN_MS
  }

  /** Throws what is missing at the target for rows with these columns and this key. */
  shape(columns: ReadonlySet<string>, key: readonly string[]): RowShape {
    const { facts } = this
    for (const name of columns) {
      if (facts.columns.has(name)) continue
      throw TARGET_COLUMN_MISSING({
        ...{ table: this.name, column: quoteIdentifier(name), type: '…' },
        source: 'the record',
      })
    }
    const found = [...facts.columns.values()].filter(({ name }) => columns.has(name))
    const id = JSON.stringify([found.map(({ number }) => number), key])
    let shape = this.#shapes.get(id)
    if (shape === undefined) {
      shape = this.#join(
        found.map(({ name }) => name),
        key,
      )
      this.#shapes.set(id, shape)
      this.#onShape()
    }
    return shape
  }

  #join(names: readonly string[], key: readonly string[]): RowShape {
    const { facts } = this
    const { schema, name, oid } = facts
    const columns = names.map((column) => {
      const { typeOid, typeName, notNull, generated } = facts.columns.get(column)!
      return { name: column, typeOid, typmod: -1, typeName, notNull, generated }
    })
    const table = new Table({
      ...{ oid, schema, name, columns, codecs: [], selected: columns.map((_, index) => index) },
      key: key.map((column) => names.indexOf(column)),
      replicaIdentity: 'default',
    })
    const target = this.#target(table)
    const isWhole = [...facts.columns.values()].every(
      (column) => names.includes(column.name) || isLeftToTheTable(column),
    )
    // ON CONFLICT wants a row that could be inserted, even where it then updates one.
    return { table, target: isWhole ? target : { ...target, hasArbiter: false }, key, number: ++shapes }
  }

  #target(table: Table): Target {
    try {
      return this.#destination.join(table, this.facts)
    } catch (error) {
      if (!TARGET_KEY_MISSING.is(error)) throw error
      throw TARGET_KEY_MISSING({ ...(error.details as { table: string; key: string }), setting: 'key' })
    }
  }
}

function isLeftToTheTable({ notNull, hasDefault, generated, identity }: TargetColumn): boolean {
  return !notNull || hasDefault || generated || identity !== undefined
}

type Known = TargetEntry | { readonly error: unknown; readonly at: number }

/** The tables that records are for, each looked up once, and again when something is missing or has changed. */
export class TargetTables {
  readonly #destination: PlainDestination
  readonly #key: KeyChoice
  readonly #schemas: SchemaTexts
  readonly #known = new Map<string, Known>()
  #shapes = 0

  constructor(destination: PlainDestination, key: KeyChoice, schemas: SchemaTexts) {
    this.#destination = destination
    this.#key = key
    this.#schemas = schemas
  }

  /** The table that a text names; a promise: it has to be looked up, ask again then. Throws what is wrong with it. */
  get(name: string): TargetEntry | Promise<void> {
    const known = this.#known.get(name)
    if (known instanceof TargetEntry) return known
    if (known !== undefined && performance.now() - known.at < LOOK_AGAIN_MS) throw known.error
    return this.#look(name)
  }

  /** Looks a table up once more that has not what a record needs. */
  async again(name: string): Promise<void> {
    this.#known.delete(name)
    await this.#look(name)
  }

  /** Nothing that is known counts any more. */
  forget(): void {
    this.#known.clear()
    this.#shapes = 0
  }

  /** There are so many shapes that staging tables had better begin anew. */
  get isFull(): boolean {
    return this.#shapes > MOST_SHAPES
  }

  async #look(name: string): Promise<void> {
    if (this.#known.size > MOST_NAMES) this.#known.clear()
    try {
      const found = await this.#find(candidates(name))
      if (found === undefined)
        throw TARGET_TABLE_MISSING({ table: sqlName(candidates(name)[0]!), source: 'these records' })
      const onShape = () => {
        this.#shapes++
      }
      this.#known.set(name, new TargetEntry(found, this.#destination, this.#key, this.#schemas, onShape))
    } catch (error) {
      if (!isOfTheTable(error)) throw error
      this.#known.set(name, { error, at: performance.now() })
    }
  }

  async #find(names: readonly QualifiedName[]): Promise<FoundTable | undefined> {
    for (const one of names) {
      const found = await this.#destination.findTable(one)
      if (found !== undefined) return found
    }
    return undefined
  }
}

/** Of one table, and of its records alone. */
function isOfTheTable(error: unknown): boolean {
  return [TARGET_TABLE_MISSING, TARGET_NOT_A_TABLE, TABLE_NAME_INVALID, COLUMN_NOT_FOUND].some((one) => one.is(error))
}

function candidates(name: string): QualifiedName[] {
  try {
    return tableNames(name)
  } catch (error) {
    if (!(error instanceof NotATableName)) throw error
    throw TABLE_NAME_INVALID({ name, problem: error.message })
  }
}
