import type { Tape } from '../../core/tape.js'
import {
  CASCADE,
  KEY_TUPLE,
  NO_OLD_TUPLE,
  OLD_TUPLE,
  type OldKind,
  type PgoutputHandler,
  RESTART_IDENTITY,
} from './handler.js'
import type { MessageReader } from './reader.js'
import type { Relation } from './relation.js'
import type { RelationCache } from './relationCache.js'
import { readTuple } from './tuple.js'

const NEW_TUPLE = 0x4e // 'N'

// Insert:
//   Byte1('I')
//   Int32 (TransactionId)  xid, in a streamed block only
//   Int32 (Oid)            relid
//   Byte1('N')             new tuple
//   TupleData
export function readInsert(
  reader: MessageReader,
  relations: RelationCache,
  tape: Tape,
  handler: PgoutputHandler,
): void {
  const xid = reader.streamedXid()
  const relation = readRelid(reader, relations)
  const columns = relation.columns.length
  const newAt = tape.length
  tape.reserve(2 * columns)
  if (reader.uint8('tuple kind') !== NEW_TUPLE) failTupleKind(reader)
  readTuple(reader, columns, tape.values, newAt)
  reader.finish()
  tape.length = newAt + 2 * columns
  handler.insert(relation, newAt, reader.length, xid)
}

// Update:
//   Byte1('U')
//   Int32 (TransactionId)  xid, in a streamed block only
//   Int32 (Oid)            relid
//   Byte1('K' or 'O')      old key, or old tuple (replica identity full); neither if the identity stayed the same
//   TupleData
//   Byte1('N')             new tuple
//   TupleData
export function readUpdate(
  reader: MessageReader,
  relations: RelationCache,
  tape: Tape,
  handler: PgoutputHandler,
): void {
  const xid = reader.streamedXid()
  const relation = readRelid(reader, relations)
  const columns = relation.columns.length
  const at = tape.length
  tape.reserve(4 * columns)
  let kind = reader.uint8('tuple kind')
  let oldKind: OldKind = NO_OLD_TUPLE
  let oldAt = -1
  let newAt = at
  if (kind === KEY_TUPLE || kind === OLD_TUPLE) {
    oldKind = kind
    oldAt = at
    newAt = at + 2 * columns
    readTuple(reader, columns, tape.values, oldAt)
    kind = reader.uint8('tuple kind')
  }
  if (kind !== NEW_TUPLE) failTupleKind(reader)
  readTuple(reader, columns, tape.values, newAt)
  reader.finish()
  tape.length = newAt + 2 * columns
  handler.update(relation, oldKind, oldAt, newAt, reader.length, xid)
}

// Delete:
//   Byte1('D')
//   Int32 (TransactionId)  xid, in a streamed block only
//   Int32 (Oid)            relid
//   Byte1('K' or 'O')      old key, or old tuple (replica identity full)
//   TupleData
export function readDelete(
  reader: MessageReader,
  relations: RelationCache,
  tape: Tape,
  handler: PgoutputHandler,
): void {
  const xid = reader.streamedXid()
  const relation = readRelid(reader, relations)
  const columns = relation.columns.length
  const oldAt = tape.length
  tape.reserve(2 * columns)
  const kind = reader.uint8('tuple kind')
  if (kind !== KEY_TUPLE && kind !== OLD_TUPLE) failTupleKind(reader)
  readTuple(reader, columns, tape.values, oldAt)
  reader.finish()
  tape.length = oldAt + 2 * columns
  handler.delete(relation, kind, oldAt, reader.length, xid)
}

// Truncate:
//   Byte1('T')
//   Int32 (TransactionId)  xid, in a streamed block only
//   Int32                  number of relations
//   Int8                   options: 1 CASCADE, 2 RESTART IDENTITY
//   Int32 (Oid)            relid, for each relation
export function readTruncate(reader: MessageReader, known: RelationCache, handler: PgoutputHandler): void {
  const xid = reader.streamedXid()
  const count = reader.int32('number of relations')
  const options = reader.flags(CASCADE | RESTART_IDENTITY, 'options')
  if (count * 4 !== reader.end - reader.p) reader.fail(`${count} relations do not fill the message`)
  const relations: Relation[] = []
  while (relations.length < count) relations.push(readRelid(reader, known))
  handler.truncate(relations, options, reader.length, xid)
}

function readRelid(reader: MessageReader, relations: RelationCache): Relation {
  const relid = reader.oid('relid')
  return relations.find(relid) ?? reader.fail(`no Relation message has described relation ${relid}`, reader.p - 4)
}

function failTupleKind(reader: MessageReader): never {
  return reader.fail(`unexpected kind of tuple ${reader.bytes[reader.p - 1]}`, reader.p - 1)
}
