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

  /** The lines of one batch. */
  lines(records: readonly ChangeRecord[]): readonly (readonly Piece[])[] {
    return records.flatMap((record, index) => {
      const line = this.#line(record, records[index + 1])
      return line === undefined ? [] : [line]
    })
  }

  #line(record: ChangeRecord, next: ChangeRecord | undefined): readonly Piece[] | undefined {
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
    return [...this.#border(record.transaction, transactionOf(next)), ...recordLine(record, shape)]
  }

  /** Draws a bracket around the records of one transaction. */
  #border(transaction: Transaction, next: Transaction | undefined): readonly Piece[] {
    const first = !same(this.#transaction, transaction)
    const last = !same(next, transaction)
    this.#transaction = transaction
    const xid = first && transaction.xid > 0 ? String(transaction.xid) : ''
    const bracket = first ? (last ? '─' : '┌') : last ? '└' : '│'
    return [{ text: `${xid.padStart(6)} ${bracket} `, style: 'dim' }]
  }
}

function transactionOf(record: ChangeRecord | undefined): Transaction | undefined {
  return record === undefined || record.operation === 'snapshot' ? undefined : record.transaction
}

function same(one: Transaction | undefined, other: Transaction): boolean {
  return one?.commitLsn === other.commitLsn
}
