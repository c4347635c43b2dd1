import type { Structured } from '../payload/structuredRow.js'
import { Struct } from '../proto/google/protobuf/struct.js'
import { Operation } from '../proto/opencdc/v1/opencdc.js'
import { type MetadataReader, placesOf } from './metadata.js'
import { ProtoReader } from './protoReader.js'

/** `Destination.Run.Request`: repeated Record records = 1. */
const RECORD = 0x0a
/** `opencdc.v1.Record`. */
const POSITION = 0x0a
const OPERATION = 0x10
const METADATA = 0x1a
const KEY = 0x22
const PAYLOAD = 0x2a
/** `Change`. */
const BEFORE = 0x0a
const AFTER = 0x12
/** `Data`. */
const RAW = 0x0a
const STRUCTURED = 0x12

/** Bytes that nobody has decoded, or fields. */
export type Data = { readonly raw: Buffer } | { readonly structured: Structured }

/** A record as it has come; its bytes are those of its message. */
export interface IncomingRecord {
  readonly position: Buffer
  readonly operation: Operation
  /** What the reader was asked for. */
  readonly metadata: readonly (string | undefined)[]
  readonly key: Data | undefined
  readonly before: Data | undefined
  readonly after: Data | undefined
  /** The whole record, for what is seldom needed. */
  readonly bytes: Buffer
}

/** The records of a `Destination.Run.Request`, in order. Throws a RangeError for what is none. */
export function readRecords(message: Buffer, names: MetadataReader): IncomingRecord[] {
  const records: IncomingRecord[] = []
  const reader = new ProtoReader(message)
  while (reader.more) {
    const tag = reader.varint()
    if (tag !== RECORD) {
      reader.skip(tag)
      continue
    }
    const end = reader.length()
    records.push(readRecord(message, reader.p, end, names))
    reader.p = end
  }
  return records
}

/** All metadata of a record. */
export function allMetadata({ bytes }: IncomingRecord): Record<string, string> {
  const entries: [string, string][] = []
  const reader = new ProtoReader(bytes)
  while (reader.more) {
    const tag = reader.varint()
    if (tag !== METADATA) {
      reader.skip(tag)
      continue
    }
    const end = reader.length()
    const { keyStart, keyEnd, valueStart, valueEnd } = placesOf(bytes, reader.p, end)
    entries.push([bytes.toString('utf8', keyStart, keyEnd), bytes.toString('utf8', valueStart, valueEnd)])
    reader.p = end
  }
  return Object.fromEntries(entries)
}

function readRecord(message: Buffer, start: number, end: number, names: MetadataReader): IncomingRecord {
  const metadata = names.none()
  let position = message.subarray(start, start)
  let operation: Operation = Operation.OPERATION_UNSPECIFIED
  let key: Data | undefined
  let before: Data | undefined
  let after: Data | undefined
  const reader = new ProtoReader(message, start, end)
  while (reader.more) {
    const tag = reader.varint()
    if (tag === OPERATION) {
      operation = reader.varint() as Operation
      continue
    }
    if ((tag & 7) !== 2) {
      reader.skip(tag)
      continue
    }
    const fieldEnd = reader.length()
    const at = reader.p
    if (tag === METADATA) names.read(message, at, fieldEnd, metadata)
    else if (tag === POSITION) position = message.subarray(at, fieldEnd)
    else if (tag === KEY) key = readData(message, at, fieldEnd)
    else if (tag === PAYLOAD) {
      const change = new ProtoReader(message, at, fieldEnd)
      while (change.more) {
        const part = change.varint()
        if (part !== BEFORE && part !== AFTER) {
          change.skip(part)
          continue
        }
        const partEnd = change.length()
        const data = readData(message, change.p, partEnd)
        if (part === BEFORE) before = data
        else after = data
        change.p = partEnd
      }
    }
    reader.p = fieldEnd
  }
  return { position, operation, metadata, key, before, after, bytes: message.subarray(start, end) }
}

/** Raw data of no bytes, and what has neither form, is nothing. */
function readData(bytes: Buffer, start: number, end: number): Data | undefined {
  const reader = new ProtoReader(bytes, start, end)
  let data: Data | undefined
  while (reader.more) {
    const tag = reader.varint()
    if (tag !== RAW && tag !== STRUCTURED) {
      reader.skip(tag)
      continue
    }
    const fieldEnd = reader.length()
    const part = bytes.subarray(reader.p, fieldEnd)
    reader.p = fieldEnd
    if (tag === STRUCTURED) data = { structured: Struct.unwrap(Struct.decode(part)) }
    else data = part.length === 0 ? undefined : { raw: part }
  }
  return data
}
