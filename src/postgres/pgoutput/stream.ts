import { INVALID_LSN, type Lsn } from '../lsn.js'
import type { PgoutputHandler } from './handler.js'
import { IN_STREAM, type MessageReader, OUTSIDE } from './reader.js'
import type { RelationCache } from './relationCache.js'

const FIRST_SEGMENT = 1

export interface StreamCommit {
  readonly xid: number
  readonly commitLsn: Lsn
  readonly endLsn: Lsn
  readonly commitTime: bigint
}

export interface StreamAbort {
  readonly xid: number
  readonly subxid: number
  readonly abortLsn: Lsn
  readonly abortTime: bigint
}

// Stream Start:
//   Byte1('S')
//   Int32 (TransactionId)  xid
//   Int8                   1 in the first block of this xid, else 0
export function parseStreamStart(reader: MessageReader): { readonly xid: number; readonly first: boolean } {
  reader.mustStand(OUTSIDE)
  const xid = reader.xid()
  const first = reader.flags(FIRST_SEGMENT, 'first segment') === FIRST_SEGMENT
  reader.finish()
  return { xid, first }
}

export function readStreamStart(reader: MessageReader, relations: RelationCache, handler: PgoutputHandler): void {
  const { xid, first } = parseStreamStart(reader)
  if (first && relations.isStreamed(xid)) reader.fail(`a second first block of transaction ${xid}`, reader.p - 1)
  if (!first) mustBeStreamed(reader, relations, xid)
  reader.enter(IN_STREAM, INVALID_LSN)
  relations.enter(xid)
  handler.streamStart(xid, first)
}

// Stream Stop:
//   Byte1('E')
export function parseStreamStop(reader: MessageReader): void {
  reader.mustStand(IN_STREAM)
  reader.finish()
  reader.enter(OUTSIDE, INVALID_LSN)
}

export function readStreamStop(reader: MessageReader, relations: RelationCache, handler: PgoutputHandler): void {
  parseStreamStop(reader)
  relations.leave()
  handler.streamStop()
}

// Stream Commit:
//   Byte1('c')
//   Int32 (TransactionId)  xid
//   Int8(0)                flags, unused
//   Int64 (XLogRecPtr)     LSN of the commit
//   Int64 (XLogRecPtr)     end LSN of the transaction
//   Int64 (TimestampTz)    commit timestamp
export function parseStreamCommit(reader: MessageReader): StreamCommit {
  reader.mustStand(OUTSIDE)
  const xid = reader.xid()
  reader.flags(0, 'flags')
  const commitLsn = reader.setLsn('LSN of the commit')
  const endLsn = reader.lsn('end LSN')
  const commitTime = reader.timestamp('commit timestamp')
  reader.finish()
  return { xid, commitLsn, endLsn, commitTime }
}

export function readStreamCommit(reader: MessageReader, relations: RelationCache, handler: PgoutputHandler): void {
  const { xid, commitLsn, endLsn, commitTime } = parseStreamCommit(reader)
  mustBeStreamed(reader, relations, xid)
  relations.merge(xid)
  handler.streamCommit(xid, commitLsn, endLsn, commitTime)
}

// Stream Abort:
//   Byte1('A')
//   Int32 (TransactionId)  xid of the transaction
//   Int32 (TransactionId)  xid of the sub-transaction; the same if the whole transaction is rolled back
//   Int64 (XLogRecPtr)     LSN of the abort, with streaming = parallel only
//   Int64 (TimestampTz)    abort timestamp, with streaming = parallel only
export function parseStreamAbort(reader: MessageReader, parallel: boolean): StreamAbort {
  reader.mustStand(OUTSIDE)
  const xid = reader.xid()
  const subxid = reader.xid()
  const abortLsn = parallel ? reader.lsn('LSN of the abort') : INVALID_LSN
  const abortTime = parallel ? reader.timestamp('abort timestamp') : 0n
  reader.finish()
  return { xid, subxid, abortLsn, abortTime }
}

export function readStreamAbort(
  reader: MessageReader,
  relations: RelationCache,
  parallel: boolean,
  handler: PgoutputHandler,
): void {
  const { xid, subxid, abortLsn, abortTime } = parseStreamAbort(reader, parallel)
  mustBeStreamed(reader, relations, xid)
  if (subxid === xid) relations.drop(xid)
  else relations.dropSubtransaction(xid, subxid)
  handler.streamAbort(xid, subxid, abortLsn, abortTime)
}

/** No block of it has come: we and the server do not mean the same stream. */
export function mustBeStreamed(reader: MessageReader, relations: RelationCache, xid: number): void {
  if (!relations.isStreamed(xid)) reader.fail(`no block of transaction ${xid} came before`, reader.start)
}
