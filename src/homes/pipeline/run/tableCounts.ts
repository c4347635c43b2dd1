import { HEAD, HEAD_OPERATION, HEAD_TABLE, type RowBatch, SNAPSHOT } from '../../../core/rowBatch.js'
import type { Batch } from '../../../source/batch.js'

/** Of a table's records, by number: all but a logical message, the last one, which is of no table. */
export const TABLE_OPERATIONS = ['snapshot', 'create', 'update', 'delete', 'truncate', 'schema'] as const

const STRIDE = TABLE_OPERATIONS.length

/** What came of one table, by {@link TABLE_OPERATIONS}. */
export interface TableCount {
  readonly records: Float64Array
  /** As received. A batch of several tables and operations is shared by numbers of records. */
  readonly bytes: Float64Array
}

/** How many records came of each table. */
export class TableCounts {
  readonly #counts = new Map<string, TableCount>()

  add({ rows }: Batch): void {
    const { tables, lineCounts } = rows
    const counted = new Array<number>(tables.length * STRIDE).fill(0)
    if (lineCounts === undefined) countRecords(rows, counted)
    else for (const { table, count } of lineCounts) counted[table * STRIDE + SNAPSHOT]! += count
    for (const [index, records] of counted.entries()) {
      if (records === 0) continue
      const { schema, name } = tables[Math.floor(index / STRIDE)]!
      const count = this.#of(`${schema}.${name}`)
      const operation = index % STRIDE
      count.records[operation]! += records
      count.bytes[operation]! += (rows.bytes * records) / rows.count
    }
  }

  /** By `schema.table`, as they were first met. */
  get counts(): ReadonlyMap<string, TableCount> {
    return this.#counts
  }

  get byTable(): ReadonlyMap<string, number> {
    return new Map([...this.#counts].map(([table, { records }]) => [table, sum(records)]))
  }

  #of(table: string): TableCount {
    let count = this.#counts.get(table)
    if (count === undefined) {
      count = { records: new Float64Array(STRIDE), bytes: new Float64Array(STRIDE) }
      this.#counts.set(table, count)
    }
    return count
  }
}

function countRecords({ heads, count }: RowBatch, counted: number[]): void {
  for (let head = 0; head < count * HEAD; head += HEAD) {
    // A logical message is of no table.
    const table = heads[head + HEAD_TABLE]!
    if (table >= 0) counted[table * STRIDE + heads[head + HEAD_OPERATION]!]!++
  }
}

function sum(numbers: Float64Array): number {
  return numbers.reduce((total, one) => total + one, 0)
}
