import { KEY_INCOMPLETE, KEY_NOT_TOLD, ROW_INCOMPLETE } from '../core/destinationErrors.js'
import {
  DELETE,
  HEAD,
  HEAD_BUFFER,
  HEAD_NEW,
  HEAD_OLD,
  HEAD_OPERATION,
  NO_OLD,
  OLD_ROW,
  type RowBatch,
  SNAPSHOT,
  UPDATE,
} from '../core/rowBatch.js'
import type { Table } from '../core/table.js'
import { NULL_COLUMN, UNCHANGED_COLUMN } from '../core/tape.js'
import { quoteIdentifier, sqlName } from '../postgres/identifier.js'
import { INTEGERS, integerIn, type KeyId, latin1 } from './keyId.js'

/** No tuple. */
const NONE = -1

/** A value's bytes; the start is below 0 as on a tape. */
export interface Value {
  readonly bytes: Uint8Array
  /** The same memory. */
  readonly view: DataView
  readonly start: number
  readonly end: number
}

/** What a shape's rows are written by. */
export interface FoldShape {
  readonly table: Table
  /** As people know the target's table. */
  readonly target: string
  /** Indexes into the table's columns; empty: rows are appended. */
  readonly key: readonly number[]
  /** Those that the target has, too. */
  readonly written: readonly number[]
}

const NOTHING: readonly number[] = []

/** What becomes of the rows of one key. Never changed: what comes later makes another. */
export class Effect {
  readonly id: KeyId
  /** Index of the record that had the last word. */
  readonly record: number
  /** Where on the tape the tuple is that has the key; and the one that has what that leaves out. */
  readonly keyAt: number
  readonly keyFallback: number
  /** The row's tuple, or {@link NONE}: there is no row. */
  readonly rowAt: number
  readonly rowFallback: number
  /** Unchanged columns whose value an earlier record had. */
  readonly known: ReadonlyMap<number, Value> | undefined
  /** Unchanged columns whose value only the target has: in the row of `base`'s key, as it was before all this. */
  readonly missing: readonly number[]
  readonly base: Effect
  /** As far as the records tell, the target had a row of this key before all this. */
  readonly wasThere: boolean

  constructor(
    id: KeyId,
    wasThere: boolean,
    record: number,
    keyAt: number,
    keyFallback: number,
    rowAt: number,
    rowFallback: number,
    known: ReadonlyMap<number, Value> | undefined,
    missing: readonly number[],
    base: Effect | undefined,
  ) {
    this.id = id
    this.wasThere = wasThere
    this.record = record
    this.keyAt = keyAt
    this.keyFallback = keyFallback
    this.rowAt = rowAt
    this.rowFallback = rowFallback
    this.known = known
    this.missing = missing
    this.base = base ?? this
  }

  get isGone(): boolean {
    return this.rowAt === NONE
  }
}

/**
 * The changes of one table, in order, as what they come to for each key:
 *
 * - a row, whole: to be there with these values, whatever was there;
 * - a row with missing columns, whose values stand at the target, in the row that had the key `base`;
 * - no row.
 *
 * Applied as: fill what moved rows miss, delete, update, insert or overwrite. So chains and swaps of keys come out right.
 *
 * Keys are told apart by the bytes of their text. Where the server takes several texts for equal (numeric 1.0 and 1.00,
 * a case-insensitive collation), a row still has one text until an update changes it, which is a move here; of equal
 * keys one at most ends as a row, and deletes come first. Only a row that misses columns must not be updated in place
 * then, since a delete of an equal key has taken it away: it is filled, as if it had moved ({@link Target.byBytes}).
 */
export class Fold {
  readonly shape: FoldShape
  readonly batch: RowBatch
  readonly effects = new Map<KeyId, Effect>()
  readonly #isKey: readonly boolean[]
  /** The key is a single column of an integer type. */
  readonly #isNumber: boolean

  constructor(batch: RowBatch, shape: FoldShape) {
    this.batch = batch
    this.shape = shape
    const { columns } = shape.table
    this.#isKey = columns.map((_, column) => shape.key.includes(column))
    this.#isNumber = shape.key.length === 1 && INTEGERS.has(columns[shape.key[0]!]!.typeOid)
  }

