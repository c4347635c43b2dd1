import * as z from 'zod'
import type { CodecOptions } from '../../codec/codecFor.js'
import type { ByteWriter } from '../../core/byteWriter.js'
import type { ChunkRange } from '../../core/record.js'
import { setting } from '../../core/setting.js'
import type { Column, ColumnCodec, Table } from '../../core/table.js'
import { NULL_COLUMN, UNCHANGED_COLUMN } from '../../core/tape.js'
import { columnIndex, columnOf, presentWith, tableWith, unfit } from '../describe.js'
import { KeyedHash } from '../keyedHash.js'
import type { Plan, Processor } from '../processor.js'
import { type ProcessorPlace, processorType } from '../processorType.js'
import { stateOf, VALUE } from '../rows/rewrite.js'
import type { Tuple } from '../rows/tuple.js'
import { columnType, type SqlType, TYPE_NAMES, textAt } from '../sql/types.js'

const columnList = (description: string, example: string) =>
  setting(z.array(z.string().min(1)).default([]), { description, example })

/** `type: mask`. */
export const maskType = processorType({
  settings: {
    hash: columnList(
      'Columns whose values become their HMAC-SHA-256 with `key`, as 64 hexadecimal digits: equal values stay equal, and nobody without the key can try values out. A uuid becomes a uuid, a bytea a bytea, all else text. The only way for columns of a key.',
      '[email]',
    ),
    redact: columnList('Columns of texts whose values become `text`.', '[name]'),
    partial: columnList(
      'Columns of texts of which `keep_first` and `keep_last` characters stay and each other one becomes *. A text that is not longer than both together has stars only.',
      '[phone]',
    ),
    null: columnList('Columns that become NULL.', '[notes]'),
    key: setting(z.string().min(16, 'at least 16 characters are expected').optional(), {
      description: 'Key of `hash`, 16 characters or more. Another key gives other values: keep it as long as the rows.',
      example: '$' + '{MASK_KEY}',
      secret: true,
    }),
    text: setting(z.string().default('***'), { description: 'What `redact` puts in the place of each value.' }),
    keepFirst: setting(z.int().min(0).max(100).default(0), { description: 'Of `partial`.', unit: 'characters' }),
    keepLast: setting(z.int().min(0).max(100).default(4), { description: 'Of `partial`.', unit: 'characters' }),
  },
  hides: true,
  problems: ({ hash, redact, partial, null: cleared, key }) => {
    const all = [...hash, ...redact, ...partial, ...cleared]
    const twice = all.find((name, index) => all.indexOf(name) !== index)
    return [
      ...(all.length === 0 ? [{ name: 'hash', problem: 'one of hash, redact, partial and null is expected' }] : []),
      ...(twice === undefined ? [] : [{ name: 'hash', problem: `the column "${twice}" is named twice` }]),
      ...(hash.length > 0 && key === undefined ? [{ name: 'key', problem: 'hash needs it' }] : []),
    ]
  },
  create: ({ hash, redact, partial, null: cleared, key = '', text, keepFirst, keepLast }, place) => {
    const hashed = new KeyedHash(key)
    const replacement = Buffer.from(text)
    const masks: Mask[] = [
      ...hash.map((column): Mask => ({ column, how: 'hash', write: () => {} })),
      ...redact.map((column): Mask => {
        return { column, how: 'redact', write: (writer) => writeShort(writer, replacement) }
      }),
      ...partial.map((column): Mask => {
        return { column, how: 'partial', write: (...row) => writePartial(keepFirst, keepLast, ...row) }
      }),
      ...cleared.map((column): Mask => ({ column, how: 'null', write: () => {} })),
    ]
    return [new MaskProcessor(masks, hashed, place)]
  },
})

/** `view` is of the same bytes. */
type WriteMasked = (writer: ByteWriter, bytes: Uint8Array, start: number, end: number, view: DataView) => void

interface Mask {
  readonly column: string
  readonly how: 'hash' | 'redact' | 'partial' | 'null'
  readonly write: WriteMasked
}

class MaskProcessor implements Processor {
  readonly #masks: readonly Mask[]
  readonly #hash: KeyedHash
  readonly #name: string
  readonly #codecs: CodecOptions | undefined
  readonly #hashed: ReadonlySet<string>

  constructor(masks: readonly Mask[], hash: KeyedHash, { name, codecs }: ProcessorPlace) {
    this.#masks = masks
    this.#hash = hash
    this.#name = name
    this.#codecs = codecs
    this.#hashed = new Set(masks.filter(({ how }) => how === 'hash').map(({ column }) => column))
  }

