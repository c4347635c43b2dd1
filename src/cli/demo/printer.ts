import type { ChangeRecord, Transaction } from '../../core/record.js'
import type { Table } from '../../core/table.js'
import { recordLine } from './recordLine.js'
import type { Piece } from './terminal.js'

/** Rows of a table's snapshot that are shown: enough to see what it holds. */
const SHOWN_ROWS = 3
const NO_TRANSACTION = ' '.repeat(9)

/** Makes lines of records, and counts them. */
export class Printer {
  snapshotRecords = 0
  changeRecords = 0
  readonly #shown = new Map<number, number>()
  readonly #shapes = new Map<number, Table>()
  #transaction: Transaction | undefined

  /** The record's line; undefined when it is only counted. */
  line(record: ChangeRecord): readonly Piece[] | undefined {
    const { table } = record
    const shape = table && this.#shapes.get(table.oid)
    if (table !== undefined) this.#shapes.set(table.oid, table)
    if (record.operation === 'snapshot') {
      this.snapshotRecords++
      const shown = this.#shown.get(record.table.oid) ?? 0
      this.#shown.set(record.table.oid, shown + 1)
      return shown < SHOWN_ROWS ? [{ text: NO_TRANSACTION }, ...recordLine(record, shape)] : undefined
    }
    this.changeRecords++
    return [this.#border(record.transaction), ...recordLine(record, shape)]
  }

  /** A transaction begins with its xid. Where it ends shows at the next one: a batch may end in its middle. */
  #border(transaction: Transaction): Piece {
    const begins = this.#transaction?.commitLsn !== transaction.commitLsn
    this.#transaction = transaction
    const xid = begins && transaction.xid > 0 ? String(transaction.xid) : ''
    return { text: `${xid.padStart(6)} ${begins ? '┬' : '│'} `, style: 'dim' }
  }
}
