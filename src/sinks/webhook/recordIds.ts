import { HEAD, HEAD_OPERATION, HEAD_SEQ, HEAD_SUB, HEAD_TRANSACTION, SNAPSHOT } from '../../core/rowBatch.js'
import { formatLsn } from '../../postgres/lsn.js'
import type { Batch } from '../../source/batch.js'

/** The ids of some records, as each has it itself; what those of a transaction have in common is made once. */
export function idsOf(batch: Batch, records: readonly number[]): string[] {
  const { heads, transactions } = batch.rows
  let of = -1
  let lsn: string | undefined
  return records.map((index) => {
    const head = index * HEAD
    const transaction = heads[head + HEAD_TRANSACTION]!
    if (heads[head + HEAD_OPERATION] === SNAPSHOT || transactions[transaction]!.polledXid !== undefined) {
      return batch.at(index)!.id
    }
    if (transaction !== of) {
      of = transaction
      lsn = formatLsn(transactions[transaction]!.commitLsn)
    }
    const sub = heads[head + HEAD_SUB]!
    const id = `${lsn}/${heads[head + HEAD_SEQ]!}`
    return sub > 0 ? `${id}/${sub}` : id
  })
}
