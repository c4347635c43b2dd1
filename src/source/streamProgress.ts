import { formatLsn, type Lsn } from '../postgres/lsn.js'
import type { Batch } from './batch.js'
import type { SourceEvent } from './events.js'
import type { StreamPosition } from './position.js'

const REPORT_MS = 1000
/** PostgreSQL's epoch, 2000-01-01 UTC. */
const EPOCH_MS = Date.UTC(2000, 0, 1)

/** How much was taken, and how far behind the server that is. */
export class StreamProgress {
  readonly #emit: (event: SourceEvent) => void
  #records = 0
  #bytes = 0
  /** Behind the last batch taken. */
  #taken: Lsn
  #commitTime: bigint | undefined
  /** The server's end at the report before. */
  #serverLsn: Lsn = 0n
  #reportedAt = Number.NEGATIVE_INFINITY

  constructor(start: Lsn, emit: (event: SourceEvent) => void) {
    this.#taken = start
    this.#emit = emit
  }

  took({ length, rows, position }: Batch): void {
    this.#records += length
    this.#bytes += rows.bytes
    this.#taken = (position as StreamPosition).resumeLsn
    this.#commitTime = rows.transactions.at(-1)?.commitTime ?? this.#commitTime
  }

  /** `serverLsn`: the server's end of WAL just now. */
  report(serverLsn: Lsn): void {
    const now = performance.now()
    if (now - this.#reportedAt < REPORT_MS) return
    this.#reportedAt = now
    const lag = serverLsn - this.#taken
    // What the server wrote since the report before may still be on its way.
    const behind = this.#taken < this.#serverLsn
    this.#serverLsn = serverLsn
    this.#emit({
      type: 'stream-progress',
      records: this.#records,
      bytes: this.#bytes,
      lsn: formatLsn(this.#taken),
      lagBytes: lag > 0n ? Number(lag) : 0,
      lagSeconds: behind ? this.#age() : 0,
    })
  }

  #age(): number {
    if (this.#commitTime === undefined) return 0
    return Math.max(0, (Date.now() - EPOCH_MS - Number(this.#commitTime / 1000n)) / 1000)
  }
}
