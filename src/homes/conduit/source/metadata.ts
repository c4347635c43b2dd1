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

/** What is the same for all records of a table in one transaction (undefined: of a snapshot), as entries of the map. */
export function sharedMetadata(
  table: Table,
  transaction: Transaction | undefined,
  readAt: bigint,
  others: Readonly<Record<string, string>>,
): Buffer {
  const writer = shared
  const add = (name: string, value: string) => writeEntry(writer, Buffer.from(name), Buffer.from(value))
  add('opencdc.collection', table.name)
  add('opencdc.readAt', String(readAt))
  add('postgres.schema', table.schema)
  if (transaction !== undefined) {
    const { commitTime, commitLsn, xid, polledXid } = transaction
    if (commitTime !== undefined) add('opencdc.createdAt', String((commitTime + EPOCH_MICROSECONDS) * 1000n))
    if (polledXid === undefined) add('postgres.lsn', formatLsn(commitLsn))
    add('postgres.xid', String(polledXid ?? xid))
  }
  for (const [name, value] of Object.entries(others)) add(name, value)
  return writer.copy()
}

/** Of the entry of a row's index: its key, and the tag of its value. */
const SEQ_KEY = Buffer.from('postgres.seq')
const SEQ = Buffer.concat([Buffer.from([ENTRY_KEY, SEQ_KEY.length]), SEQ_KEY, Buffer.from([ENTRY_VALUE])])
const UNCHANGED = Buffer.from('postgres.unchanged')
const OPERATION = Buffer.from('postgres.operation')

/** The row's index in its transaction. */
export function writeSeq(writer: ProtoWriter, seq: number): void {
  const entry = writer.open(ENTRY)
  writer.write(SEQ)
  // A number has one digit at least: its length is known when it is written.
  const length = writer.length
  writer.byte(0)
  writer.writeDigits(seq)
  writer.bytes[length] = writer.length - length - 1
  writer.close(entry)
}

/** Columns that an update left as they were and the server did not send, as a JSON array. */
export function writeUnchanged(writer: ProtoWriter, names: readonly string[]): void {
  writeEntry(writer, UNCHANGED, Buffer.from(JSON.stringify(names)))
}

/** What the record is of, where Conduit has no operation for it. */
export function writeOperation(writer: ProtoWriter, operation: string): void {
  writeEntry(writer, OPERATION, Buffer.from(operation))
}

function writeEntry(writer: ProtoWriter, name: Buffer, value: Buffer): void {
  const entry = writer.open(ENTRY)
  writer.field(ENTRY_KEY, name)
  writer.field(ENTRY_VALUE, value)
  writer.close(entry)
}