  /** The next record; of this table, a row. */
  add(record: number): void {
    const { heads, tape } = this.batch
    const head = record * HEAD
    const operation = heads[head + HEAD_OPERATION]!
    const oldKind = heads[head + HEAD_OLD]! & 3
    const oldAt = oldKind === NO_OLD ? NONE : heads[head + HEAD_OLD]! >> 2
    if (operation === UPDATE || operation === DELETE) this.#requireToldKey(operation)
    if (operation === DELETE) {
      const id = this.#keyId(record, oldAt, NONE)
      this.effects.set(id, this.#gone(id, record, oldAt))
      return
    }
    const newAt = heads[head + HEAD_NEW]!
    const id = this.#keyId(record, newAt, oldAt)
    let prior = this.effects.get(id)
    let wasThere = prior?.wasThere ?? operation === UPDATE
    let moved: Effect | undefined
    if (oldAt !== NONE) {
      const oldId = this.#keyId(record, oldAt, NONE)
      if (oldId !== id) {
        wasThere = prior?.wasThere ?? false
        prior = this.effects.get(oldId)
        moved = this.#gone(oldId, record, oldAt)
        this.effects.set(oldId, moved)
      }
    }
    const rowFallback = oldKind === OLD_ROW && this.shape.table.replicaIdentity === 'full' ? oldAt : NONE
    let gaps: number[] | undefined
    if (operation !== SNAPSHOT && rowFallback === NONE) {
      const values = tape.values
      for (const column of this.shape.written) {
        if (values[newAt + 2 * column] !== UNCHANGED_COLUMN) continue
        if (this.#isKey[column]) continue
        gaps ??= []
        gaps.push(column)
      }
    }
    if (gaps === undefined) {
      this.effects.set(
        id,
        new Effect(id, wasThere, record, newAt, oldAt, newAt, rowFallback, undefined, NOTHING, undefined),
      )
    } else this.#addPartial(id, wasThere, record, newAt, oldAt, gaps, prior, moved)
  }

  /** Of a column of an effect that is a row; undefined: it is one of those missing. */
  valueOf(effect: Effect, column: number): Value | undefined {
    const values = this.batch.tape.values
    let pair = effect.rowAt + 2 * column
    if (values[pair] === UNCHANGED_COLUMN) {
      if (effect.rowFallback !== NONE) pair = effect.rowFallback + 2 * column
      else if (this.#isKey[column] && effect.keyFallback !== NONE) pair = effect.keyFallback + 2 * column
      else return effect.known?.get(column)
    }
    return { bytes: this.bytesOf(effect), view: this.viewOf(effect), start: values[pair]!, end: values[pair + 1]! }
  }

  /** Of a key column. */
  keyOf(effect: Effect, column: number): Value {
    const pair = this.#keyPair(effect.keyAt, effect.keyFallback, column)
    const values = this.batch.tape.values
    return { bytes: this.bytesOf(effect), view: this.viewOf(effect), start: values[pair]!, end: values[pair + 1]! }
  }

  bytesOf(effect: Effect): Uint8Array {
    const { heads, buffers } = this.batch
    return buffers[heads[effect.record * HEAD + HEAD_BUFFER]!]!
  }

  /** The same memory. */
  viewOf(effect: Effect): DataView {
    const { heads, views } = this.batch
    return views[heads[effect.record * HEAD + HEAD_BUFFER]!]!
  }

  #addPartial(
    id: KeyId,
    wasThere: boolean,
    record: number,
    newAt: number,
    oldAt: number,
    gaps: readonly number[],
    prior: Effect | undefined,
    moved: Effect | undefined,
  ): void {
    if (prior === undefined) {
      this.effects.set(id, new Effect(id, wasThere, record, newAt, oldAt, newAt, NONE, undefined, gaps, moved))
      return
    }
    if (prior.isGone) throw ROW_INCOMPLETE({ table: this.shape.target, count: 1 })
    const known = new Map<number, Value>()
    for (const column of gaps) {
      const value = this.valueOf(prior, column)
      if (value !== undefined) known.set(column, value)
    }
    const missing = gaps.filter((column) => !known.has(column))
    const base = missing.length === 0 ? undefined : prior.base
    this.effects.set(id, new Effect(id, wasThere, record, newAt, oldAt, newAt, NONE, known, missing, base))
  }

  #gone(id: KeyId, record: number, oldAt: number): Effect {
    const wasThere = this.effects.get(id)?.wasThere ?? true
    return new Effect(id, wasThere, record, oldAt, NONE, NONE, NONE, undefined, NOTHING, undefined)
  }

  #keyPair(at: number, fallback: number, column: number): number {
    const pair = at + 2 * column
    return this.batch.tape.values[pair] === UNCHANGED_COLUMN && fallback !== NONE ? fallback + 2 * column : pair
  }

  /** No text holds a NUL. */
  #keyId(record: number, at: number, fallback: number): KeyId {
    const { key } = this.shape
    const { buffers, heads, tape } = this.batch
    const bytes = buffers[heads[record * HEAD + HEAD_BUFFER]!]!
    let id = ''
    for (let i = 0; i < key.length; i++) {
      const pair = this.#keyPair(at, fallback, key[i]!)
      const start = tape.values[pair]!
      if (start < 0) throw this.#incomplete(record, key[i]!, start)
      const end = tape.values[pair + 1]!
      if (this.#isNumber) {
        const number = integerIn(bytes, start, end)
        if (!Number.isNaN(number)) return number
      }
      const part = latin1(bytes, start, end)
      id = i === 0 ? part : `${id}\0${part}`
    }
    return id
  }

  /** The old tuple has the columns of the replica identity; a key of other columns may have changed without a word. */
  #requireToldKey(operation: number): void {
    const { table, key } = this.shape
    if (key.length > 0 && (table.replicaIdentity === 'full' || key.every((column) => table.key.includes(column))))
      return
    throw KEY_NOT_TOLD({
      source: sqlName(table),
      key: key.map((column) => quoteIdentifier(table.columns[column]!.name)).join(', '),
      operation: operation === DELETE ? 'delete' : 'update',
    })
  }

  #incomplete(record: number, column: number, start: number): Error {
    const { table, target } = this.shape
    if (start !== NULL_COLUMN) return ROW_INCOMPLETE({ table: target, count: 1 })
    const operation = OPERATIONS[this.batch.heads[record * HEAD + HEAD_OPERATION]!]!
    return KEY_INCOMPLETE({
      source: sqlName(table),
      column: quoteIdentifier(table.columns[column]!.name),
      operation,
    })
  }
}

/** By number, as in core/rowBatch.ts. */
export const OPERATIONS = ['snapshot', 'create', 'update', 'delete', 'truncate', 'schema', 'message'] as const
