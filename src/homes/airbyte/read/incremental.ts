import type { SourceEvent } from '../../../source/events.js'
import type { SourceOptions } from '../../../source/options.js'
import { StreamPosition } from '../../../source/position.js'
import { PostgresSource } from '../../../source/postgresSource.js'
import type { Lines } from './batchLines.js'

export interface IncrementalRun {
  readonly options: SourceOptions
  /** What the client has stored: the one place that the slot is moved to. */
  readonly incoming: StreamPosition | undefined
  readonly lines: Lines
  readonly onEvent: (event: SourceEvent) => void
}

/**
 * Reads rows and changes until the source ends.
 * Nothing that is handed on here is acknowledged: the client says what it has stored by giving it to the next run.
 */
export async function readIncremental(run: IncrementalRun): Promise<void> {
  const { incoming, lines } = run
  const signals = [run.options.signal, lines.failed].filter((one) => one !== undefined)
  const options: SourceOptions = { ...run.options, signal: AbortSignal.any(signals) }
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
      await lines.write(batch, position)
      if (options.signal?.aborted) break
    }
  } finally {
    await source.close()
    await listening
    await lines.end()
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
