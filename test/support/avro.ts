import avsc from 'avsc'
import {
  type AvroOptions,
  type AvroRecord,
  type AvroShape,
  type AvroTable,
  avroTable,
} from '../../src/codec/avro/index.js'
import { codecFor } from '../../src/codec/codecFor.js'
import { NO_FALLBACK } from '../../src/codec/json/row.js'
import { ByteWriter, viewOf } from '../../src/core/byteWriter.js'
import { type Column, Table } from '../../src/core/table.js'
import { NULL_COLUMN, UNCHANGED_COLUMN } from '../../src/core/tape.js'
import type { PgType } from '../../src/postgres/catalog/types.js'
import type { Sent } from './rowBatches.js'

/** Longs as bigint, whatever their size. */
const bigLong = avsc.types.LongType.__with({
  fromBuffer: (bytes: Buffer) => bytes.readBigInt64LE(),
  toBuffer: (value: bigint) => {
    const bytes = Buffer.alloc(8)
    bytes.writeBigInt64LE(value)
    return bytes
  },
  fromJSON: BigInt,
  toJSON: Number,
  isValid: (value: unknown) => typeof value === 'bigint',
  compare: (a: bigint, b: bigint) => (a === b ? 0 : a < b ? -1 : 1),
})

export function avscType(schema: string): avsc.Type {
  return avsc.Type.forSchema(plain(JSON.parse(schema)), { registry: { long: bigLong }, wrapUnions: 'never' })
}

/** Without logical types: what avsc finds in the registry is a type's bare name. */
function plain(schema: unknown): avsc.Schema {
  return JSON.parse(
    JSON.stringify(schema, (_, value) =>
      typeof value?.logicalType === 'string' && value.type !== 'fixed' ? value.type : value,
    ),
  )
}

/** What another Avro library reads in `bytes`, all of them: logical types as what they lie in, longs as bigint. */
export function decoded(schema: string, bytes: Uint8Array): Record<string, unknown> {
  return { ...avscType(schema).fromBuffer(Buffer.from(bytes)) }
}

interface Drafted {
  readonly type: PgType
  readonly typmod?: number
  readonly notNull?: boolean
  readonly origin?: Column['origin']
  readonly typeOid?: number
}

/** A table of these columns; without types that a catalog would have to be asked for. */
export function draftTable(
  name: string,
  columns: Readonly<Record<string, Drafted>>,
  key: readonly string[] = [],
): Table {
  const names = Object.keys(columns)
  const drafts = Object.values(columns)
  return new Table({
    oid: 1,
    schema: 'public',
    name,
    columns: drafts.map(({ type, typmod = -1, notNull = false, origin, typeOid = type.oid }, i): Column => {
      return { name: names[i]!, typeOid, typmod, typeName: type.name, notNull, generated: false, origin }
    }),
    codecs: drafts.map(({ type }) => codecFor(type)),
    selected: names.map((_, index) => index),
    key: key.map((one) => names.indexOf(one)),
    replicaIdentity: 'default',
  })
}

type Bytes = Sent | Buffer

export interface WrittenRow {
  readonly schema: string
  readonly bytes: Buffer
}

/** The row, in the text form of its columns, as its Avro record; `old`: the row before it, which is whole. */
export function writeRow(avro: AvroTable, table: Table, row: readonly Bytes[], old?: readonly Bytes[]): WrittenRow {
  const cells = [...row, ...(old ?? [])].map((value) => (value == null ? value : Buffer.from(value as string)))
  const bytes = Buffer.concat(cells.map((cell) => cell ?? Buffer.alloc(0)))
  let place = 0
  const tape = Int32Array.from(
    cells.flatMap((cell) => {
      if (cell == null) return cell === null ? [NULL_COLUMN, NULL_COLUMN] : [UNCHANGED_COLUMN, UNCHANGED_COLUMN]
      place += cell.length
      return [place - cell.length, place]
    }),
  )
  const fallback = old === undefined ? NO_FALLBACK : 2 * table.columns.length
  const shape: AvroShape = avro.payload
  const record: AvroRecord = shape.recordFor(bytes, tape, 0, fallback)
  const writer = new ByteWriter(16)
  record.write(writer, bytes, viewOf(bytes), tape, 0, fallback)
  return { schema: record.schema, bytes: writer.toBuffer() }
}

/** One value, of a column that may be null, as another library reads it. */
export function roundTrip(
  type: PgType,
  text: string | Buffer,
  options: AvroOptions & { typmod?: number } = {},
): unknown {
  const { typmod, ...rest } = options
  const table = draftTable('one', { v: { type, ...(typmod !== undefined && { typmod }) } })
  const { schema, bytes } = writeRow(avroTable(table, rest), table, [text])
  return decoded(schema, bytes).v
}

/** The type's schema within the union with null. */
export function schemaOf(type: PgType, options: AvroOptions & { typmod?: number } = {}): unknown {
  const { typmod, ...rest } = options
  const table = draftTable('one', { v: { type, ...(typmod !== undefined && { typmod }) } })
  return JSON.parse(avroTable(table, rest).payload.record.schema).fields[0].type
}

/** typmod of numeric(precision, scale). */
export function numericTypmod(precision: number, scale: number): number {
  return ((precision << 16) | (scale & 0x7ff)) + 4
}
