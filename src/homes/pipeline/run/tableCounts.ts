import { HEAD, HEAD_TABLE, type RowBatch } from '../../../core/rowBatch.js'
import type { Batch } from '../../../source/batch.js'

/** How many records came of each table. */
export class TableCounts {
  readonly #counts = new Map<string, number>()

  add({ rows }: Batch): void {
    const { tables, lines } = rows
    const counted = new Array<number>(tables.length).fill(0)
    if (lines === undefined) countRecords(rows, counted)
    else for (const { table, ends } of lines) counted[table]! += ends.length
    for (const [index, records] of counted.entries()) {
      if (records === 0) continue
      const { schema, name } = tables[index]!
      const table = `${schema}.${name}`
      this.#counts.set(table, (this.#counts.get(table) ?? 0) + records)
    }
  }

  get byTable(): ReadonlyMap<string, number> {
    return this.#counts
  }
}

function countRecords({ heads, count }: RowBatch, counted: number[]): void {
  for (let head = HEAD_TABLE; head < count * HEAD; head += HEAD) {
    // A logical message is of no table.
    if (heads[head]! >= 0) counted[heads[head]!]!++
  }
}
