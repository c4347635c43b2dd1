import { HEAD, HEAD_TABLE } from '../../../core/rowBatch.js'
import type { Batch } from '../../../source/batch.js'

/** How many records came of each table. */
export class TableCounts {
  readonly #counts = new Map<string, number>()

  add({ rows }: Batch): void {
    const { heads, tables, count } = rows
    const counted = new Array<number>(tables.length).fill(0)
    for (let head = HEAD_TABLE; head < count * HEAD; head += HEAD) {
      // A logical message is of no table.
      if (heads[head]! >= 0) counted[heads[head]!]!++
    }
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
