import { DELETE, NO_OLD, NOTHING_OLD, OLD_KEY, RowBatch, SCHEMA, SNAPSHOT } from '../core/rowBatch.js'
import type { Table } from '../core/table.js'
import { NULL_COLUMN } from '../core/tape.js'

/** Records of one table in the form in which the source has them. */
export class ContractRows {
  readonly rows = new RowBatch()
  /** It has records of a transaction. */
  isStreamed = false

  constructor(table: Table) {
    this.rows.tables.push(table)
    this.rows.snapshotId = '0/1000000'
  }

  snapshot(row: readonly string[]): void {
    this.#use(row)
    this.rows.add(SNAPSHOT, 0, -1, 0, 0, this.#tuple(row), NOTHING_OLD, 0)
  }

  /** CREATE or UPDATE; `seq`: which of its transaction. */
  row(operation: number, row: readonly string[], seq: number): void {
    this.#use(row)
    this.isStreamed = true
    this.rows.add(operation, 0, 0, seq, 0, this.#tuple(row), (-1 << 2) | NO_OLD, 0)
  }

  delete(key: string, seq: number): void {
    const old = [key, null, null]
    this.#use(old)
    this.isStreamed = true
    this.rows.add(DELETE, 0, 0, seq, 0, -1, (this.#tuple(old) << 2) | OLD_KEY, 0)
  }

  shape(): void {
    this.isStreamed = true
    this.#use([])
    this.rows.add(SCHEMA, 0, 0, -1, 1, -1, NOTHING_OLD, 0)
  }

  #use(row: readonly (string | null)[]): void {
    const bytes = Buffer.from(row.map((value) => value ?? '').join(''))
    this.rows.use(bytes)
    this.rows.bytes += bytes.length
  }

  #tuple(row: readonly (string | null)[]): number {
    const { tape } = this.rows
    const at = tape.length
    tape.reserve(2 * row.length)
    let place = 0
    for (const value of row) {
      const length = Buffer.byteLength(value ?? '')
      tape.values[tape.length++] = value === null ? NULL_COLUMN : place
      tape.values[tape.length++] = value === null ? NULL_COLUMN : place + length
      place += length
    }
    return at
  }
}
