import { HEAD, HEAD_TRANSACTION } from '../../../core/rowBatch.js'
import type { Batch } from '../../../source/batch.js'
import { StreamPosition } from '../../../source/position.js'
import { firstUnread } from '../../../source/scan/stretches.js'
import type { MessageOutput } from '../protocol/messageOutput.js'
import type { Checkpoints } from './checkpoints.js'
import type { RecordLines } from './recordLines.js'

/** What becomes of the batches of a run's changes. */
export interface Lines {
  /** A batch as lines, with the STATE lines that are due. They may not be written yet when it resolves. */
  write(batch: Batch, position: StreamPosition): Promise<void>
  /** All that was given is written. */
  end(): Promise<void>
  /** Aborted when something could not be written, of which {@link Lines.end} tells. */
  readonly failed: AbortSignal
}

export interface LinesParts {
  readonly records: RecordLines
  readonly checkpoints: Checkpoints
  readonly output: MessageOutput
  /** All up to there was written, or will be by {@link Lines.end}. */
  readonly onReached: (position: StreamPosition) => void
}

/** Every batch is written as it comes. */
export class BatchLines implements Lines {
  readonly #parts: LinesParts

  constructor(parts: LinesParts) {
    this.#parts = parts
  }

  get failed(): AbortSignal {
    return this.#parts.records.failed
  }

  /** A STATE stands behind the batch, or within it at a commit. */
  async write(batch: Batch, position: StreamPosition): Promise<void> {
    const { records, checkpoints, onReached } = this.#parts
    const { rows } = batch
    const state = (at: StreamPosition) => () => checkpoints.lines(at)
    const due = !position.beginsAnew && (checkpoints.due || isFirst(batch, position, checkpoints))
    const whole = isWhole(position) || checkpoints.overdue
    const commit = due && !whole ? lastCommit(batch) : 0
    const committed = commit > 0 ? StreamPosition.parse(batch.at(commit - 1)!.position) : undefined
    if (committed !== undefined || (due && whole)) checkpoints.claim()
    checkpoints.count(rows.count)
    await records.write(rows, {
      place: position.place,
      commit,
      between: committed && state(committed),
      behind: due && whole ? state(position) : undefined,
      written: () => {
        if (!position.beginsAnew) onReached(position)
      },
    })
  }

  async end(): Promise<void> {
    try {
      await this.#parts.records.settled()
    } finally {
      await this.#parts.records.close()
    }
  }
}

/** The first STATE comes before the first row: a run that is cut off behind it leaves nothing that nobody deletes. */
export function isFirst({ rows }: Batch, { place }: StreamPosition, { none }: Checkpoints): boolean {
  const isReading = () => place.snapshot?.tables?.some(({ stretches }) => firstUnread(stretches) >= 0) === true
  return rows.count === 0 && none && isReading()
}

/** Not within a transaction. */
export function isWhole({ place }: StreamPosition): boolean {
  return place.end !== undefined || place.snapshot !== undefined
}

/** Behind how many records the last transaction begins that is not whole; 0: it is the batch's only one. */
function lastCommit({ rows }: Batch): number {
  const transactionOf = (index: number) => rows.heads[index * HEAD + HEAD_TRANSACTION]
  const open = transactionOf(rows.count - 1)
  let index = rows.count - 1
  while (index >= 0 && transactionOf(index) === open) index--
  return index + 1
}
