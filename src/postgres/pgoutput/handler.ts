import type { Lsn } from '../lsn.js'
import type { Relation } from './relation.js'

// The tuple that an Update or a Delete has of the row before.
/** None: an Update that leaves the replica identity as it was. */
export const NO_OLD_TUPLE = 0
/** The columns of the replica identity; the others are NULL whatever they were. */
export const KEY_TUPLE = 0x4b // 'K'
/** The whole row, with REPLICA IDENTITY FULL. */
export const OLD_TUPLE = 0x4f // 'O'
export type OldKind = typeof NO_OLD_TUPLE | typeof KEY_TUPLE | typeof OLD_TUPLE

// The options of a Truncate, as bits.
export const CASCADE = 1
export const RESTART_IDENTITY = 2

/**
 * What receives the messages: called synchronously, in the server's order, each time after the whole message was found
 * to be in order. Bytes handed over, and the offsets left on the tape, are good as long as the caller of the decoder
 * keeps the chunk.
 *
 * - `xid`, where it is not the field of the transaction's own message: in a streamed block the transaction or
 *   sub-transaction that made the change, else 0.
 * - `newAt`, `oldAt`: where on the tape the tuple's columns start, two numbers each. `oldAt` is -1 if there is none.
 * - `length`: of the message in bytes, without a streamed block's xid: the same on every delivery.
 * - Times are microseconds since 2000-01-01.
 */
export interface PgoutputHandler {
  /** `finalLsn`: where the commit record starts, which Commit calls `commitLsn`. */
  begin(finalLsn: Lsn, commitTime: bigint, xid: number): void
  /** `endLsn`: behind the commit record; what is confirmed when the transaction is durable. */
  commit(commitLsn: Lsn, endLsn: Lsn, commitTime: bigint): void
  /** `originLsn`: of the commit at the origin; 0 in a streamed transaction. */
  origin(originLsn: Lsn, name: string): void
  relation(relation: Relation, xid: number): void
  /** A type that is not built in. For a domain: its own OID with the schema and name of its base type. */
  type(oid: number, schema: string, name: string, xid: number): void
  insert(relation: Relation, newAt: number, length: number, xid: number): void
  update(relation: Relation, oldKind: OldKind, oldAt: number, newAt: number, length: number, xid: number): void
  delete(relation: Relation, oldKind: OldKind, oldAt: number, length: number, xid: number): void
  /** `options`: CASCADE and RESTART_IDENTITY. */
  truncate(relations: readonly Relation[], options: number, length: number, xid: number): void
  /** The content is `bytes[start..end)`. A message that is not transactional stands outside any transaction. */
  message(
    transactional: boolean,
    lsn: Lsn,
    prefix: string,
    bytes: Uint8Array,
    start: number,
    end: number,
    length: number,
    xid: number,
  ): void

  /** A block of transaction `xid` begins; `first` of its blocks. */
  streamStart(xid: number, first: boolean): void
  streamStop(): void
  streamCommit(xid: number, commitLsn: Lsn, endLsn: Lsn, commitTime: bigint): void
  /**
   * The sub-transaction `subxid` of `xid` was rolled back, or the whole transaction when both are equal. LSN and time
   * come with `streaming: 'parallel'` only, else they are 0; the LSN is also 0 after a crash of the server.
   */
  streamAbort(xid: number, subxid: number, abortLsn: Lsn, abortTime: bigint): void

  /** `prepareLsn`: where the prepare record starts. */
  beginPrepare(prepareLsn: Lsn, endLsn: Lsn, prepareTime: bigint, xid: number, gid: string): void
  prepare(prepareLsn: Lsn, endLsn: Lsn, prepareTime: bigint, xid: number, gid: string): void
  commitPrepared(commitLsn: Lsn, endLsn: Lsn, commitTime: bigint, xid: number, gid: string): void
  rollbackPrepared(
    prepareEndLsn: Lsn,
    rollbackEndLsn: Lsn,
    prepareTime: bigint,
    rollbackTime: bigint,
    xid: number,
    gid: string,
  ): void
  streamPrepare(prepareLsn: Lsn, endLsn: Lsn, prepareTime: bigint, xid: number, gid: string): void
}
