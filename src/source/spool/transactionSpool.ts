import { tmpdir } from 'node:os'
import { STREAMING_GIVEN_UP } from '../../core/errors.js'
import { INVALID_LSN } from '../../postgres/lsn.js'
import { IN_STREAM, MessageReader } from '../../postgres/pgoutput/reader.js'
import {
  parseStreamAbort,
  parseStreamCommit,
  parseStreamStart,
  parseStreamStop,
} from '../../postgres/pgoutput/stream.js'
import * as tag from '../../postgres/pgoutput/tag.js'
import { makeBegin, makeCommit } from '../../postgres/pgoutput/transaction.js'
import type { Intake, WalMessage } from '../intake.js'
import { RelationOrder } from './relationOrder.js'
import { SpooledTransaction } from './spooledTransaction.js'
import { SpoolFolder } from './spoolFolder.js'
import { SpoolStore } from './spoolStore.js'

export interface SpoolSettings {
  /** The folder in which a folder for spool files is made; undefined: the system's for temporary files. */
  readonly folder: string | undefined
  /** Bytes that stay in memory, of all transactions. */
  readonly memoryBytes: number
  /** Bytes of files at most; undefined: as many as the disk has. */
  readonly maxBytes: number | undefined
}

export interface SpoolOptions extends SpoolSettings {
  readonly intake: Pick<Intake, 'wal' | 'insert'>
  /** There is room again after `full`. */
  readonly onRoom: () => void
  /** So many bytes are there of a transaction that has not ended: now and then, of large ones. */
  readonly onProgress: (xid: number, bytes: number) => void
  /** What was spooled is lost: STREAMING_GIVEN_UP or one of the SPOOL_… errors. */
  readonly onFailure: (error: unknown) => void
}

/** Smaller transactions are received in a moment. */
const LARGE_BYTES = 8 * 1024 * 1024
const PROGRESS_MS = 1000
/** Below that compressing costs more than the room on the disk is worth; unless the disk may have only so much. */
const PLAIN_BYTES = 256 * 1024 * 1024

/**
 * Between the stream and its intake, where the server streams large transactions before they have committed (protocol 2,
 * "Streaming of Large Transactions"): keeps what comes in streamed blocks until the commit, and gives it on then as
 * protocol 1 would have brought it, so that nobody behind it knows of streaming. Rolled-back transactions and
 * sub-transactions vanish. After a lost connection everything comes again: `clear`.
 */
export class TransactionSpool {
  readonly #options: SpoolOptions
  readonly #store: SpoolStore
  readonly #reader = new MessageReader()
  readonly #relations = new RelationOrder()
  /** By xid: those that the server has begun to stream. */
  readonly #transactions = new Map<number, SpooledTransaction>()
  /** That of the block being read. */
  #open: SpooledTransaction | undefined
  #cleaned: Promise<void> | undefined
  /** When progress was told. */
  #told = Number.NEGATIVE_INFINITY

  constructor(options: SpoolOptions) {
    this.#options = options
    const { folder: parent = tmpdir(), memoryBytes, maxBytes, onRoom, onFailure } = options
    const plainBytes = maxBytes === undefined ? PLAIN_BYTES : 0
    this.#store = new SpoolStore({ parent, memoryBytes, maxBytes, plainBytes, onRoom, onFailure })
  }

  /** Nothing more should come before `onRoom`. */
  get full(): boolean {
    return this.#store.full
  }

  /** Removes what killed runs have left. */
  start(): void {
    this.#cleaned ??= SpoolFolder.clean(this.#options.folder ?? tmpdir())
  }

