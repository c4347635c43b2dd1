import { sleep } from '../../core/abort.js'
import { backoffMs } from '../../core/backoff.js'
import type { RowBatch } from '../../core/rowBatch.js'
import type { TailraceError } from '../../core/tailraceError.js'
import { COMMIT_NOT_VISIBLE } from '../../core/warnings.js'
import type { Batch } from '../batch.js'
import type { SourceEvent } from '../events.js'
import type { RunContext } from '../runContext.js'
import { fillGaps, fillingOf, lengthOf } from './fill.js'
import { findGaps, type Gap, missingColumns, type Request } from './gaps.js'
import { isLoss, RowReader, TooMuch } from './rowReader.js'

interface ToastFetchOptions {
  readonly reader: RowReader
  /** Fetched values of so many bytes are about what is held, and what a batch grows by; one value may be larger. */
  readonly maxBytes: number
  readonly emit: (event: SourceEvent) => void
  readonly signal: AbortSignal
}

const BACKOFF = { firstMs: 200, maxMs: 10_000 }
const VISIBLE_POLL = { firstMs: 2, maxMs: 500 }
/** Longer than that only a commit takes that waits for a synchronous standby. */
const VISIBLE_MS = 3000
/** The first query of a table asks for so many rows. */
const FIRST_ROWS = 8
/** So many times what was reckoned with may come before a query is given up. */
const TOLERANCE = 4

/**
 * `toast: 'fetch'`: gives batches on with the unchanged values that they lack, read from the tables by key, when the
 * consumer is there for the batch. Large ones make several batches of one. A value is the one that the row has by then:
 * never an older one than the change's, perhaps that of a change that is still to come.
 */
class ToastFetch {
  readonly #options: ToastFetchOptions
  readonly #ended = new AbortController()
  readonly #signal: AbortSignal
  /** Bytes of a row, by OID, as the last queries had them. */
  readonly #rowBytes = new Map<number, number>()

  constructor(options: ToastFetchOptions) {
    this.#options = options
    this.#signal = AbortSignal.any([options.signal, this.#ended.signal])
  }

  /** What is being fetched, and waits for the server perhaps, fails with this. */
  fail(error: unknown): void {
    this.#ended.abort(error)
  }

  async close(): Promise<void> {
    await this.#options.reader.close()
  }

  async *filled(batch: Batch): AsyncGenerator<Batch, void, void> {
    const missing = missingColumns(batch.rows)
    if (missing === undefined) {
      yield batch
      return
    }
    const gaps = findGaps(batch.rows, missing)
    if (gaps.some(({ request }) => request !== undefined)) await this.#awaitVisible(batch)
    let next = 0
    for (let from = 0; from < batch.length; ) {
      const answered = await this.#answer(batch.rows, gaps, next)
      const to = partEnd(gaps, next, answered, this.#options.maxBytes) ?? batch.length
      let behind = next
      while (behind < gaps.length && gaps[behind]!.record < to) behind++
      const part = batch.part(from, to)
      fillGaps(part.rows, gaps.slice(next, behind), from)
      release(gaps.slice(next, answered), behind - next, this.#options.maxBytes)
      from = to
      next = behind
      yield part
    }
  }

  /** Until a statement sees every transaction of the batch: else it might read what stood there before them. */
  async #awaitVisible({ rows }: Batch): Promise<void> {
    const { reader, emit } = this.#options
    const begun = performance.now()
    let told = false
    for (let attempt = 1; !(await this.#persist(() => reader.sees(rows.transactions))); attempt++) {
      if (!told && performance.now() - begun > VISIBLE_MS) {
        told = true
        emit(COMMIT_NOT_VISIBLE({}))
      }
      await sleep(backoffMs(attempt, VISIBLE_POLL), this.#signal)
    }
  }

  /**
   * Asks for what the gaps from `next` on need, as much as is to be held; gives the first gap for which nothing was
   * asked.
   */
  async #answer(rows: RowBatch, gaps: readonly Gap[], next: number): Promise<number> {
    const { reader, maxBytes } = this.#options
    const asked = new Map<number, Set<Request>>()
    let bytes = 0
    let answered = next
    for (; answered < gaps.length; answered++) {
      const { request } = gaps[answered]!
      if (request === undefined || request.answers !== undefined) continue
      const requests = asked.get(request.table) ?? new Set()
      if (requests.has(request)) continue
      if (bytes >= maxBytes) break
      asked.set(request.table, requests.add(request))
      bytes += this.#rowBytes.get(rows.tables[request.table]!.oid) ?? maxBytes / FIRST_ROWS
    }
    for (const [index, requests] of asked) {
      const table = rows.tables[index]!
      try {
        const list = [...requests]
        const read = await this.#persist(() => reader.read(table, list, TOLERANCE * maxBytes))
        this.#rowBytes.set(table.oid, Math.max(read / list.length, (this.#rowBytes.get(table.oid) ?? 0) / 2))
      } catch (error) {
        if (!(error instanceof TooMuch)) throw error
        this.#rowBytes.set(table.oid, maxBytes)
        for (const others of asked.values()) for (const request of others) request.answers = undefined
        return this.#answer(rows, gaps, next)
      }
    }
    return answered
  }

  /** Through lost connections and restarts of the server, as the stream itself. */
  async #persist<T>(ask: () => Promise<T>): Promise<T> {
    const { reader, emit } = this.#options
    for (let attempt = 1; ; attempt++) {
      this.#signal.throwIfAborted()
      try {
        return await ask()
      } catch (error) {
        this.#signal.throwIfAborted()
        if (!isLoss(error)) throw error
        reader.renew()
        const delayMs = backoffMs(attempt, BACKOFF)
        emit({ type: 'reconnecting', attempt, delayMs, cause: error as TailraceError })
        await sleep(delayMs, this.#signal)
      }
    }
  }
}

/** Of a run that streams these publications. */
export function toastFetch({ connections, options, emit, signal }: RunContext, publications: readonly string[]) {
  const reader = new RowReader({ connect: () => connections.ordinary(), publications })
  return new ToastFetch({ reader, maxBytes: options.maxBytes, emit, signal })
}

/** The record with which the next batch has to begin, `maxBytes` being in this one; undefined: none. */
function partEnd(gaps: readonly Gap[], next: number, answered: number, maxBytes: number): number | undefined {
  let bytes = 0
  for (let i = next; i < answered; ) {
    const { record } = gaps[i]!
    let length = 0
    for (; i < answered && gaps[i]!.record === record; i++) length += lengthOf(fillingOf(gaps[i]!))
    if (bytes > 0 && bytes + length > maxBytes) return record
    bytes += length
  }
  return gaps[answered]?.record
}

/**
 * Forgets answers that the gaps from `behind` on need no more, and of the others those above `maxBytes`: they are asked
 * for again.
 */
function release(gaps: readonly Gap[], behind: number, maxBytes: number): void {
  const kept = new Set<Request>()
  let bytes = 0
  for (const { request } of gaps.slice(behind)) {
    if (request?.answers === undefined || kept.has(request)) continue
    for (const value of request.answers.values()) bytes += lengthOf(value)
    if (kept.size > 0 && bytes > maxBytes) break
    kept.add(request)
  }
  for (const { request } of gaps) if (request !== undefined && !kept.has(request)) request.answers = undefined
}
