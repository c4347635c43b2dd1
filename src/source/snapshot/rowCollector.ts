import { NO_OLD, RowBatch, SNAPSHOT } from '../../core/rowBatch.js'
import type { Table } from '../../core/table.js'
import { readCopyRow } from '../../postgres/copy/row.js'

const NOTHING_OLD = (-1 << 2) | NO_OLD

/** Collects the rows of one COPY into batches. Synchronous; does no I/O. */
export class RowCollector {
  readonly #table: Table
  readonly #columns: number
  readonly #snapshotId: string
  #batch: RowBatch

  /** `columns`: how many a row has, its place in the table included. */
  constructor(table: Table, columns: number, snapshotId: string) {
    this.#table = table
    this.#columns = columns
    this.#snapshotId = snapshotId
    this.#batch = this.#begin()
  }

  get count(): number {
    return this.#batch.count
  }

  get bytes(): number {
    return this.#batch.bytes
  }

  /** The payload of one CopyData. */
  collect(bytes: Uint8Array, start: number, end: number): void {
    const batch = this.#batch
    const at = batch.tape.length
    batch.use(bytes)
    readCopyRow(bytes, batch.views[batch.views.length - 1]!, start, end, this.#columns, batch.tape)
    batch.bytes += end - start
    batch.add(SNAPSHOT, 0, -1, 0, 0, at, NOTHING_OLD, 0)
  }

  take(): RowBatch {
    const batch = this.#batch
    this.#batch = this.#begin()
    return batch
  }

  #begin(): RowBatch {
    const batch = new RowBatch(this.#batch)
    batch.tables.push(this.#table)
    batch.snapshotId = this.#snapshotId
    return batch
  }
}
