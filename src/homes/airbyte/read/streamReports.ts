import { failureMessage } from '../protocol/failure.js'
import type { MessageOutput } from '../protocol/messageOutput.js'
import { type StreamDescriptor, type StreamStatus, statusMessage } from '../protocol/messages.js'
import { describeStream } from './configuredCatalog.js'
import type { StreamLines } from './streamLines.js'

/**
 * What a record cannot say: columns of an update were not sent, or (`gone`) sought in the table and not found; the table was
 * truncated; a json value had half a surrogate pair, which is another character now.
 */
export type Unsaid = 'unchanged' | 'gone' | 'truncate' | 'half pair'

const UNSAID: Readonly<Record<Unsaid, string>> = {
  truncate: ' was truncated: no record says so. Reset the stream to have its rows anew',
  unchanged: ': large values that updates left as they were are not in the records. Set toast to fetch; it needs a key',
  gone: ': large values that updates left as they were are not in some records: by the time they were fetched the row was deleted or had another key, of which a later record tells',
  'half pair':
    ': a json value has half a surrogate pair, which is no character and which most readers refuse: U+FFFD stands for it in the records',
}

/** Tells what becomes of each stream, and knows whether one of them failed. */
export class StreamReports {
  failed = false
  readonly #output: MessageOutput

  constructor(output: MessageOutput) {
    this.#output = output
  }

  status(status: StreamStatus, streams: Iterable<{ readonly descriptor: StreamDescriptor }>): void {
    for (const { descriptor } of streams) this.#output.send(statusMessage(status, descriptor))
  }

  /** It is not read as it was wanted; the others are. */
  refuse(descriptor: StreamDescriptor, error: unknown): void {
    this.failed = true
    this.#output.send(failureMessage(error, descriptor), statusMessage('INCOMPLETE', descriptor))
  }

  /** All of these were being read. */
  fail(error: unknown, streams: readonly { readonly lines: StreamLines }[]): void {
    this.failed = true
    this.#output.send(failureMessage(error))
    this.status(
      'INCOMPLETE',
      streams.map(({ lines }) => lines.stream),
    )
  }

  /** Before its first STATE, also of a stream without a record. */
  running({ lines }: { readonly lines: StreamLines }): void {
    if (lines.running) return
    lines.running = true
    this.#output.send(statusMessage('RUNNING', lines.stream.descriptor))
  }

  /** Once a stream and run; of truncates each. */
  unsaid(lines: StreamLines, what: Unsaid): void {
    if (lines.told.has(what) && what !== 'truncate') return
    lines.told.add(what)
    this.#output.log('WARN', `${describeStream(lines.stream.descriptor)}${UNSAID[what]}`)
  }
}
