import { SERVER_EPOCH_MICROS } from '../../core/calendar.js'
import { frame } from '../frames.js'
import type { Lsn } from '../lsn.js'

const SERVER_EPOCH = BigInt(SERVER_EPOCH_MICROS)

/**
 * Standby status update ("Streaming Replication Protocol" in the PostgreSQL docs): Byte1 'r', Int64 written, Int64
 * flushed, Int64 applied, Int64 the client's clock, Byte1 whether a reply is wanted. Logical slots look at `flushed`
 * only.
 */
export function statusUpdate(written: Lsn, flushed: Lsn, replyWanted: boolean): Buffer {
  const payload = Buffer.alloc(34)
  payload[0] = 0x72 // 'r'
  payload.writeBigUInt64BE(written, 1)
  payload.writeBigUInt64BE(flushed, 9)
  payload.writeBigUInt64BE(flushed, 17)
  payload.writeBigInt64BE(BigInt(Date.now()) * 1000n - SERVER_EPOCH, 25)
  payload[33] = replyWanted ? 1 : 0
  return frame('d', payload)
}

/**
 * How often to send one, in milliseconds: every second, and thrice within the server's `wal_sender_timeout`, so that two
 * may be late; a timeout of 0 is none. Not less often: from version 16 on a walsender may sleep through the flush of a
 * commit (once in thousands on 16 and 18, for more than ten seconds if left alone), and any message of ours wakes it.
 */
export function statusIntervalMs(walSenderTimeoutMs: number): number {
  return walSenderTimeoutMs === 0 ? 1000 : Math.min(1000, Math.max(100, Math.floor(walSenderTimeoutMs / 3)))
}

/**
 * After how long without a byte from the server, while we were reading, the connection counts as dead. A live server
 * sends a keepalive at half its `wal_sender_timeout`, and answers the reply that we want at half of ours.
 */
export function silenceLimitMs(walSenderTimeoutMs: number): number {
  return Math.max(30_000, walSenderTimeoutMs)
}