  plan(table: Table): Plan {
    const columns: Column[] = [...table.columns]
    const codecs: ColumnCodec[] = [...table.codecs]
    const from = columns.map((_, index) => index)
    const writes: (WriteMasked | undefined)[] = []
    const renamed = new Map<string, string>()
    for (const mask of this.#masks) {
      const index = columnIndex(this.#name, table, mask.column)
      const type = columnType(table, index)
      this.#requireFit(table, index, mask, type)
      from[index] = -1
      if (mask.how === 'null') {
        columns[index] = { ...columns[index]!, notNull: false }
        continue
      }
      const becomes = mask.how === 'hash' && (type === 'uuid' || type === 'bytea') ? type : 'text'
      const { column, codec, typeName } = columnOf(becomes, table.columns[index]!, this.#codecs)
      columns[index] = column
      codecs[index] = codec
      renamed.set(mask.column, typeName)
      writes[index] = mask.how === 'hash' ? this.#hash.writer(becomes) : mask.write
    }
    const present = presentWith(table, (one) => {
      if (!this.#masks.some(({ column }) => column === one.name)) return one
      return { ...one, typeName: renamed.get(one.name) ?? one.typeName, before: undefined }
    })
    const make = (column: number, row: Tuple, writer: ByteWriter): number => {
      const write = writes[column]
      const state = stateOf(row, column)
      if (write === undefined) return state === UNCHANGED_COLUMN ? state : NULL_COLUMN
      if (state !== undefined) return state
      const pair = row.pair(column)
      write(writer, row.bytes, row.tape[pair]!, row.tape[pair + 1]!, row.view)
      return VALUE
    }
    return { kind: 'rewrite', rewrite: { table: tableWith(table, { columns, codecs, present }), from, make } }
  }

  /** The order of hashes is none of the keys'. */
  range(range: ChunkRange): ChunkRange | undefined {
    return range.key.some((name) => this.#hashed.has(name)) ? undefined : range
  }

  #requireFit(table: Table, index: number, { column, how }: Mask, type: SqlType): void {
    if (table.key.includes(index) && how !== 'hash') {
      throw unfit(
        this.#name,
        table,
        `"${column}" belongs to the key, by which rows are found: only hash keeps keys apart`,
      )
    }
    const isText = type === 'text' || type === 'bpchar'
    if ((how === 'redact' || how === 'partial') && !isText) {
      const typed = type === 'other' || type === 'enum' ? table.columns[index]!.typeName : TYPE_NAMES[type]
      throw unfit(
        this.#name,
        table,
        `"${column}" is ${typed}, and ${how} is for texts: hash and null are for all types`,
      )
    }
  }
}

function writePartial(
  first: number,
  last: number,
  writer: ByteWriter,
  bytes: Uint8Array,
  start: number,
  end: number,
  view: DataView,
): void {
  if (isAscii(bytes, start, end, view)) {
    const length = end - start
    writer.reserve(length)
    const out = writer.bytes
    const to = writer.length
    const shown = length > first + last
    const [stars, rest] = shown ? [first, length - last] : [0, length]
    for (let i = 0; i < stars; i++) out[to + i] = bytes[start + i]!
    writeStars(writer, to + stars, to + rest)
    for (let i = rest; i < length; i++) out[to + i] = bytes[start + i]!
    writer.length = to + length
    return
  }
  const characters = [...textAt(bytes, start, end)]
  const shown = characters.length > first + last
  const masked = characters.map((one, i) => (shown && (i < first || i >= characters.length - last) ? one : '*'))
  writer.write(Buffer.from(masked.join('')))
}

function writeStars({ bytes, view }: ByteWriter, from: number, to: number): void {
  let at = from
  for (const words = to - 3; at < words; at += 4) view.setInt32(at, STARS)
  while (at < to) bytes[at++] = STAR
}

/** A call to copy so little takes longer than to do it. */
function writeShort(writer: ByteWriter, text: Uint8Array): void {
  writer.reserve(text.length)
  const { bytes, length } = writer
  for (let i = 0; i < text.length; i++) bytes[length + i] = text[i]!
  writer.length += text.length
}

const STAR = 0x2a
const STARS = 0x2a2a2a2a
const HIGH_BITS = 0x80808080

function isAscii(bytes: Uint8Array, start: number, end: number, view: DataView): boolean {
  let at = start
  for (const words = end - 3; at < words; at += 4) if ((view.getInt32(at) & HIGH_BITS) !== 0) return false
  while (at < end) if (bytes[at++]! > 0x7f) return false
  return true
}
