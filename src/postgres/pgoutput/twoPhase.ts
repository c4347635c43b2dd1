import { INVALID_LSN } from '../lsn.js'
import type { PgoutputHandler } from './handler.js'
import { IN_PREPARED, type MessageReader, OUTSIDE } from './reader.js'
import type { RelationCache } from './relationCache.js'
import { mustBeStreamed } from './stream.js'
import { readFinalLsn } from './transaction.js'

// Begin Prepare:
//   Byte1('b')
//   Int64 (XLogRecPtr)     LSN of the prepare
//   Int64 (XLogRecPtr)     end LSN of the prepared transaction
//   Int64 (TimestampTz)    prepare timestamp
//   Int32 (TransactionId)  xid
//   String                 GID
export function readBeginPrepare(reader: MessageReader, handler: PgoutputHandler): void {
  reader.mustStand(OUTSIDE)
  const prepareLsn = reader.setLsn('LSN of the prepare')
  const endLsn = reader.setLsn('end LSN')
  const prepareTime = reader.timestamp('prepare timestamp')
  const xid = reader.xid()
  const gid = reader.string('GID')
  reader.finish()
  reader.enter(IN_PREPARED, prepareLsn)
  handler.beginPrepare(prepareLsn, endLsn, prepareTime, xid, gid)
}

// Prepare:
//   Byte1('P')
//   Int8(0)                flags, unused
//   Int64 (XLogRecPtr)     LSN of the prepare, as in Begin Prepare
//   Int64 (XLogRecPtr)     end LSN of the prepared transaction
//   Int64 (TimestampTz)    prepare timestamp
//   Int32 (TransactionId)  xid
//   String                 GID
export function readPrepare(reader: MessageReader, handler: PgoutputHandler): void {
  reader.mustStand(IN_PREPARED)
  reader.flags(0, 'flags')
  const prepareLsn = readFinalLsn(reader, 'LSN of the prepare')
  const endLsn = reader.setLsn('end LSN')
  const prepareTime = reader.timestamp('prepare timestamp')
  const xid = reader.xid()
  const gid = reader.string('GID')
  reader.finish()
  reader.enter(OUTSIDE, INVALID_LSN)
  handler.prepare(prepareLsn, endLsn, prepareTime, xid, gid)
}

// Commit Prepared:
//   Byte1('K')
//   Int8(0)                flags, unused
//   Int64 (XLogRecPtr)     LSN of the commit of the prepared transaction
//   Int64 (XLogRecPtr)     end LSN of that commit
//   Int64 (TimestampTz)    commit timestamp
//   Int32 (TransactionId)  xid
//   String                 GID
export function readCommitPrepared(reader: MessageReader, handler: PgoutputHandler): void {
  reader.mustStand(OUTSIDE)
  reader.flags(0, 'flags')
  const commitLsn = reader.setLsn('LSN of the commit')
  const endLsn = reader.setLsn('end LSN')
  const commitTime = reader.timestamp('commit timestamp')
  const xid = reader.xid()
  const gid = reader.string('GID')
  reader.finish()
  handler.commitPrepared(commitLsn, endLsn, commitTime, xid, gid)
}

// Rollback Prepared:
//   Byte1('r')
//   Int8(0)                flags, unused
//   Int64 (XLogRecPtr)     end LSN of the prepared transaction
//   Int64 (XLogRecPtr)     end LSN of its rollback
//   Int64 (TimestampTz)    prepare timestamp
//   Int64 (TimestampTz)    rollback timestamp
//   Int32 (TransactionId)  xid
//   String                 GID
export function readRollbackPrepared(reader: MessageReader, handler: PgoutputHandler): void {
  reader.mustStand(OUTSIDE)
  reader.flags(0, 'flags')
  const prepareEndLsn = reader.setLsn('end LSN of the prepare')
  const rollbackEndLsn = reader.setLsn('end LSN of the rollback')
  const prepareTime = reader.timestamp('prepare timestamp')
  const rollbackTime = reader.timestamp('rollback timestamp')
  const xid = reader.xid()
  const gid = reader.string('GID')
  reader.finish()
  handler.rollbackPrepared(prepareEndLsn, rollbackEndLsn, prepareTime, rollbackTime, xid, gid)
}

// Stream Prepare:
//   Byte1('p')
//   Int8(0)                flags, unused
//   Int64 (XLogRecPtr)     LSN of the prepare
//   Int64 (XLogRecPtr)     end LSN of the prepared transaction
//   Int64 (TimestampTz)    prepare timestamp
//   Int32 (TransactionId)  xid
//   String                 GID
export function readStreamPrepare(reader: MessageReader, relations: RelationCache, handler: PgoutputHandler): void {
  reader.mustStand(OUTSIDE)
  reader.flags(0, 'flags')
  const prepareLsn = reader.setLsn('LSN of the prepare')
  const endLsn = reader.setLsn('end LSN')
  const prepareTime = reader.timestamp('prepare timestamp')
  const xid = reader.xid()
  const gid = reader.string('GID')
  reader.finish()
  mustBeStreamed(reader, relations, xid)
  relations.drop(xid)
  handler.streamPrepare(prepareLsn, endLsn, prepareTime, xid, gid)
}
