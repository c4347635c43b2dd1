import { ByteWriter } from '../../../core/byteWriter.js'
import { HEAD, HEAD_TRANSACTION } from '../../../core/rowBatch.js'
import type { Batch } from '../../../source/batch.js'
import { StreamPosition } from '../../../source/position.js'
import { firstUnread } from '../../../source/scan/stretches.js'
import type { MessageOutput } from '../protocol/messageOutput.js'
import type { Checkpoints } from './checkpoints.js'
import type { RecordWriter } from './recordWriter.js'

/** What becomes of the batches of a run's changes. */
export interface Lines {
  /** A batch as lines, with the STATE lines that are due. */
  write(batch: Batch, position: StreamPosition): Promise<void>
  /** All that was given is written. */
  end(): Promise<void>
}

export interface LinesParts {
  readonly records: RecordWriter
  readonly checkpoints: Checkpoints
  readonly output: MessageOutput
}

/** Every batch is written as it comes. */
export class BatchLines implements Lines {
  readonly #parts: LinesParts
  readonly #writer = new ByteWriter()

  constructor(parts: LinesParts) {
    this.#parts = parts
  }

  /** A STATE stands behind the batch, or within it at a commit. */
  async write(batch: Batch, position: StreamPosition): Promise<void> {
    const { records, checkpoints, output } = this.#parts
    const writer = this.#writer
    const { rows } = batch
    const now = Date.now()
    const state = (at: StreamPosition) => writer.write(Buffer.from(checkpoints.lines(at)))
    writer.clear()
    records.readAt(position.place)
    const due = !position.beginsAnew && (checkpoints.due || isFirst(batch, position, checkpoints))
    const whole = isWhole(position) || checkpoints.overdue
    const commit = due && !whole ? lastCommit(batch) : 0
    if (commit > 0) {
      checkpoints.count(records.write(writer, rows, 0, commit, now))
      state(StreamPosition.parse(batch.at(commit - 1)!.position))
    }
    checkpoints.count(records.write(writer, rows, commit, rows.count, now))
    if (due && whole) state(position)
    if (writer.size > 0) await output.lines(writer.take())
  }

  async end(): Promise<void> {}
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
