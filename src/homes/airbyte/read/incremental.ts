import type { ByteWriter } from '../../../core/byteWriter.js'
import { HEAD, HEAD_TRANSACTION } from '../../../core/rowBatch.js'
import type { Batch } from '../../../source/batch.js'
import type { SourceEvent } from '../../../source/events.js'
import type { SourceOptions } from '../../../source/options.js'
import { StreamPosition } from '../../../source/position.js'
import { PostgresSource } from '../../../source/postgresSource.js'
import { firstUnread } from '../../../source/scan/stretches.js'
import type { MessageOutput } from '../protocol/messageOutput.js'
import type { Checkpoints } from './checkpoints.js'
import type { RecordWriter } from './recordWriter.js'

export interface IncrementalRun {
  readonly options: SourceOptions
  /** What the client has stored: the one place that the slot is moved to. */
  readonly incoming: StreamPosition | undefined
  readonly records: RecordWriter
  readonly checkpoints: Checkpoints
  readonly writer: ByteWriter
  readonly output: MessageOutput
  readonly onEvent: (event: SourceEvent) => void
  /** All up to there is written. */
  readonly onReached: (position: StreamPosition) => void
}

/**
 * Reads rows and changes until the source ends.
 * Nothing that is handed on here is acknowledged: the client says what it has stored by giving it to the next run.
 */
export async function readIncremental(run: IncrementalRun): Promise<void> {
  const { options, incoming, onReached } = run
  const source = new PostgresSource(options)
  const listening = listen(source, run)
  let last: StreamPosition | undefined
  try {
    for await (const batch of source) {
      const position = StreamPosition.parse(batch.position)
      // The source wants to begin: of what it hands out now nothing was read since the client's state.
      if (batch.length === 0 && isStored(position, incoming)) await batch.ack()
      // The same place again: it is at its end, and would wait for the acknowledgement of that.
      else if (batch.length === 0 && position === last && options.until !== undefined) break
      last = position
      await writeBatch(run, batch, position)
      if (!position.beginsAnew) onReached(position)
      if (options.signal?.aborted) break
    }
  } finally {
    await source.close()
    await listening
  }
}

/** No further than what the client has, so that the slot does not move beyond that. */
function isStored(position: StreamPosition, incoming: StreamPosition | undefined): boolean {
  return position.beginsAnew || (incoming !== undefined && position.resumeLsn <= incoming.resumeLsn)
}

/** The slot moves to the incoming state as soon as there is a stream that says so. */
async function listen(source: PostgresSource, { incoming, onEvent }: IncrementalRun): Promise<void> {
  for await (const event of source.events()) {
    onEvent(event)
    // Of a slot that was made anew it says nothing.
    if (event.type === 'streaming' && incoming !== undefined) await source.ack(incoming).catch(() => {})
  }
}

/** A batch as lines, with the STATE lines that are due behind it, or within it at a commit. */
async function writeBatch(run: IncrementalRun, batch: Batch, position: StreamPosition): Promise<void> {
  const { records, checkpoints, writer, output } = run
  const { rows } = batch
  const now = Date.now()
  const state = (at: StreamPosition) => writer.write(Buffer.from(checkpoints.lines(at)))
  writer.clear()
  records.readAt(position.place)
  // The first STATE comes before the first row: a run that is cut off behind it leaves nothing that nobody deletes.
  const due = !position.beginsAnew && (checkpoints.due || (rows.count === 0 && checkpoints.none && isReading(position)))
  const whole = position.place.end !== undefined || position.place.snapshot !== undefined || checkpoints.overdue
  const commit = due && !whole ? lastCommit(batch) : 0
  if (commit > 0) {
    checkpoints.count(records.write(writer, rows, 0, commit, now))
    state(StreamPosition.parse(batch.at(commit - 1)!.position))
  }
  checkpoints.count(records.write(writer, rows, commit, rows.count, now))
  if (due && whole) state(position)
  if (writer.size > 0) await output.lines(writer.take())
}

/** Some rows are still to be read. */
function isReading({ place }: StreamPosition): boolean {
  return place.snapshot?.tables?.some(({ stretches }) => firstUnread(stretches) >= 0) === true
}

/** Behind how many records the last transaction begins that is not whole; 0: it is the batch's only one. */
function lastCommit({ rows }: Batch): number {
  const transactionOf = (index: number) => rows.heads[index * HEAD + HEAD_TRANSACTION]
  const open = transactionOf(rows.count - 1)
  let index = rows.count - 1
  while (index >= 0 && transactionOf(index) === open) index--
  return index + 1
}
