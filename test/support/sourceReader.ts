import type { PositionJson } from '../../src/core/record.js'
import type { Batch } from '../../src/source/batch.js'
import type { SourceEvent } from '../../src/source/events.js'
import type { SourceOptions } from '../../src/source/options.js'
import { PostgresSource } from '../../src/source/postgresSource.js'
import { asking } from './asking.js'
import { type WaitOptions, waitFor } from './waitFor.js'

type Row = Readonly<Record<string, unknown>>

/** A record as its NDJSON line says, and where it stands. */
export interface SourceRecord {
  readonly operation: string
  readonly schema: string
  readonly table: string
  readonly key?: Row
  readonly oldKey?: Row
  readonly before?: Row
  readonly after?: Row
  readonly unchanged?: readonly string[]
  readonly lsn?: string
  readonly seq?: number
  readonly xid?: number
  readonly id: string
  readonly position: PositionJson
  readonly [field: string]: unknown
}

export interface ReaderOptions {
  /** Which batches are acknowledged, at once; default: all. */
  readonly ack?: boolean | ((batch: Batch) => boolean)
  /** Called with each batch before its acknowledgement; the next one waits for it. */
  readonly onBatch?: (batch: Batch) => Promise<unknown> | undefined
}

/** Runs a source in the background and keeps what it gives: `await using reader = readSource({ … })`. */
export function readSource(options: SourceOptions, reading: ReaderOptions = {}): SourceReader {
  return new SourceReader(options, reading)
}

export class SourceReader implements AsyncDisposable {
  readonly source: PostgresSource
  readonly records: SourceRecord[] = []
  readonly batches: Batch[] = []
  readonly events: SourceEvent[] = []
  /** Settles with the loop. */
  readonly ended: Promise<void>
  #failure: { readonly error: unknown } | undefined
  #done = false

  constructor(options: SourceOptions, reading: ReaderOptions) {
    this.source = new PostgresSource(options)
    const listening = this.#listen()
    this.ended = this.#read(reading).then(
      () => {
        this.#done = true
        return listening
      },
      (error) => {
        this.#failure = { error }
        throw error
      },
    )
    this.ended.catch(() => {})
  }

  /** Waits until the condition gives something truthy; fails with the loop's error, and when the loop ends before. */
  async until<T>(condition: () => T | Promise<T>, options: WaitOptions) {
    return waitFor(async () => {
      const value = await condition()
      if (value) return value
      if (this.#failure !== undefined) throw this.#failure.error
      if (this.#done) throw new Error(`the source ended before ${options.what}`)
      return value
    }, options)
  }

  /** Until a record came for which the condition holds; gives it. */
  async seen(condition: (record: SourceRecord) => boolean, what: string, timeoutMs = 60_000): Promise<SourceRecord> {
    let looked = 0
    return this.until(
      () => {
        for (; looked < this.records.length; looked++) if (condition(this.records[looked]!)) return this.records[looked]
        return undefined
      },
      { what, timeoutMs },
    )
  }

  /** Until an event of this type came; gives the first. */
  async told<T extends SourceEvent['type']>(type: T, timeoutMs = 60_000): Promise<Extract<SourceEvent, { type: T }>> {
    const is = (event: SourceEvent): event is Extract<SourceEvent, { type: T }> => event.type === type
    return this.until(() => this.events.find(is), { what: `the event ${type}`, timeoutMs })
  }

  /** The records' changes of one table, snapshot rows left out. */
  changesOf(table: string): SourceRecord[] {
    return this.records.filter((record) => record.table === table && record.operation !== 'snapshot')
  }

  snapshotOf(table: string): SourceRecord[] {
    return this.records.filter((record) => record.table === table && record.operation === 'snapshot')
  }

  async close(): Promise<void> {
    await this.source.close()
    await this.ended.catch(() => {})
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async #read({ ack = true, onBatch }: ReaderOptions): Promise<void> {
    for await (const batch of this.source) {
      this.batches.push(batch)
      this.records.push(...recordsOf(batch))
      await onBatch?.(batch)
      if (typeof ack === 'boolean' ? ack : ack(batch)) await batch.ack()
    }
  }

  async #listen(): Promise<void> {
    for await (const event of this.source.events()) this.events.push(event)
  }
}

/** Everything up to now (`until: 'current'`), all of it acknowledged. */
export async function readToCurrent(options: SourceOptions): Promise<SourceReader> {
  await using reader = readSource({ ...options, until: 'current' })
  await reader.ended
  return reader
}

/** The same, of which nothing is acknowledged: ends where the run would wait for that. */
export async function readUnacknowledged(options: SourceOptions): Promise<SourceReader> {
  const asks = asking()
  const onBatch = async (batch: Batch) => {
    if (asks(batch)) void reader.source.close()
  }
  const reader: SourceReader = readSource({ ...options, until: 'current' }, { ack: false, onBatch })
  await reader.ended
  return reader
}

export function recordsOf(batch: Batch): SourceRecord[] {
  const lines = Buffer.from(batch.toNdjson()).toString().split('\n').slice(0, -1)
  if (lines.length !== batch.length) throw new Error(`${lines.length} lines of ${batch.length} records`)
  return lines.map((line, index) => ({ ...JSON.parse(line), position: batch.at(index)!.position.toJSON() }))
}
