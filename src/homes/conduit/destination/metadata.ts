import { ProtoReader } from './protoReader.js'

/** Entry of `map<string, string> metadata = 3`: its key and its value. */
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

/**
 * Reads of metadata what is wanted, without making a text of anything else: a record has ten entries, in any order, and costs as
 * much as its row otherwise.
 */
export class MetadataReader {
  readonly #slots = new Map<number, Slot[]>()
  readonly #count: number

  /** `names`: what is wanted besides; their values stand from {@link FIRST_OF_CALLER} on. */
  constructor(names: readonly string[]) {
    const all = [...NAMES, ...names]
    this.#count = all.length
    for (const [index, text] of all.entries()) {
      const name = Buffer.from(text)
      const hash = hashOf(name, 0, name.length)
      const slot = { name, index, bytes: Buffer.alloc(0), text: '' }
      this.#slots.set(hash, [...(this.#slots.get(hash) ?? []), slot])
    }
  }

  none(): (string | undefined)[] {
    return new Array<string | undefined>(this.#count).fill(undefined)
  }

  /** Reads the entry at `bytes[start..end)` into `values`, if it is wanted. */
  read(bytes: Buffer, start: number, end: number, values: (string | undefined)[]): void {
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
