import { sleep } from '../../core/abort.js'
import type { KeyColumn } from '../../postgres/catalog/keyColumns.js'
import type { Queryable } from '../../postgres/queryable.js'
import { currentLsn } from '../untilLsn.js'
import { lastUntil, readingsOf } from './readings.js'
import type { TableScan } from './tableScan.js'

const PAUSE_MS = 250

export interface NextReadingsOptions {
  readonly control: Queryable
  readonly scanOf: (oid: number) => TableScan | undefined
  /** A table's readings are of use for less than was thought. */
  readonly onSettled: () => void
  readonly signal: AbortSignal
}

/**
 * Tables that are to be read once more when the stream has passed what their last reading showed. That was marked by the
 * WAL's insert position, where the stream may not come for long on a quiet server: a nearer end is looked for.
 */
export class NextReadings {
  readonly #options: NextReadingsOptions
  /** The keys by which they are to be read. */
  readonly #columns = new Map<number, readonly KeyColumn[]>()
  #watching = false
  #closed = false

  constructor(options: NextReadingsOptions) {
    this.#options = options
  }

  add(oid: number, columns: readonly KeyColumn[]): void {
    this.#columns.set(oid, columns)
    if (!this.#watching) void this.#watch()
  }

  /** It is awaited no more. */
  take(oid: number): readonly KeyColumn[] | undefined {
    const columns = this.#columns.get(oid)
    this.#columns.delete(oid)
    return columns
  }

  close(): void {
    this.#closed = true
  }

  async #watch(): Promise<void> {
    const { signal } = this.#options
    this.#watching = true
    while (this.#columns.size > 0 && !this.#closed && !signal.aborted) {
      // The stream itself tells when the server is gone.
      await this.#settle().catch(() => {})
      await sleep(PAUSE_MS, signal).catch(() => {})
    }
    this.#watching = false
  }

  /** What a reading shows was committed when it is asked how far the WAL of all commits goes. */
  async #settle(): Promise<void> {
    const { control, scanOf, onSettled, signal } = this.#options
    const read = [...this.#columns.keys()].flatMap((oid) => {
      const scan = scanOf(oid)
      const until = scan === undefined || scan.unread ? undefined : lastUntil(readingsOf(scan.progress))
      return until === undefined ? [] : [{ oid, scan, until }]
    })
    if (read.length === 0) return
    const lsn = await currentLsn(control, signal)
    for (const { oid, scan, until } of read) {
      if (lsn >= until || scan === undefined || scanOf(oid) !== scan) continue
      scan.settles(until, lsn)
      onSettled()
    }
  }
}
