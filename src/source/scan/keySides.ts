import type { Transaction } from '../../core/record.js'
import { parseTransactionSnapshot, type TransactionSnapshot } from '../../postgres/transactionSnapshot.js'
import { apartOf, type ReadApart } from './apart.js'
import type { KeyOrder } from './keyOrder.js'
import type { TableProgress } from './progress.js'
import { type KeyText, PASSED, type Reading } from './stretches.js'
import { DROP, EMIT, WAIT } from './verdict.js'

/** Rows that were read in a snapshot show it. */
export const SHOWN = 5
/** Rows that are still to be read will show it. */
export const COMING = 6
/** The row was read by itself behind it, and handed on. */
export const HELD = 7
/** The row was looked for by itself behind it, and was gone. */
export const GONE = 8
/** Rows show it that are all that the consumer had until then. */
export const EXACT = 9

/** On which side of a change the rows are that are read of one key. What no rows show is a verdict by itself. */
export type Side =
  | typeof EMIT
  | typeof DROP
  | typeof WAIT
  | typeof SHOWN
  | typeof COMING
  | typeof HELD
  | typeof GONE
  | typeof EXACT

export function isShown(side: Side): side is typeof SHOWN | typeof EXACT {
  return side === SHOWN || side === EXACT
}

/** The rows of a stretch that is being read. */
interface OpenChunk {
  readonly stretch: number
  readonly reading: Reading
  readonly snapshot: TransactionSnapshot
}

/** Parsed ones are kept for reuse, those of long ago too. */
const MAX_SNAPSHOTS = 200

export interface KeySidesOptions {
  readonly order: KeyOrder
  /** A change was left to rows still to be read: they must show it. */
  readonly onUnproved: (transaction: Transaction, oid: number) => void
  /** The server is to be asked where these keys lie. */
  readonly onUnknownKey: (key: KeyText) => void
}

/**
 * What rows that are read of a table show of a change, by where the key lies in the table's progress and in which snapshot
 * that part was read. What that means for the change is for others to say.
 */
export class KeySides {
  readonly #options: KeySidesOptions
  /** The snapshot of a chunk is being taken. */
  #asks = false
  #chunk: OpenChunk | undefined
  readonly #snapshots = new Map<string, TransactionSnapshot>()

  constructor(options: KeySidesOptions) {
    this.#options = options
  }

  /** The chunk that is being read. */
  get chunk(): OpenChunk | undefined {
    return this.#chunk
  }

  /** The snapshot of the next chunk is about to be taken: until it is known nothing can be decided of unread keys. */
  asks(): void {
    this.#asks = true
    this.#chunk = undefined
  }

  /** This stretch is read in this snapshot from now on. */
  reads(stretch: number, reading: Reading): void {
    this.#asks = false
    this.#chunk = { stretch, reading, snapshot: this.#snapshotOf(reading) }
  }

  /** What is left of the chunk that is read is this stretch by now. */
  moves(stretch: number): void {
    if (this.#chunk !== undefined) this.#chunk = { ...this.#chunk, stretch }
  }

  /** No chunk is read. */
  rests(): void {
    this.#asks = false
    this.#chunk = undefined
  }

  /** Readings were forgotten. */
  forgets(): void {
    if (this.#snapshots.size > MAX_SNAPSHOTS) this.#snapshots.clear()
  }

  /** Whether rows read so show what the transaction has done. */
  sees(read: Reading, { xid, commitLsn }: Transaction): boolean {
    return commitLsn < read.until && this.#snapshotOf(read).sees(xid, commitLsn)
  }

  /** Whether rows of a chunk that come first do not show what the transaction has done, or may not. */
  isBehindChunk({ xid, commitLsn }: Transaction): boolean {
    return this.#asks || (this.#chunk !== undefined && !this.#chunk.snapshot.sees(xid, commitLsn))
  }

  /** Of the row of `key`, changed by the transaction. */
  of(key: KeyText, { oid, stretches, apart, again, key: names }: TableProgress, transaction: Transaction): Side {
    const one = apartOf(apart, key)
    if (one !== undefined) return this.#ofApart(one, again, transaction)
    const rank = names.length === 0 ? 0 : this.#options.order.rank(key, stretches)
    if (rank === undefined) {
      this.#options.onUnknownKey(key)
      return WAIT
    }
    const { read } = stretches[rank]!
    if (read === PASSED) return EMIT
    if (read !== undefined) return !this.sees(read, transaction) ? EMIT : read.exact ? EXACT : SHOWN
    const isOpen = this.#asks || this.#chunk?.stretch === rank
    if (isOpen && this.isBehindChunk(transaction)) return WAIT
    if (!isOpen) this.#options.onUnproved(transaction, oid)
    // The consumer has the rows of an earlier reading, of which it is told whatever happens.
    return again ? EMIT : COMING
  }

  #ofApart({ read, found }: ReadApart, again: boolean, transaction: Transaction): Side {
    if (!this.sees(read, transaction)) return EMIT
    // The row that was found may have a key that is equal, and prints otherwise.
    if (found === undefined || this.#options.order.alike) return DROP
    return found || (read.exact && !again) ? HELD : GONE
  }

  #snapshotOf({ snapshot: text }: Reading): TransactionSnapshot {
    let snapshot = this.#snapshots.get(text)
    if (snapshot === undefined) {
      snapshot = parseTransactionSnapshot(text)
      if (snapshot === undefined) throw new Error(`no snapshot: ${text}`)
      this.#snapshots.set(text, snapshot)
    }
    return snapshot
  }
}
