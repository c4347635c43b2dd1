import { Operation } from '../proto/opencdc/v1/opencdc.js'
import { ENTRY, type MetadataReader, placesOf } from './metadata.js'
import { ProtoReader } from './protoReader.js'

/** `Destination.Run.Request`: repeated Record records = 1. */
const RECORD = 0x0a
/** `opencdc.v1.Record`. */
const POSITION = 0x0a
const OPERATION = 0x10
const KEY = 0x22
const PAYLOAD = 0x2a
/** `Change`. */
const BEFORE = 0x0a
const AFTER = 0x12
/** `Data`. */
const RAW = 0x0a
const STRUCTURED = 0x12

/** Where the bytes of a part lie in the record's message: raw data, or a google.protobuf.Struct. */
export interface Data {
  readonly isStruct: boolean
  readonly start: number
  readonly end: number
}

/** A record as it has come: numbers over the bytes of its message, since a million of them come in some seconds. */
export interface IncomingRecord {
  readonly message: Buffer
  readonly start: number
  readonly end: number
  readonly positionStart: number
  readonly positionEnd: number
  readonly operation: Operation
  /** What the reader was asked for. Records that have the same share it. */
  readonly metadata: readonly (string | undefined)[]
  readonly key: Data | undefined
  readonly before: Data | undefined
  readonly after: Data | undefined
}

export function positionOf({ message, positionStart, positionEnd }: IncomingRecord): Buffer {
  return message.subarray(positionStart, positionEnd)
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
export function allMetadata({ message: bytes, start, end }: IncomingRecord): Record<string, string> {
  const entries: [string, string][] = []
  const reader = new ProtoReader(bytes, start, end)
  while (reader.more) {
    const tag = reader.varint()
    if (tag !== ENTRY) {
      reader.skip(tag)
      continue
    }
    const entryEnd = reader.length()
    const { keyStart, keyEnd, valueStart, valueEnd } = placesOf(bytes, reader.p, entryEnd)
    entries.push([bytes.toString('utf8', keyStart, keyEnd), bytes.toString('utf8', valueStart, valueEnd)])
    reader.p = entryEnd
  }
  return Object.fromEntries(entries)
}

const NONE = -1

function readRecord(message: Buffer, start: number, end: number, names: MetadataReader): IncomingRecord {
  let positionStart = start
  let positionEnd = start
  let operation: Operation = Operation.OPERATION_UNSPECIFIED
  let key: Data | undefined
  let before: Data | undefined
  let after: Data | undefined
  // Entries that follow one another.
  let [entries, entriesEnd] = [NONE, NONE]
  const reader = new ProtoReader(message, start, end)
  while (reader.more) {
    const tagAt = reader.p
    const tag = reader.varint()
    if (tag === ENTRY && entries === NONE) {
      entries = tagAt
      const read = names.begin(message, tagAt, end)
      entriesEnd = tagAt + read
      if (read > 0) {
        reader.p = entriesEnd
        continue
      }
    }
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
    if (tag === ENTRY) {
      names.read(message, at, fieldEnd)
      if (tagAt === entriesEnd) entriesEnd = fieldEnd
    } else if (tag === POSITION) {
      positionStart = at
      positionEnd = fieldEnd
    } else if (tag === KEY) key = readData(message, at, fieldEnd)
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
  if (entries === NONE) names.begin(message, end, end)
  const metadata = names.end(message, entries === NONE ? end : entries, entries === NONE ? end : entriesEnd)
  return { message, start, end, positionStart, positionEnd, operation, metadata, key, before, after }
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
    const isNothing = tag === RAW && fieldEnd === reader.p
    data = isNothing ? undefined : { isStruct: tag === STRUCTURED, start: reader.p, end: fieldEnd }
    reader.p = fieldEnd
  }
  return data
}
