import { SOURCE_USED } from '../core/errors.js'
import type { Position, PositionJson } from '../core/record.js'
import type { Batch } from './batch.js'
import { EventHub, type SourceEvent } from './events.js'
import { type ParsedOptions, parseOptions, type SourceOptions } from './options.js'
import { StreamPosition } from './position.js'
import { SourceRun } from './sourceRun.js'
import type { TableControl } from './tableControl.js'

/**
 * A PostgreSQL database's rows, then every change after them.
 *
 * ```ts
 * await using source = new PostgresSource<{ orders: Order }>({ url, tables: ['orders'], slot: 'shop', position })
 * for await (const batch of source) {
 *   for (const record of batch) handle(record)
 *   await save(batch.position) // store first …
 *   await batch.ack()          // … confirm after
 * }
 * ```
 *
 * The constructor checks the options and throws at once (`SETTING_INVALID`, `SETTING_UNKNOWN`, `TABLE_PATTERN_INVALID`,
 * `CONNECTION_STRING_INVALID`, `POSITION_INVALID`); everything that needs the server happens in the loop, whose errors
 * are `TailraceError`s: see docs/errors.md. No more than `maxBytes` are read ahead of the loop.
 *
 * Leaving the loop, aborting `signal`, and `close()` (also at the end of an `await using` scope) all end the run in the
 * same way: the stream is closed, a temporary slot and publication are dropped, and what was not acknowledged comes
 * again when the run is resumed. A source runs once.
 */
export class PostgresSource<Tables extends object = Record<string, Record<string, unknown>>>
  implements AsyncIterable<Batch<Tables>>, AsyncDisposable, TableControl
{
  readonly #options: ParsedOptions
  readonly #events = new EventHub()
  readonly #abort = new AbortController()
  readonly #run: SourceRun
  #batches: AsyncGenerator<Batch<Tables>, void, void> | undefined

  constructor(options: SourceOptions<Tables>) {
    this.#options = parseOptions(options as SourceOptions<never>)
    const { signal } = this.#options
    const signals = signal === undefined ? [this.#abort.signal] : [this.#abort.signal, signal]
    this.#run = new SourceRun(this.#options, (event) => this.#events.emit(event), AbortSignal.any(signals))
  }

  [Symbol.asyncIterator](): AsyncGenerator<Batch<Tables>, void, void> {
    if (this.#batches !== undefined) throw SOURCE_USED({})
    this.#batches = this.#iterate()
    return this.#batches
  }

  async *#iterate(): AsyncGenerator<Batch<Tables>, void, void> {
    try {
      yield* this.#run.batches() as AsyncGenerator<Batch<Tables>, void, void>
    } finally {
      this.#events.end()
    }
  }

  /**
   * Everything up to `position`, of a batch or of one record, is durable: the server may forget it. The server is told
   * within a second. Throws `ACK_UNKNOWN` for a position that was not handed out.
   */
  async ack(position: Position | PositionJson | string): Promise<void> {
    this.#run.ack(StreamPosition.parse(position))
  }

  /**
   * Captures more tables (names or patterns) from now on: their rows, read in chunks while the stream goes on, then their
   * changes. Resolves with the names of those that were added, once every transaction that ran when the publication got
   * them has ended. Rejects with `TABLE_NOT_FOUND`, what keeps a table from being captured, or `SOURCE_ENDED`.
   */
  async addTables(tables: string | readonly string[]): Promise<readonly string[]> {
    return (await this.#run.tables).addTables(tables)
  }

  /** Captures these no more: they leave the publication if that is ours, and are read anew when they are added again. */
  async removeTables(tables: string | readonly string[]): Promise<readonly string[]> {
    return (await this.#run.tables).removeTables(tables)
  }

  /**
   * Reads a table's rows once more as `snapshot` records with ids of their own, while its changes go on; `where`: an SQL
   * condition on its columns. Resolves when that has begun. Rejects with `TABLE_NOT_CAPTURED` or `WHERE_INVALID`.
   */
  async resnapshot(table: string, options: { readonly where?: string } = {}): Promise<void> {
    return (await this.#run.tables).resnapshot(table, options)
  }

  /** What the source tells of its work, from now on. Nothing is lost when nobody listens. */
  events(): AsyncGenerator<SourceEvent, void, void> {
    return this.#events.listen()
  }

  /** Ends the run and waits until its connections are closed. May be called more than once. */
  async close(): Promise<void> {
    this.#abort.abort()
    await this.#batches?.return()
    this.#events.end()
    // Of a run that never began, too.
    this.#events.end()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }
}