  /** One message of the stream, as a `ReplicationHandler` gets it. The bytes are changed. */
  wal(bytes: Buffer, start: number, end: number, walPlace: number): void {
    const kind = bytes[start]
    if (this.#open !== undefined) {
      if (kind === tag.STREAM_STOP) this.#stop(bytes, start, end)
      else this.#append(this.#open, bytes, start, end, walPlace)
      return
    }
    switch (kind) {
      case tag.STREAM_START:
        return this.#start(bytes, start, end)
      case tag.STREAM_COMMIT:
        return this.#commit(bytes, start, end, walPlace)
      case tag.STREAM_ABORT:
        return this.#abort(bytes, start, end)
      case tag.RELATION:
        if (this.#transactions.size > 0) this.#relations.common(bytes, start, end)
    }
    this.#options.intake.wal(bytes, start, end, walPlace)
  }

  /** The connection is gone: what is spooled comes again. */
  clear(): void {
    for (const transaction of this.#transactions.values()) transaction.drop()
    this.#transactions.clear()
    this.#relations.clear()
    this.#open = undefined
    this.#reader.reset()
  }

  /** Everything is given up, files and folder are removed. */
  async end(): Promise<void> {
    this.clear()
    await this.#cleaned
    await this.#store.clean()
  }

  #start(bytes: Buffer, start: number, end: number): void {
    const reader = this.#reader
    reader.take(bytes, start, end)
    const { xid, first } = parseStreamStart(reader)
    let transaction = this.#transactions.get(xid)
    if (first) {
      if (transaction !== undefined) reader.fail(`a second first block of transaction ${xid}`, end - 1)
      transaction = new SpooledTransaction(this.#store, xid)
      this.#transactions.set(xid, transaction)
    }
    this.#open = transaction ?? this.#unknown(xid)
    reader.enter(IN_STREAM, INVALID_LSN)
  }

  #stop(bytes: Buffer, start: number, end: number): void {
    this.#reader.take(bytes, start, end)
    parseStreamStop(this.#reader)
    // Of many open transactions each may have a block that is hardly filled.
    if (this.#store.crowded) this.#open!.seal()
    this.#tellProgress(this.#open!)
    this.#open = undefined
  }

  #tellProgress({ xid, position }: SpooledTransaction): void {
    if (position < LARGE_BYTES) return
    const now = performance.now()
    if (now - this.#told < PROGRESS_MS) return
    this.#told = now
    this.#options.onProgress(xid, position)
  }

  /** In a streamed block the xid stands behind each message's tag: without it the message is one of protocol 1. */
  #append(transaction: SpooledTransaction, bytes: Buffer, start: number, end: number, walPlace: number): void {
    const kind = bytes[start]!
    const reader = this.#reader
    switch (kind) {
      case tag.INSERT:
      case tag.UPDATE:
      case tag.DELETE:
      case tag.TRUNCATE:
      case tag.RELATION:
      case tag.TYPE:
      case tag.MESSAGE:
        break
      case tag.ORIGIN:
        // The only one without an xid.
        return transaction.append(bytes, start, end, walPlace, transaction.xid, false)
      default:
        reader.take(bytes, start, end)
        reader.fail('it does not stand in a streamed block', start)
    }
    reader.take(bytes, start, end)
    const xid = reader.xid()
    const cut = start + 4
    bytes[cut] = kind
    if (kind === tag.RELATION) this.#relations.streamed(transaction.relations, bytes, cut, end, transaction.position)
    transaction.append(bytes, cut, end, walPlace, xid, kind === tag.MESSAGE)
  }

  #commit(bytes: Buffer, start: number, end: number, walPlace: number): void {
    this.#reader.take(bytes, start, end)
    const { xid, commitLsn, endLsn, commitTime } = parseStreamCommit(this.#reader)
    const transaction = this.#transactions.get(xid) ?? this.#unknown(xid)
    const again = this.#relations.commit(transaction.relations)
    this.#forget(xid)
    const made = (message: Buffer): WalMessage => ({ bytes: message, start: 0, end: message.length, walPlace })
    const last = [...again, makeCommit(commitLsn, endLsn, commitTime)]
    this.#options.intake.insert(transaction.replay(made(makeBegin(commitLsn, commitTime, xid)), last.map(made)))
  }

  #abort(bytes: Buffer, start: number, end: number): void {
    this.#reader.take(bytes, start, end)
    const { xid, subxid } = parseStreamAbort(this.#reader, false)
    const transaction = this.#transactions.get(xid)
    // Of one that was rolled back before PostgreSQL 18 read it no block comes; but its subtransactions count as streamed there
    // (ReorderBufferTruncateTXN), so that their end is told.
    if (transaction === undefined) return
    if (subxid === xid) {
      transaction.drop()
      this.#forget(xid)
    } else if (!transaction.rollBack(subxid)) {
      throw STREAMING_GIVEN_UP({
        problem: `of a logical message in transaction ${xid} the server does not say whether it was rolled back`,
      })
    }
  }

  #forget(xid: number): void {
    this.#transactions.delete(xid)
    if (this.#transactions.size === 0) this.#relations.clear()
  }

  #unknown(xid: number): never {
    return this.#reader.fail(`no block of transaction ${xid} came before`, this.#reader.start)
  }
}
