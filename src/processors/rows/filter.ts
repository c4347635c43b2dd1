import {
  CREATE,
  DELETE,
  HEAD,
  HEAD_BUFFER,
  HEAD_NEW,
  HEAD_OLD,
  HEAD_OPERATION,
  HEAD_TABLE,
  NO_OLD,
  NOTHING_OLD,
  OLD_KEY,
  OLD_ROW,
  RowBatch,
  UPDATE,
} from '../../core/rowBatch.js'
import type { Table } from '../../core/table.js'
import { type Tape, UNCHANGED_COLUMN } from '../../core/tape.js'
import type { Judge } from '../processor.js'
import type { Processed } from './processed.js'
import type { Failed } from './rewrite.js'
import { NO_FALLBACK, Tuple } from './tuple.js'

/** What becomes of a record. */
export type Verdict = 'keep' | 'drop' | 'delete' | 'create'

/**
 * PostgreSQL's rule for row filters. `old`: whether the row before matched, undefined where it did not come; `now`: whether
 * the row does that is there now. Where it is not known, what may have been there before goes: to whoever keeps rows by
 * their key a delete of nothing is nothing, and an update of a row that is not there brings it.
 */
export function verdictOf(operation: number, old: boolean | undefined, now: boolean): Verdict {
  if (operation === DELETE) return old === false ? 'drop' : 'keep'
  if (operation !== UPDATE) return now ? 'keep' : 'drop'
  if (now) return old === false ? 'create' : 'keep'
  return old === false ? 'drop' : 'delete'
}

/** The records that a filter lets go on, and those that it makes inserts and deletes; `judges` by index of the tables. */
export function filterRows(
  rows: RowBatch,
  judges: readonly (Judge | undefined)[],
  applies: ((index: number) => boolean) | undefined,
  failed: Failed,
): Processed {
  const { count, tables } = rows
  const heads = RowBatch.headsFor(count)
  heads.set(rows.heads.subarray(0, count * HEAD))
  const kept = new Int32Array(count)
  const asked = new Asked(rows)
  let written = 0
  for (let index = 0; index < count; index++) {
    const head = index * HEAD
    const table = heads[head + HEAD_TABLE]!
    const judge = table < 0 ? undefined : judges[table]
    const operation = heads[head + HEAD_OPERATION]!
    let verdict: Verdict = 'keep'
    if (judge !== undefined && operation <= DELETE) {
      try {
        if (applies?.(index) !== false) verdict = asked.verdict(index, operation, judge, tables[table]!)
      } catch (error) {
        failed(index, error)
        verdict = 'drop'
      }
    }
    if (verdict === 'drop') continue
    const to = written * HEAD
    if (to !== head) for (let i = 0; i < HEAD; i++) heads[to + i] = heads[head + i]!
    if (verdict === 'delete') toDelete(heads, to)
    else if (verdict === 'create') asked.toCreate(heads, to, tables[table]!)
    kept[written++] = index
  }
  const derived = rows.derive({
    heads,
    count: written,
    ...(asked.tape !== undefined && { tape: asked.tape }),
  })
  return { rows: derived, kept: written === count ? undefined : kept.subarray(0, written) }
}

/** The key of a row whose key has not changed is that of the row before it. */
function toDelete(heads: Int32Array, head: number): void {
  heads[head + HEAD_OPERATION] = DELETE
  if ((heads[head + HEAD_OLD]! & 3) === NO_OLD) heads[head + HEAD_OLD] = (heads[head + HEAD_NEW]! << 2) | OLD_KEY
  heads[head + HEAD_NEW] = -1
}

class Asked {
  /** Other than the batch's, where rows were filled up. */
  tape: Tape | undefined
  readonly #rows: RowBatch
  readonly #tuple = new Tuple()

  constructor(rows: RowBatch) {
    this.#rows = rows
  }

  verdict(index: number, operation: number, { matches, byKey }: Judge, table: Table): Verdict {
    const { heads, tape, buffers } = this.#rows
    const head = index * HEAD
    const newAt = heads[head + HEAD_NEW]!
    const oldAt = heads[head + HEAD_OLD]! >> 2
    const oldKind = heads[head + HEAD_OLD]! & 3
    const isWhole = oldKind === OLD_ROW && table.replicaIdentity === 'full'
    const tuple = this.#tuple
    tuple.bytes = buffers[heads[head + HEAD_BUFFER]!]!
    tuple.tape = tape.values
    // Of what is not the whole row the key is told, in both kinds of old rows.
    const isOldTold = isWhole || (byKey && oldKind !== NO_OLD)
    let now = false
    if (operation !== DELETE) {
      tuple.at = newAt
      tuple.fallback = isOldTold ? oldAt : NO_FALLBACK
      now = matches(tuple) === true
    }
    if (operation !== UPDATE && operation !== DELETE) return verdictOf(operation, undefined, now)
    let old: boolean | undefined
    if (isOldTold) {
      tuple.at = oldAt
      tuple.fallback = NO_FALLBACK
      old = matches(tuple) === true
    } else if (byKey && operation === UPDATE) old = now
    return verdictOf(operation, old, now)
  }

  /** A row that was not there before has all its columns, as far as they came. */
  toCreate(heads: Int32Array, head: number, table: Table): void {
    const newAt = heads[head + HEAD_NEW]!
    const old = heads[head + HEAD_OLD]!
    const oldKind = old & 3
    heads[head + HEAD_OPERATION] = CREATE
    heads[head + HEAD_OLD] = NOTHING_OLD
    if (oldKind === NO_OLD) return
    const { values } = this.#rows.tape
    const isWhole = oldKind === OLD_ROW && table.replicaIdentity === 'full'
    const filled = table.columns.flatMap((_, column) => {
      const unchanged = values[newAt + 2 * column] === UNCHANGED_COLUMN
      return unchanged && (isWhole || table.key.includes(column)) ? [column] : []
    })
    if (filled.length === 0) return
    const tape = this.#ownTape()
    const at = tape.length
    const width = 2 * table.columns.length
    tape.reserve(width)
    tape.values.copyWithin(at, newAt, newAt + width)
    tape.length += width
    for (const column of filled) {
      tape.values[at + 2 * column] = values[(old >> 2) + 2 * column]!
      tape.values[at + 2 * column + 1] = values[(old >> 2) + 2 * column + 1]!
    }
    heads[head + HEAD_NEW] = at
  }

  #ownTape(): Tape {
    if (this.tape !== undefined) return this.tape
    const { values, length } = this.#rows.tape
    this.tape = RowBatch.tapeFor(length + 64)
    this.tape.values.set(values.subarray(0, length))
    this.tape.length = length
    return this.tape
  }
}
