import type { PositionJson } from '../../core/record.js'
import type { DeadLetterRow } from '../../destination/deadLetters.js'
import { explained } from '../../destination/failure.js'
import { type ConnectionOptions, parseConnectionString } from '../../postgres/connectionString.js'
import { quoteQualified } from '../../postgres/identifier.js'
import { Session } from '../../postgres/session.js'
import type { Batch } from '../../source/batch.js'
import type { LetterFile } from '../deadLetters/letterFile.js'
import type { FlushOptions, Reject, Sink, SinkMark } from '../sink.js'
import { WrappedSink } from '../wrappedSink.js'

const AT_ONCE = 1000

export interface ExportedFrom {
  readonly url?: string | undefined
  readonly checkpointSchema: string
  readonly source: string
}

/**
 * A sink of a database with a file for its dead letters: they are committed with their batches, in the table, and what
 * the table has more than the file comes into that before anything is recorded.
 */
export class WithExportedLetters extends WrappedSink {
  readonly #sink: Sink
  readonly #file: LetterFile
  readonly #connection: ConnectionOptions
  readonly #name: string
  readonly #source: string
  #session: Session | undefined
  /** Of the last letter in the file. */
  #number = '0'

  constructor(sink: Sink, file: LetterFile, { url, checkpointSchema, source }: ExportedFrom) {
    super(sink)
    this.#sink = sink
    this.#file = file
    this.#connection = parseConnectionString(url)
    this.#name = quoteQualified(checkpointSchema, 'dead_letter')
    this.#source = source
  }

  async open(mark: SinkMark | undefined): Promise<PositionJson | null | undefined> {
    const known = (mark?.deadLetters ?? undefined) as { readonly bytes: number; readonly number?: string } | undefined
    await this.#file.open(known)
    // It makes the table.
    const stored = (await this.#sink.open(mark)) as PositionJson | null | undefined
    this.#session = await Session.connect(this.#connection)
    this.#number = known?.number ?? (await this.#lastNumber())
    return stored
  }

  async write(batch: Batch, reject?: Reject): Promise<void> {
    await this.#sink.write(batch, reject)
  }

  async flush(options: FlushOptions): Promise<SinkMark> {
    const mark = await this.#sink.flush(options)
    for (;;) {
      const letters = await this.#next()
      if (letters.length === 0) break
      await this.#file.write(letters)
      this.#number = letters.at(-1)!.number
    }
    return { ...mark, deadLetters: { ...(await this.#file.flush()), number: this.#number } }
  }

  async close(): Promise<void> {
    const session = this.#session
    this.#session = undefined
    try {
      await this.#sink.close()
    } finally {
      await Promise.allSettled([session?.close(), this.#file.close()])
    }
  }

  async #lastNumber(): Promise<string> {
    const [row] = await this.#asked<{ last: string }>(
      `SELECT coalesce(pg_catalog.max(number), 0)::pg_catalog.text AS last FROM ${this.#name} WHERE source = $1`,
    )
    return row!.last
  }

  #next(): Promise<(DeadLetterRow & { readonly number: string })[]> {
    return this.#asked(
      `SELECT number::pg_catalog.text AS number, id, target, sqlstate, problem, record::pg_catalog.text AS record
         FROM ${this.#name} WHERE source = $1 AND number > $2 ORDER BY ${this.#name}.number LIMIT ${AT_ONCE}`,
      [this.#number],
    )
  }

  async #asked<Row extends object>(sql: string, values: readonly unknown[] = []): Promise<Row[]> {
    try {
      return await this.#session!.query<Row>(sql, [this.#source, ...values])
    } catch (error) {
      throw explained(error, [this.#name])
    }
  }
}
