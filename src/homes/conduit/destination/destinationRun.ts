import { sleep } from '../../../core/abort.js'
import { RECORD_REJECTED } from '../../../core/conduitErrors.js'
import type { TailraceError } from '../../../core/tailraceError.js'
import { type PlainDestination, TargetChanged } from '../../../destination/plainDestination.js'
import { describeError } from '../plugin/describeError.js'
import { log } from '../plugin/log.js'
import { acksOf } from './acks.js'
import type { DestinationPlan } from './destinationOptions.js'
import { Inbox } from './inbox.js'
import { readRecords } from './incoming.js'
import { MetadataReader } from './metadata.js'
import { RateLimit } from './rateLimit.js'
import type { ReadRecords, RecordReader } from './recordReader.js'
import { rowAbout } from './rowAbout.js'
import type { TargetTables } from './targetTables.js'

/** The host's stream. */
export interface Port {
  /** A `Destination.Run.Response`. */
  write(message: Buffer): void
  /** No more records, or some again. */
  pause(): void
  resume(): void
}

export interface DestinationRunOptions {
  readonly plan: DestinationPlan
  readonly destination: PlainDestination
  readonly tables: TargetTables
  readonly reader: RecordReader
  readonly port: Port
}

/** So long Stop waits for the record that it names. */
const LAST_RECORD_MS = 60_000
const NO_POSITION = Buffer.alloc(0)

/** Writes the records of one Run, a batch in a transaction, and acknowledges each in its order. */
export class DestinationRun {
  readonly #options: DestinationRunOptions
  readonly #inbox: Inbox
  readonly #names: MetadataReader
  readonly #rate: RateLimit | undefined
  readonly #ended = new AbortController()
  #paused = false
  #lastAcked: Buffer = NO_POSITION
  #awaited: { readonly position: Buffer; readonly acked: () => void } | undefined
  readonly #warned = new Set<string>()

  constructor(options: DestinationRunOptions) {
    this.#options = options
    const { values, route } = options.plan
    const perSecond = values['sdk.rate.perSecond']
    this.#rate = perSecond > 0 ? new RateLimit(perSecond, values['sdk.rate.burst']) : undefined
    this.#names = new MetadataReader(route.names)
    this.#inbox = new Inbox({
      size: values['sdk.batch.size'],
      delayMs: values['sdk.batch.delay'],
      most: this.#rate?.burst ?? Number.POSITIVE_INFINITY,
    })
  }

  /** A `Destination.Run.Request` has come. */
  take(message: Buffer): void {
    this.#inbox.add(readRecords(message, this.#names), message.length)
    if (!this.#inbox.isFull || this.#paused) return
    this.#paused = true
    this.#options.port.pause()
  }

  /** Writes what comes until `end`; rejects with what keeps all records from being written. */
  async run(): Promise<void> {
    let writing: Promise<void> = Promise.resolve()
    for (;;) {
      const records = await this.#inbox.next(writing)
      if (records === undefined) break
      this.#goOn()
      const read = this.#options.reader.read(records)
      // What goes wrong with the one before it is told first.
      read.catch(() => {})
      await writing
      const batch = await read
      writing = this.#write(batch)
      writing.catch(() => {})
    }
    await writing
  }

  /** Resolves when the record with this position is acknowledged: the host has sent it, and nothing behind it. */
  async stop(lastPosition: Buffer): Promise<void> {
    this.#inbox.flush()
    if (lastPosition.length === 0 || this.#lastAcked.equals(lastPosition)) return
    const acked = new Promise<void>((resolve) => {
      this.#awaited = { position: lastPosition, acked: resolve }
    })
    const late = sleep(LAST_RECORD_MS, this.#ended.signal).then(
      () => log('warn', `the record of Stop has not come for ${LAST_RECORD_MS / 1000} s`),
      () => {},
    )
    await Promise.race([acked, late])
  }

  /** Nothing more is written, nor acknowledged. */
  end(): void {
    this.#inbox.end()
    this.#ended.abort()
  }

  #goOn(): void {
    if (!this.#paused || this.#inbox.isFull) return
    this.#paused = false
    this.#options.port.resume()
  }

  async #write(batch: ReadRecords): Promise<void> {
    const { records } = batch
    const waitMs = this.#rate?.take(records.length) ?? 0
    if (waitMs > 0) await sleep(waitMs, this.#ended.signal)
    const errors = await this.#written(batch)
    if (this.#ended.signal.aborted) return
    this.#options.port.write(acksOf(records, errors))
    this.#lastAcked = records.at(-1)!.position
    const awaited = this.#awaited
    if (awaited !== undefined && records.some(({ position }) => position.equals(awaited.position))) awaited.acked()
  }

  /** Writes; gives what is wrong with which record. */
  async #written(batch: ReadRecords, lookedAgain = false): Promise<Map<number, string>> {
    const { destination, tables, reader } = this.#options
    const errors = new Map(batch.failed)
    if (batch.batch.count === 0) return errors
    try {
      const { rejected, missing } = await destination.write(batch.batch.rows, batch.targets, lookedAgain)
      for (const { target, count } of missing) this.#tellMissing(target.target, count)
      for (const [row, cause] of rejected) errors.set(batch.recordOf[row]!, await this.#explain(batch, row, cause))
    } catch (error) {
      if (!(error instanceof TargetChanged)) throw error
      tables.forget()
      return this.#written(await reader.read(batch.records), true)
    }
    if (tables.isFull) {
      tables.forget()
      await destination.renew()
    }
    return errors
  }

  async #explain({ batch, targets }: ReadRecords, row: number, cause: unknown): Promise<string> {
    const { target, operation, key } = rowAbout(batch.rows, targets, row)
    const known = await this.#options.destination.explain(cause, target)
    if ('error' in known) return `${describeError(known.error)} (${operation} of ${key})`
    const facts = { table: target.target, operation, key, ...known }
    return describeError(RECORD_REJECTED(facts, { cause: cause as TailraceError }))
  }

  #tellMissing(table: string, count: number): void {
    const message = `${count} updates of ${table} left large values as they were, of rows that are not there: they are left out. They were deleted since, where Conduit sends records again; else read the table once more`
    log(this.#warned.has(table) ? 'debug' : 'warn', message, { table, count })
    this.#warned.add(table)
  }
}
