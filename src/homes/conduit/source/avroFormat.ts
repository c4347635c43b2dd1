import { type AvroRecord, type AvroShape, avroTable } from '../../../codec/avro/index.js'
import { NO_FALLBACK } from '../../../codec/json/row.js'
import type { RowPlace } from '../../../core/rowBatch.js'
import type { Table } from '../../../core/table.js'
import { NULL_COLUMN } from '../../../core/tape.js'
import type { RegisteredSchemas } from '../schema/registeredSchemas.js'
import type { SchemaReference } from '../schema/schemaService.js'
import type { SchemaWishes } from '../schema/schemaWishes.js'
import {
  NO_PART,
  type PayloadFormat,
  type RegisteredSchema,
  type RowParts,
  type TableFormat,
  type TableSchemas,
  type Tuple,
} from './payloadFormat.js'
import type { ProtoWriter } from './protoWriter.js'
import { RAW_DATA } from './recordTags.js'
import { schemaMetadata } from './schemaMetadata.js'

/** Raw data: plain Avro of a schema that the host's registry has; parts that are to have none are as `others` writes them. */
export function avroFormat(wishes: SchemaWishes, schemas: RegisteredSchemas, others: PayloadFormat): PayloadFormat {
  const { key, payload, avro } = wishes
  return {
    compile: (table) => new AvroFormat(table, wishes, schemas, others.compile(table)),
    avro: key === undefined || payload === undefined ? undefined : avro,
  }
}

/** A shape's records, and where those are that were registered. */
interface Part {
  readonly name: RegisteredSchema['part']
  readonly shape: AvroShape
  readonly subject: string
  readonly references: Map<AvroRecord, SchemaReference>
}

class AvroFormat implements TableFormat, TableSchemas {
  metadata: Readonly<Record<string, string>> = {}
  readonly #table: Table
  readonly #schemas: RegisteredSchemas
  readonly #others: TableFormat
  readonly #key: Part | undefined
  readonly #payload: Part | undefined
  /** Those of the record that was chosen for last. */
  #keyRecord: AvroRecord | undefined
  #payloadRecord: AvroRecord | undefined
  /** A new tuple, and behind it an old one of which the key alone is known. */
  readonly #pair: Int32Array
  readonly registered: RegisteredSchema[] = []

  constructor(table: Table, { key, payload, avro }: SchemaWishes, schemas: RegisteredSchemas, others: TableFormat) {
    this.#table = table
    this.#schemas = schemas
    this.#others = others
    const shapes = avroTable(table, avro)
    const part = (name: Part['name'], shape: AvroShape | undefined, subjectOf: SchemaWishes['key']): Part | undefined =>
      shape && subjectOf && { name, shape, subject: subjectOf(table), references: new Map() }
    this.#key = part('key', shapes.key, key)
    this.#payload = part('payload', shapes.payload, payload)
    this.#pair = new Int32Array(4 * table.columns.length).fill(NULL_COLUMN)
  }

  choose(parts: RowParts): Promise<void> | undefined {
    const key = this.#key === undefined ? undefined : keyRecord(this.#key.shape, parts)
    const payload = this.#payload === undefined ? undefined : this.#choosePayload(this.#payload.shape, parts)
    if (key === this.#keyRecord && payload === this.#payloadRecord) return undefined
    const missing = this.#registrations(key, payload)
    if (missing !== undefined) return missing
    this.#keyRecord = key
    this.#payloadRecord = payload
    this.metadata = schemaMetadata(
      this.#key && key && this.#key.references.get(key),
      this.#payload && payload && this.#payload.references.get(payload),
    )
    return undefined
  }

  get schemas(): TableSchemas {
    return this
  }

  async register({ bytes, tape, at }: RowPlace): Promise<void> {
    const key = this.#key?.shape.recordFor(bytes, tape, at, NO_FALLBACK)
    await this.#registrations(key, this.#payload?.shape.recordFor(bytes, tape, at, NO_FALLBACK))
  }

  writeKey(writer: ProtoWriter, tuple: Tuple): void {
    if (this.#key === undefined) this.#others.writeKey(writer, tuple)
    else this.#write(writer, this.#keyRecord!, tuple, tuple.tape, tuple.at)
  }

  writeRow(writer: ProtoWriter, tuple: Tuple): void {
    if (this.#payload === undefined) this.#others.writeRow(writer, tuple)
    else this.#write(writer, this.#payloadRecord!, tuple, tuple.tape, tuple.at)
  }

  /** The other columns are null: before and after have one schema. */
  writeOldKey(writer: ProtoWriter, tuple: Tuple): void {
    if (this.#payload === undefined) return this.#others.writeOldKey(writer, tuple)
    const old = this.#pair.length >> 1
    this.#copyKey(tuple.tape, tuple.at, old)
    this.#write(writer, this.#payloadRecord!, tuple, this.#pair, old)
  }

  /** Before and after have the same schema, with room for both. */
  #choosePayload(shape: AvroShape, parts: RowParts): AvroRecord | undefined {
    const { bytes, tape, beforeAt, afterAt, afterFallback } = parts
    if (beforeAt === NO_PART) {
      return afterAt === NO_PART ? undefined : shape.recordFor(bytes, tape, afterAt, afterFallback)
    }
    if (!parts.beforeIsKey) {
      if (afterAt === NO_PART) return shape.recordFor(bytes, tape, beforeAt, NO_FALLBACK)
      return shape.recordFor(bytes, tape, afterAt, afterFallback, beforeAt)
    }
    const pair = this.#pair
    const old = pair.length >> 1
    this.#copyKey(tape, beforeAt, old)
    if (afterAt === NO_PART) return shape.recordFor(bytes, pair, old, NO_FALLBACK)
    for (let i = 0; i < old; i++) pair[i] = tape[afterAt + i]!
    return shape.recordFor(bytes, pair, 0, NO_FALLBACK, old)
  }

  #copyKey(tape: Int32Array, at: number, to: number): void {
    for (const column of this.#table.key) {
      this.#pair[to + 2 * column] = tape[at + 2 * column]!
      this.#pair[to + 2 * column + 1] = tape[at + 2 * column + 1]!
    }
  }

  #registrations(key: AvroRecord | undefined, payload: AvroRecord | undefined): Promise<void> | undefined {
    const missing = [this.#registration(this.#key, key), this.#registration(this.#payload, payload)].filter(
      (one) => one !== undefined,
    )
    return missing.length === 0 ? undefined : Promise.all(missing).then(() => {})
  }

  #registration(part: Part | undefined, record: AvroRecord | undefined): Promise<void> | undefined {
    if (part === undefined || record === undefined || part.references.has(record)) return undefined
    const { schema } = record
    return this.#schemas.register(part.subject, schema).then((reference) => {
      part.references.set(record, reference)
      this.registered.push({ part: part.name, schema, reference })
    })
  }

  #write(
    writer: ProtoWriter,
    record: AvroRecord,
    { bytes, view, fallback }: Tuple,
    tape: Int32Array,
    at: number,
  ): void {
    const start = writer.open(RAW_DATA)
    record.write(writer, bytes, view, tape, at, fallback)
    writer.close(start)
  }
}

function keyRecord(shape: AvroShape, { bytes, tape, keyAt, keyFallback }: RowParts): AvroRecord | undefined {
  return keyAt === NO_PART ? undefined : shape.recordFor(bytes, tape, keyAt, keyFallback)
}
