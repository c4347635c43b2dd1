import { formatLsn, INVALID_LSN, type Lsn } from '../lsn.js'
import type { PgoutputHandler } from './handler.js'
import { IN_TRANSACTION, type MessageReader, OUTSIDE } from './reader.js'
import { readNamespace, readRelation } from './relation.js'
import type { RelationCache } from './relationCache.js'
import { BEGIN, COMMIT } from './tag.js'

// Begin:
//   Byte1('B')
//   Int64 (XLogRecPtr)     final LSN of the transaction
//   Int64 (TimestampTz)    commit timestamp
//   Int32 (TransactionId)  xid
export function readBegin(reader: MessageReader, handler: PgoutputHandler): void {
  reader.mustStand(OUTSIDE)
  const finalLsn = reader.setLsn('final LSN')
  const commitTime = reader.timestamp('commit timestamp')
  const xid = reader.xid()
  reader.finish()
  reader.enter(IN_TRANSACTION, finalLsn)
  handler.begin(finalLsn, commitTime, xid)
}

const TRANSACTIONAL = 1

// Message:
//   Byte1('M')
//   Int32 (TransactionId)  xid, in a streamed block only
//   Int8                   flags: 1 transactional
//   Int64 (XLogRecPtr)     LSN of the message
//   String                 prefix
//   Int32                  length of the content
//   Byte[n]                content
export function readMessage(reader: MessageReader, handler: PgoutputHandler): void {
  const xid = reader.streamedXid()
  const transactional = reader.flags(TRANSACTIONAL, 'flags') === TRANSACTIONAL
  const lsn = reader.lsn('LSN')
  const prefix = reader.string('prefix')
  const length = reader.int32('length of the content')
  const { bytes, p, end } = reader
  if (length !== end - p) reader.fail(`a content of ${length} bytes does not fill the message`, p - 4)
  handler.message(transactional, lsn, prefix, bytes, p, end, reader.length, xid)
}

// Commit:
//   Byte1('C')
//   Int8(0)              flags, unused
//   Int64 (XLogRecPtr)   LSN of the commit, which is Begin's final LSN
//   Int64 (XLogRecPtr)   end LSN of the transaction
//   Int64 (TimestampTz)  commit timestamp
export function readCommit(reader: MessageReader, handler: PgoutputHandler): void {
  reader.mustStand(IN_TRANSACTION)
  reader.flags(0, 'flags')
  const commitLsn = readFinalLsn(reader, 'LSN of the commit')
  const endLsn = reader.lsn('end LSN')
  const commitTime = reader.timestamp('commit timestamp')
  reader.finish()
  reader.enter(OUTSIDE, INVALID_LSN)
  handler.commit(commitLsn, endLsn, commitTime)
}

/** The LSN that was announced when the transaction began: another one means that a message between is missing. */
export function readFinalLsn(reader: MessageReader, field: string): Lsn {
  const lsn = reader.lsn(field)
  if (lsn !== reader.finalLsn) reader.fail(`${field} is ${formatLsn(lsn)}, which was not announced`, reader.p - 8)
  return lsn
}

// Origin:
//   Byte1('O')
//   Int64 (XLogRecPtr)  LSN of the commit on the origin server
//   String              name of the origin
export function readOrigin(reader: MessageReader, handler: PgoutputHandler): void {
  const originLsn = reader.lsn('LSN of the origin')
  const name = reader.string('name of the origin')
  reader.finish()
  handler.origin(originLsn, name)
}

/** Relation: see {@link readRelation}. */
export function readAndKeepRelation(reader: MessageReader, relations: RelationCache, handler: PgoutputHandler): void {
  const xid = reader.streamedXid()
  const relation = readRelation(reader)
  relations.add(relation, xid)
  handler.relation(relation, xid)
}

// Type:
//   Byte1('Y')
//   Int32 (TransactionId)  xid, in a streamed block only
//   Int32 (Oid)            data type
//   String                 namespace, empty for pg_catalog
//   String                 type name
export function readType(reader: MessageReader, handler: PgoutputHandler): void {
  const xid = reader.streamedXid()
  const oid = reader.oid('data type')
  const schema = readNamespace(reader)
  const name = reader.string('type name')
  reader.finish()
  handler.type(oid, schema, name, xid)
}

/** The Begin that protocol 1 has before a transaction of which the server streamed the changes: see {@link readBegin}. */
export function makeBegin(finalLsn: Lsn, commitTime: bigint, xid: number): Buffer {
  const bytes = Buffer.allocUnsafe(21)
  bytes[0] = BEGIN
  bytes.writeBigUInt64BE(finalLsn, 1)
  bytes.writeBigInt64BE(commitTime, 9)
  bytes.writeUInt32BE(xid, 17)
  return bytes
}

/** The Commit that ends it: see {@link readCommit}. */
export function makeCommit(commitLsn: Lsn, endLsn: Lsn, commitTime: bigint): Buffer {
  const bytes = Buffer.allocUnsafe(26)
  bytes[0] = COMMIT
  bytes[1] = 0
  bytes.writeBigUInt64BE(commitLsn, 2)
  bytes.writeBigUInt64BE(endLsn, 10)
  bytes.writeBigInt64BE(commitTime, 18)
  return bytes
}
