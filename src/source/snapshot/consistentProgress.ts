import type { RowBatch } from '../../core/rowBatch.js'
import type { PlannedTable } from '../capturePlan.js'
import { keyTextOf } from '../scan/keyText.js'
import type { ProgressAt, SnapshotProgress, TableProgress } from '../scan/progress.js'
import { toBeRead } from '../scan/scanKey.js'
import { advance, isOver, type KeyText, PASSED, type Stretch } from '../scan/stretches.js'
import type { KeyedTable } from './keyRanges.js'
import type { SnapshotUnit } from './units.js'

/**
 * How far a consistent snapshot is, so that what is missing can be read incrementally after a crash. What it has read
 * needs no snapshot kept: every change that the slot sends is later.
 */
export class ConsistentProgress {
  readonly #id: string
  readonly #tables: Map<number, TableProgress>
  #rows = 0

  constructor(id: string, planned: readonly PlannedTable[]) {
    this.#id = id
    this.#tables = new Map(planned.map((one) => [one.table.oid, toBeRead(one, id)]))
  }

  get now(): SnapshotProgress {
    return this.#progress(this.#rows, [...this.#tables.values()])
  }

  /** These tables are read in ranges of their keys, the others whole. */
  ranges(keyed: ReadonlyMap<number, KeyedTable>): void {
    for (const [oid, { stretches }] of keyed) this.#tables.set(oid, { ...this.#tables.get(oid)!, stretches })
  }

  /** Rows of a unit are handed on; gives what is to be said at each of them, and the key of the last one where it is read by its key. */
  delivered(rows: RowBatch, { table, range }: SnapshotUnit): ProgressAt & { readonly to?: KeyText | undefined } {
    const before = this.#tables.get(table.oid)!
    const tables = [...this.#tables.values()]
    const count = this.#rows
    const columns = range?.key.map(({ name }) => rows.tables[0]!.columns.findIndex((column) => column.name === name))
    const to = columns && keyTextOf(rows, rows.count - 1, columns)
    const changed = (index: number): TableProgress => {
      if (range === undefined || columns === undefined) return { ...before, begun: true }
      return readUpTo(before, range.stretch, index === rows.count - 1 ? to : keyTextOf(rows, index, columns))
    }
    this.#rows += rows.count
    this.#tables.set(table.oid, changed(rows.count - 1))
    const at = (index: number) =>
      this.#progress(
        count + index + 1,
        tables.map((one) => (one === before ? changed(index) : one)),
      )
    if (range === undefined || columns === undefined) {
      return Object.assign(at, { steps: { base: { ...at(-1), rows: count }, stretch: undefined } })
    }
    const index = before.stretches.indexOf(range.stretch)
    const keyOf = (row: number) => keyTextOf(rows, row, columns)
    const stretch = { oid: table.oid, index, read: PASSED, keyOf, columns } as const
    return Object.assign(at, { steps: { base: this.#progress(count, tables), stretch }, to })
  }

  /** All rows of the unit were handed on; `last`: no unit of its table is left. */
  finished({ table, range }: SnapshotUnit, last: boolean): void {
    const before = this.#tables.get(table.oid)!
    if (range !== undefined) this.#tables.set(table.oid, readUpTo(before, range.stretch, undefined))
    else if (last) {
      const stretches = before.stretches.map(({ to }) => ({ to, read: PASSED }) as const)
      this.#tables.set(table.oid, { ...before, stretches, begun: false })
    }
  }

  #progress(rows: number, tables: readonly TableProgress[]): SnapshotProgress {
    return { id: this.#id, rows, tables: tables.filter(({ stretches }) => !isOver(stretches)) }
  }
}

function readUpTo(table: TableProgress, stretch: Stretch, to: readonly string[] | undefined): TableProgress {
  // What is left of a stretch is still the same one.
  const index = table.stretches.indexOf(stretch)
  return { ...table, stretches: advance(table.stretches, index, to, PASSED) }
}
