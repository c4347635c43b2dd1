import type { Transaction } from '../../core/record.js'
import { parseTransactionSnapshot } from '../../postgres/transactionSnapshot.js'
import type { UnprovedTransaction } from './progress.js'

/**
 * Transactions whose changes were left to rows that are still to be read. A commit can be decoded before others see it,
 * for long where it waits for a synchronous standby: so the snapshot in which those rows are read must show it.
 */
export class Unproved {
  #transactions: readonly UnprovedTransaction[]

  constructor(resumed: readonly UnprovedTransaction[] = []) {
    this.#transactions = resumed
  }

  /** As a position has them. Another array whenever they change. */
  get transactions(): readonly UnprovedTransaction[] {
    return this.#transactions
  }

  add({ xid, commitLsn }: Transaction, oid: number): void {
    const last = this.#transactions.at(-1)
    if (last?.xid !== xid || last.commitLsn !== commitLsn) {
      this.#transactions = [...this.#transactions, { xid, commitLsn, tables: [oid] }]
    } else if (!last.tables.includes(oid)) {
      this.#transactions = [...this.#transactions.slice(0, -1), { ...last, tables: [...last.tables, oid] }]
    }
  }

  /** Whether all that concern the table are visible in this snapshot. */
  provedBy(snapshot: string, oid: number): boolean {
    const { sees } = parseTransactionSnapshot(snapshot)!
    return this.#transactions.every(({ xid, commitLsn, tables }) => !tables.includes(oid) || sees(xid, commitLsn))
  }

  /** What this snapshot shows is proved for tables whose next one will be taken later. */
  prune(snapshot: string, isLater: (oid: number) => boolean): void {
    const { sees } = parseTransactionSnapshot(snapshot)!
    this.#transactions = this.#transactions.flatMap((transaction) => {
      if (!sees(transaction.xid, transaction.commitLsn)) return [transaction]
      const tables = transaction.tables.filter((oid) => !isLater(oid))
      return tables.length === 0 ? [] : [{ ...transaction, tables }]
    })
  }

  /** The table is captured no more, or begins anew. */
  drop(oid: number): void {
    this.#transactions = this.#transactions.flatMap((transaction) => {
      const tables = transaction.tables.filter((one) => one !== oid)
      return tables.length === 0 ? [] : [{ ...transaction, tables }]
    })
  }
}
