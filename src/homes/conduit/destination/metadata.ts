import { ProtoReader } from './protoReader.js'

/** `opencdc.v1.Record`: `map<string, string> metadata = 3`, of an entry its key and its value. */
export const ENTRY = 0x1a
const KEY = 0x0a
const VALUE = 0x12

/** What is asked of every record. */
export const KEY_SUBJECT = 0
export const KEY_VERSION = 1
export const PAYLOAD_SUBJECT = 2
export const PAYLOAD_VERSION = 3
export const UNCHANGED = 4
export const OPERATION = 5
export const LSN = 6
/** Here begin the names that the caller asks for. */
export const FIRST_OF_CALLER = 7

const NAMES = [
  'opencdc.key.schema.subject',
  'opencdc.key.schema.version',
  'opencdc.payload.schema.subject',
  'opencdc.payload.schema.version',
  'postgres.unchanged',
  'postgres.operation',
  'postgres.lsn',
]

interface Slot {
  readonly name: Buffer
  readonly index: number
  /** The last value: records mostly have the same. */
  bytes: Buffer
  text: string
}

type Values = (string | undefined)[]

/**
 * Reads of metadata what is wanted, without making a text of anything else: a record has ten entries, in any order, and they cost as
 * much as its row otherwise. What a record has in common with the one before it, at the beginning, is not read again.
 */
export class MetadataReader {
  readonly #slots = new Map<number, Slot[]>()
  readonly #values: Values
  /** Those of the last record, which the next one has mostly, too. */
  #last: Values
  /** The entries of the last record: bytes of its message. */
  #message: Buffer = Buffer.alloc(0)
  #start = 0
  #end = 0
  /** So many bytes of them did the record before that have, too; and what was wanted of these. */
  #common = 0
  readonly #ofCommon: Values
  #isCommon = false

  /** `names`: what is wanted besides; their values stand from {@link FIRST_OF_CALLER} on. */
  constructor(names: readonly string[]) {
    const all = [...NAMES, ...names]
    this.#values = all.map(() => undefined)
    this.#last = [...this.#values]
    this.#ofCommon = [...this.#values]
    for (const [index, text] of all.entries()) {
      const name = Buffer.from(text)
      const hash = hashOf(name, 0, name.length)
      const slot = { name, index, bytes: Buffer.alloc(0), text: '' }
      this.#slots.set(hash, [...(this.#slots.get(hash) ?? []), slot])
    }
  }

  /** The entries of a record begin at `p`, if it has any: gives how many bytes of them are read by that. */
  begin(message: Buffer, p: number, end: number): number {
    const { length } = this.#values
    const common = this.#common
    this.#isCommon =
      common > 0 &&
      p + common <= end &&
      message.compare(this.#message, this.#start, this.#start + common, p, p + common) === 0
    for (let i = 0; i < length; i++) this.#values[i] = this.#isCommon ? this.#ofCommon[i] : undefined
    return this.#isCommon ? common : 0
  }

  /** Reads the entry at `bytes[start..end)`, if it is wanted. */
  read(bytes: Buffer, start: number, end: number): void {
    this.#read(bytes, start, end, this.#values)
  }

  /** What the record has of what is wanted; its entries were `message[start..end)`. */
  end(message: Buffer, start: number, end: number): readonly (string | undefined)[] {
    if (!this.#isCommon) this.#compare(message, start, end)
    this.#message = message
    this.#start = start
    this.#end = end
    const values = this.#values
    const last = this.#last
    for (let i = 0; i < values.length; i++) {
      if (values[i] !== last[i]) {
        this.#last = [...values]
        break
      }
    }
    return this.#last
  }

  /** What these entries have in common with the last record's. */
  #compare(message: Buffer, start: number, end: number): void {
    this.#common = 0
    this.#ofCommon.fill(undefined)
    const reader = new ProtoReader(message, start, end)
    const offset = this.#start - start
    while (reader.more) {
      const from = reader.p
      const tag = reader.varint()
      if (tag !== ENTRY) return
      const entryEnd = reader.length()
      if (entryEnd + offset > this.#end) return
      if (message.compare(this.#message, from + offset, entryEnd + offset, from, entryEnd) !== 0) return
      this.#read(message, reader.p, entryEnd, this.#ofCommon)
      reader.p = entryEnd
      this.#common = entryEnd - start
    }
  }

  #read(bytes: Buffer, start: number, end: number, values: Values): void {
    const { keyStart, keyEnd, valueStart, valueEnd } = placesOf(bytes, start, end)
    const slots = this.#slots.get(hashOf(bytes, keyStart, keyEnd))
    if (slots === undefined) return
    for (const slot of slots) {
      if (!isSame(slot.name, bytes, keyStart, keyEnd)) continue
      if (!isSame(slot.bytes, bytes, valueStart, valueEnd)) {
        slot.bytes = Buffer.from(bytes.subarray(valueStart, valueEnd))
        slot.text = slot.bytes.toString()
      }
      values[slot.index] = slot.text
    }
  }
}

/** Where the texts of an entry are. */
export function placesOf(bytes: Buffer, start: number, end: number) {
  const places = { keyStart: start, keyEnd: start, valueStart: start, valueEnd: start }
  const reader = new ProtoReader(bytes, start, end)
  while (reader.more) {
    const tag = reader.varint()
    if (tag === KEY) {
      places.keyEnd = reader.length()
      places.keyStart = reader.p
      reader.p = places.keyEnd
    } else if (tag === VALUE) {
      places.valueEnd = reader.length()
      places.valueStart = reader.p
      reader.p = places.valueEnd
    } else reader.skip(tag)
  }
  return places
}

function hashOf(bytes: Buffer, start: number, end: number): number {
  let hash = end - start
  for (let p = start; p < end; p++) hash = (Math.imul(hash, 31) + bytes[p]!) | 0
  return hash
}

function isSame(text: Buffer, bytes: Buffer, start: number, end: number): boolean {
  if (text.length !== end - start) return false
  for (let i = 0; i < text.length; i++) if (text[i] !== bytes[start + i]) return false
  return true
}
