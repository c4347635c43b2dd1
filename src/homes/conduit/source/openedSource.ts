import { deferred } from '../../../core/deferred.js'
import type { Batch } from '../../../source/batch.js'
import { isProgress, RetentionNews } from '../../../source/eventNews.js'
import type { SourceEvent } from '../../../source/events.js'
import { describe, LEVELS } from '../../../source/eventText.js'
import type { SourceOptions } from '../../../source/options.js'
import { PostgresSource } from '../../../source/postgresSource.js'
import { inSettings } from '../plugin/describeError.js'
import { log } from '../plugin/log.js'

/** Then the run is under way: what is wrong with the server, the slot or the tables was told before. */
const UNDER_WAY: readonly SourceEvent['type'][] = ['streaming', 'snapshot-started', 'polling']

/** A source whose first batch is asked for already, so that what cannot be opened fails at once. */
export class OpenedSource {
  readonly #source: PostgresSource
  readonly #batches: AsyncGenerator<Batch, void, void>
  #next: Promise<IteratorResult<Batch, void>> | undefined
  #quiet = false
  readonly #retention = new RetentionNews()
  #rowsToRead = 0
  #onReading: (rows: number) => void = () => {}

  private constructor(options: SourceOptions) {
    const host = options.host && { ...options.host, onRowsToRead: (rows: number) => this.#expect(rows) }
    this.#source = new PostgresSource({ ...options, host })
    this.#batches = this.#source[Symbol.asyncIterator]()
  }

  /** Resolves when the run is under way. */
  static async open(options: SourceOptions): Promise<OpenedSource> {
    const opened = new OpenedSource(options)
    const underWay = deferred<void>()
    void opened.#listen(underWay.resolve)
    const first = opened.#batches.next()
    opened.#next = first
    await Promise.race([first, underWay.promise])
    return opened
  }

  /** The next batch; undefined when the source was closed. */
  async next(): Promise<Batch | undefined> {
    const next = this.#next ?? this.#batches.next()
    this.#next = undefined
    const { value } = await next
    return value ?? undefined
  }

  /** Tables begin to be read, or were before: of so many rows, about. */
  onReading(listener: (rows: number) => void): void {
    this.#onReading = listener
    if (this.#rowsToRead > 0) listener(this.#rowsToRead)
  }

  /** All up to there is stored by the host. */
  ack(position: Batch['position'] | string): Promise<void> {
    return this.#source.ack(position)
  }

  /** The host takes no more: that is no stall. */
  rest(): void {
    this.#quiet = true
  }

  /** Tells the server what was acknowledged, and lets go of it. */
  async close(): Promise<void> {
    this.#quiet = true
    this.#next?.catch(() => {})
    await this.#source.close()
  }

  #expect(rows: number): void {
    this.#rowsToRead = rows
    this.#onReading(rows)
  }

  async #listen(underWay: () => void): Promise<void> {
    for await (const event of this.#source.events()) {
      if (event.type === 'snapshot-started') this.#expect(event.estimatedRows)
      if (UNDER_WAY.includes(event.type)) underWay()
      const { type, ...facts } = event
      if (this.#quiet && (type === 'stalled' || type === 'stall-ended')) continue
      if (!this.#retention.isNews(event)) continue
      // Others share the log.
      log(isProgress(event) ? 'debug' : LEVELS[type], inSettings(describe(event)), { event: type, ...plain(facts) })
    }
  }
}

/** What JSON can say of an event. */
function plain(facts: object): Record<string, unknown> {
  const entries = Object.entries(facts).filter(([, value]) => ['string', 'number', 'boolean'].includes(typeof value))
  return Object.fromEntries(entries)
}
