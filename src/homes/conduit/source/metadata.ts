import type { Transaction } from '../../../core/record.js'
import type { Table } from '../../../core/table.js'
import { formatLsn } from '../../../postgres/lsn.js'
import { ProtoWriter } from './protoWriter.js'

/** Record: an entry of `map<string, string> metadata = 3`, its key and its value. */
const ENTRY = 0x1a
const ENTRY_KEY = 0x0a
const ENTRY_VALUE = 0x12

/** Microseconds from 1970 to 2000, PostgreSQL's epoch. */
const EPOCH_MICROSECONDS = 946_684_800_000_000n

const shared = new ProtoWriter()

/** The entry of a row's index in its transaction, but for its digits and two lengths. */
const SEQ = entryStart('postgres.seq')

/** What is the same for all records of a table, as entries of the map. */
export function tableMetadata(table: Table, others: Readonly<Record<string, string>>): Buffer {
  add('opencdc.collection', table.name)
  add('postgres.schema', table.schema)
  for (const [name, value] of Object.entries(others)) add(name, value)
  return shared.copy()
}

/** Of a moment in milliseconds, as `transactionMetadata` takes it: in nanoseconds. */
export function readAtOf(milliseconds: number): bigint {
  return BigInt(milliseconds) * 1_000_000n
}

/** The same of all records of one transaction (undefined: of a snapshot). */
export function transactionMetadata(transaction: Transaction | undefined, readAt: bigint): Buffer {
  add('opencdc.readAt', String(readAt))
  if (transaction !== undefined) {
    const { commitTime, commitLsn, xid, polledXid } = transaction
    if (commitTime !== undefined) add('opencdc.createdAt', String((commitTime + EPOCH_MICROSECONDS) * 1000n))
    if (polledXid === undefined) add('postgres.lsn', formatLsn(commitLsn))
    add('postgres.xid', String(polledXid ?? xid))
  }
  return shared.copy()
}

function entryStart(name: string): Buffer {
  shared.byte(ENTRY)
  shared.byte(0)
  shared.field(ENTRY_KEY, Buffer.from(name))
  shared.byte(ENTRY_VALUE)
  shared.byte(0)
  return shared.copy()
}

/** The row's index in its transaction. */
export function writeSeq(writer: ProtoWriter, seq: number): void {
  writer.write(SEQ)
  const start = writer.length
  writer.writeDigits(seq)
  const digits = writer.length - start
  writer.bytes[start - 1] = digits
  writer.bytes[start - SEQ.length + 1] = SEQ.length - 2 + digits
}

const UNCHANGED = Buffer.from('postgres.unchanged')
const OPERATION = Buffer.from('postgres.operation')

/** Columns that an update left as they were and the server did not send, as a JSON array. */
export function writeUnchanged(writer: ProtoWriter, names: readonly string[]): void {
  writeEntry(writer, UNCHANGED, Buffer.from(JSON.stringify(names)))
}

/** What the record is of, where Conduit has no operation for it. */
export function writeOperation(writer: ProtoWriter, operation: string): void {
  writeEntry(writer, OPERATION, Buffer.from(operation))
}

function add(name: string, value: string): void {
  writeEntry(shared, Buffer.from(name), Buffer.from(value))
}

function writeEntry(writer: ProtoWriter, name: Buffer, value: Buffer): void {
  writer.byte(ENTRY)
  writer.varint(fieldBytes(name) + fieldBytes(value))
  writer.field(ENTRY_KEY, name)
  writer.field(ENTRY_VALUE, value)
}

/** With tag and length. */
function fieldBytes({ length }: Buffer): number {
  let bytes = 2 + length
  for (let rest = length; rest > 0x7f; rest >>>= 7) bytes++
  return bytes
}
