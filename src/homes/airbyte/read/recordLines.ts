import { ByteWriter } from '../../../core/byteWriter.js'
import type { RowBatch } from '../../../core/rowBatch.js'
import { LineWriter } from '../../../sinks/lines/lineWriter.js'
import type { MessageOutput } from '../protocol/messageOutput.js'
import { type RecordTask, type RecordTold, recordEncoder } from './recordServer.js'
import { type RecordSetup, recordWriter } from './recordSetup.js'
import type { ReadPlace } from './recordTails.js'
import type { RecordWriter } from './recordWriter.js'
import type { StreamLines } from './streamLines.js'
import type { Unsaid } from './streamReports.js'

/** What is larger than this has the thread begun before its first row comes: that costs as much as the lines of 8 MB. */
const LARGE_BYTES = 32 * 1024 * 1024

export interface RecordLinesOptions {
  readonly setup: RecordSetup
  /** Of the run's streams, by their numbers. */
  readonly streams: ReadonlyMap<number, StreamLines>
  readonly output: MessageOutput
  readonly onUnsaid: (stream: StreamLines, what: Unsaid) => void
  /** File of the thread; undefined: all is done here. */
  readonly worker: URL | undefined
}

/** What stands around the records of a batch. */
export interface Surrounded {
  /** The place of the stream; undefined: there is none. */
  readonly place?: ReadPlace | undefined
  /** Behind so many records `between` stands: STATE lines, made when all before them is counted. */
  readonly commit?: number | undefined
  readonly between?: (() => string) | undefined
  /** What stands behind the last of them. */
  readonly behind?: (() => string) | undefined
  /** All of it is written. */
  readonly written?: (() => void) | undefined
}

/**
 * RECORD lines of batches, in order, with what stands between and behind them: made here, or where batches are large or
 * tables are in a thread of their own while the next rows are received. What a batch's STATE lines tell of is always
 * written before them.
 */
export class RecordLines {
  /** What is written here, and what is held. */
  readonly records: RecordWriter
  readonly #options: RecordLinesOptions
  readonly #lines: LineWriter<RecordTask, RecordTold>
  /** What the thread does, for when it has enough to do. */
  readonly #encode: ReturnType<typeof recordEncoder>
  readonly #failing = new AbortController()

  constructor(options: RecordLinesOptions) {
    const { setup, streams, onUnsaid, worker } = options
    this.#options = options
    this.records = recordWriter(setup, ({ number }) => streams.get(number)!, onUnsaid)
    this.#encode = recordEncoder(setup)
    this.#lines = new LineWriter({
      thread: worker && { entry: worker, data: () => setup },
      rowsToo: true,
      // STATE lines count what stands before them.
      ahead: false,
      failed: (error) => this.#failing.abort(error),
    })
  }

  /** Aborted when lines could not be made or written; {@link RecordLines.settled} rejects then. */
  get failed(): AbortSignal {
    return this.#failing.signal
  }

  /** So many bytes of tables are to be read; Infinity: a large transaction comes. */
  expect(bytes: number): void {
    if (bytes >= LARGE_BYTES) this.#lines.expectLarge()
  }

  /** Resolves when the next batch may come. */
  write(rows: RowBatch, around: Surrounded): Promise<void> {
    const { place, commit = 0, between, behind, written } = around
    const emittedAt = Date.now()
    const task = (): RecordTask => ({
      place: place && { lsn: place.lsn, seq: place.seq, end: place.end },
      emittedAt,
      commit,
    })
    return this.#lines.write(rows, {
      here: (writer) => {
        // The thread takes lines, once it is loaded.
        const own = this.#lines.isLoading ? rows.unnoticed() : rows
        if (place !== undefined) this.records.readAt(place)
        this.records.write(writer, own, 0, commit, emittedAt)
        if (between !== undefined) writer.write(Buffer.from(between()))
        this.records.write(writer, own, commit, own.count, emittedAt)
        if (behind !== undefined) writer.write(Buffer.from(behind()))
      },
      task,
      alike: (writer) => this.#encode(writer, rows.unnoticed(), task()),
      write: async (lines, told) => {
        const parts = told === undefined ? lines : this.#surround(lines, told.of, around)
        if (parts.length > 0) await this.#options.output.lines(parts)
        written?.()
      },
    })
  }

  settled(): Promise<void> {
    return this.#lines.settled()
  }

  close(): Promise<void> {
    return this.#lines.close()
  }

  /** The thread's lines, counted, with what stands between and behind them. */
  #surround(lines: readonly Uint8Array[], told: RecordTold, { between, behind }: Surrounded): readonly Uint8Array[] {
    const { onUnsaid } = this.#options
    for (const [number, what] of told.unsaid) onUnsaid(this.#streamOf(number), what)
    return [
      ...lines.slice(0, told.parts),
      ...this.#counted(told.before, between),
      ...lines.slice(told.parts),
      ...this.#counted(told.behind, behind),
    ]
  }

  #counted(counts: RecordTold['before'], state: (() => string) | undefined): readonly Uint8Array[] {
    const writer = new ByteWriter(0)
    for (const [number, records] of counts) this.#streamOf(number).wrote(records, writer)
    if (state !== undefined) writer.write(Buffer.from(state()))
    return writer.take()
  }

  #streamOf(number: number): StreamLines {
    return this.#options.streams.get(number)!
  }
}
