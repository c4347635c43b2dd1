import { REDELIVERY_CHANGED } from '../../core/errors.js'
import { HEAD, HEAD_OPERATION, HEAD_TABLE, type RowBatch, SNAPSHOT, TRUNCATE } from '../../core/rowBatch.js'
import { sqlName } from '../../postgres/identifier.js'
import { formatLsn } from '../../postgres/lsn.js'
import type { Batch } from '../../source/batch.js'
import { comparePlaces, isOfOneHistory, type StreamPosition } from '../../source/position.js'
import { recordsUpTo } from '../../source/recordsUpTo.js'
import { laneOfRecord, type Routing } from './routing.js'

/** A lane has its part of the stream up to here, though the checkpoint stands before it. */
export interface LaneMark {
  readonly lane: number
  readonly position: StreamPosition
  readonly routing: Routing
}

/** Whether something of what comes behind `position` may be there already. */
export function isBefore(position: StreamPosition, mark: LaneMark): boolean {
  if (position.place.polling !== undefined || !isOfOneHistory(position, mark.position)) return false
  return comparePlaces(position.place, mark.position.place) < 0
}

/**
 * What of a batch no lane has written yet: all but the changes up to a lane's mark that its routing gave to it. A row that
 * is read once more is always written.
 */
export function withoutApplied<Tables extends object>(
  batch: Batch<Tables>,
  end: StreamPosition,
  marks: readonly LaneMark[],
): Batch<Tables> {
  const skipped = new Set<number>()
  for (const mark of marks) {
    if (end.place.polling !== undefined || !isOfOneHistory(end, mark.position)) continue
    const reached = recordsUpTo(batch, mark.position)
    const lanes = new LanesOfRecords(batch.rows, mark)
    for (let record = 0; record < reached; record++) if (lanes.of(record) === mark.lane) skipped.add(record)
  }
  if (skipped.size === 0) return batch
  return batch.pick(Array.from({ length: batch.length }, (_, record) => record).filter((one) => !skipped.has(one)))
}

/** Which lane a record was written by, as the mark has it. */
class LanesOfRecords {
  readonly #rows: RowBatch
  readonly #mark: LaneMark
  readonly #keys = new Map<number, readonly number[] | undefined>()

  constructor(rows: RowBatch, mark: LaneMark) {
    this.#rows = rows
    this.#mark = mark
  }

  of(record: number): number | undefined {
    const { heads } = this.#rows
    const operation = heads[record * HEAD + HEAD_OPERATION]!
    if (operation === SNAPSHOT || operation >= TRUNCATE) return undefined
    const index = heads[record * HEAD + HEAD_TABLE]!
    if (!this.#keys.has(index)) this.#keys.set(index, this.#keyOf(index))
    const key = this.#keys.get(index)
    if (key === undefined) return undefined
    const lane = laneOfRecord(this.#rows, record, key, this.#mark.routing.lanes)
    if (lane === undefined) throw this.#changed()
    return lane
  }

  #keyOf(index: number): readonly number[] | undefined {
    const table = this.#rows.tables[index]!
    const { tables } = this.#mark.routing
    const name = sqlName(table)
    if (!Object.hasOwn(tables, name)) return undefined
    return tables[name]!.map((column) => {
      const found = table.columns.findIndex((one) => one.name === column)
      if (found < 0) throw this.#changed()
      return found
    })
  }

  /** All of it was of one lane each when it came first. */
  #changed(): Error {
    const { lsn, seq } = this.#mark.position.place
    return REDELIVERY_CHANGED({ lsn: formatLsn(lsn), seq: seq + 1 })
  }
}
