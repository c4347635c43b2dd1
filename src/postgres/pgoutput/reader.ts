import { MALFORMED_MESSAGE } from '../../core/errors.js'
import { formatLsn, INVALID_LSN, type Lsn, readLsn } from '../lsn.js'
import { messageName } from './tag.js'

// What the messages being read stand in. The server sends one transaction, or one block of a streamed one, at a time:
// none of these nests in another.
export const OUTSIDE = 0
/** Between Begin and Commit. */
export const IN_TRANSACTION = 1
/** Between Begin Prepare and Prepare. */
export const IN_PREPARED = 2
/** Between Stream Start and Stream Stop. */
export const IN_STREAM = 3

const PLACES = [
  'outside a transaction',
  'inside a transaction',
  'inside a prepared transaction',
  'inside a streamed block',
]
const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
const NO_BYTES = new Uint8Array(0)

/**
 * A cursor on one message, and where in the stream that message stands. Every read is checked against the message's
 * end; what does not fit is MALFORMED_MESSAGE with the message's name, the offset in it, and the LSN if one is known.
 */
export class MessageReader {
  bytes: Uint8Array = NO_BYTES
  /** Where the message's tag stands in `bytes`. */
  start = 0
  /** The next byte to read. */
  p = 0
  end = 0
  /** OUTSIDE, IN_TRANSACTION, IN_PREPARED or IN_STREAM. */
  place = OUTSIDE
  /** What Begin or Begin Prepare announced for the transaction being read: where its commit or prepare record starts. */
  finalLsn: Lsn = INVALID_LSN

  /** Takes up the message at `bytes[p..end)`, behind its tag. */
  take(bytes: Uint8Array, p: number, end: number): void {
    this.bytes = bytes
    this.start = p
    this.p = p + 1
    this.end = end
  }

  /** Forgets the stream read so far, and the bytes. */
  reset(): void {
    this.take(NO_BYTES, 0, 0)
    this.enter(OUTSIDE, INVALID_LSN)
  }

  enter(place: number, finalLsn: Lsn): void {
    this.place = place
    this.finalLsn = finalLsn
  }

  /** The server sends this message there only. */
  mustStand(place: number): void {
    if (this.place !== place) this.fail(`it stands ${PLACES[this.place]}, not ${PLACES[place]}`, this.start)
  }

  /** Int8, unsigned. */
  uint8(field: string): number {
    this.#require(1, field)
    return this.bytes[this.p++]!
  }

  /** Int16, unsigned. */
  uint16(field: string): number {
    this.#require(2, field)
    const { bytes, p } = this
    this.p = p + 2
    return (bytes[p]! << 8) | bytes[p + 1]!
  }

  /** Int32, signed. */
  int32(field: string): number {
    this.#require(4, field)
    const { bytes, p } = this
    this.p = p + 4
    return (bytes[p]! << 24) | (bytes[p + 1]! << 16) | (bytes[p + 2]! << 8) | bytes[p + 3]!
  }

  /** Int32 (Oid): unsigned. */
  oid(field: string): number {
    return this.int32(field) >>> 0
  }

  /** Int32 (TransactionId): unsigned, and never InvalidTransactionId. */
  xid(): number {
    const xid = this.int32('xid') >>> 0
    if (xid === 0) this.fail('xid is 0', this.p - 4)
    return xid
  }

  /** The xid that messages in a streamed block have behind their tag; 0 in others, which have none. */
  streamedXid(): number {
    return this.place === IN_STREAM ? this.xid() : 0
  }

  /** Int64 (XLogRecPtr). */
  lsn(field: string): Lsn {
    this.#require(8, field)
    const lsn = readLsn(this.bytes, this.p)
    this.p += 8
    return lsn
  }

  /** Int64 (XLogRecPtr) of a record, so not InvalidXLogRecPtr. */
  setLsn(field: string): Lsn {
    const lsn = this.lsn(field)
    if (lsn === INVALID_LSN) this.fail(`${field} is 0/0`, this.p - 8)
    return lsn
  }

  /** Int64 (TimestampTz): microseconds since 2000-01-01, signed. */
  timestamp(field: string): bigint {
    return BigInt.asIntN(64, this.lsn(field))
  }

  /** String: UTF-8, ended by a zero byte. */
  string(field: string): string {
    const { bytes, p, end } = this
    let zero = p
    while (zero < end && bytes[zero] !== 0) zero++
    if (zero === end) this.fail(`${field} is not terminated`)
    this.p = zero + 1
    try {
      return UTF8.decode(bytes.subarray(p, zero))
    } catch {
      this.fail(`${field} is not valid UTF-8`, p)
    }
  }

  /** Int8 of flags, of which only `known` may be set. */
  flags(known: number, field: string): number {
    const flags = this.uint8(field)
    if ((flags & ~known) !== 0) this.fail(`${field} has unknown bits: ${flags}`, this.p - 1)
    return flags
  }

  /** Nothing may follow what was read. */
  finish(): void {
    if (this.p !== this.end) this.fail('bytes are left over')
  }

  /**
   * The message's length without the xid of a streamed block: the same however the server delivers it, since whether
   * a transaction is streamed can differ from one delivery to the next.
   */
  get length(): number {
    return this.end - this.start - (this.place === IN_STREAM ? 4 : 0)
  }

  fail(problem: string, at = this.p): never {
    const { start, end, finalLsn } = this
    const message = (start < end ? messageName(this.bytes[start]!) : undefined) ?? 'pgoutput'
    const facts = { message, problem, offset: at - start, length: end - start }
    throw MALFORMED_MESSAGE(finalLsn === INVALID_LSN ? facts : { ...facts, lsn: formatLsn(finalLsn) })
  }

  #require(count: number, field: string): void {
    if (this.end - this.p < count) this.fail(`it ends in ${field}`)
  }
}
