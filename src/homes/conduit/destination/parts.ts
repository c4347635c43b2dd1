import { AvroDecoder } from '../../../codec/avro/index.js'
import { jsonRow } from '../../../codec/payload/jsonRow.js'
import { type Structured, structuredRow } from '../../../codec/payload/structuredRow.js'
import type { TargetOf, TextRow } from '../../../codec/payload/text.js'
import { PAYLOAD_INVALID } from '../../../core/payloadErrors.js'
import type { TextBatch } from '../../../destination/textBatch.js'
import { Struct } from '../proto/google/protobuf/struct.js'
import type { Data } from './incoming.js'

/** Key, before or after of a record, whose texts were given to a batch, one for each column. */
export interface Part {
  readonly columns: readonly string[]
  /** Parts that have the same columns in the same order have the same. */
  readonly signature: string
}

/** Which schema a part was written with. */
export interface SchemaOf {
  readonly subject: string
  readonly version: string
}

/** A schema's text, if it is there already; else when it is. */
export type SchemaTexts = (schema: SchemaOf) => string | Promise<string>

/** A schema that has to be fetched first. */
export class SchemaMissing {
  readonly arrives: Promise<unknown>

  constructor(arrives: Promise<unknown>) {
    this.arrives = arrives
  }
}

let decoders = 0

interface Decoder {
  readonly decoder: AvroDecoder
  readonly part: Part
}

/** Reads parts of records for one table, whose columns take what `targetOf` says. */
export class PartReader {
  readonly #targetOf: TargetOf
  readonly #schemas: SchemaTexts
  readonly #decoders = new Map<string, Map<string, Decoder>>()

  constructor(targetOf: TargetOf, schemas: SchemaTexts) {
    this.#targetOf = targetOf
    this.#schemas = schemas
  }

  /** Gives the part's texts to `batch`. Throws what is wrong with the data, or a {@link SchemaMissing}. */
  read(message: Buffer, { isStruct, start, end }: Data, schema: SchemaOf | undefined, batch: TextBatch): Part {
    if (isStruct) return give(structuredRow(structOf(message, start, end), this.#targetOf), batch)
    if (schema === undefined) return give(jsonRow(message.subarray(start, end), this.#targetOf), batch)
    const { decoder, part } = this.#decoderOf(schema)
    decoder.write(message, start, end, batch)
    return part
  }

  #decoderOf({ subject, version }: SchemaOf): Decoder {
    let versions = this.#decoders.get(subject)
    if (versions === undefined) {
      versions = new Map()
      this.#decoders.set(subject, versions)
    }
    let known = versions.get(version)
    if (known === undefined) {
      const text = this.#schemas({ subject, version })
      if (typeof text !== 'string') throw new SchemaMissing(text)
      const decoder = new AvroDecoder(text, this.#targetOf)
      known = { decoder, part: { columns: decoder.columns, signature: `avro ${++decoders}` } }
      versions.set(version, known)
    }
    return known
  }
}

/** Throws `PAYLOAD_INVALID`. */
export function structOf(message: Buffer, start: number, end: number): Structured {
  try {
    return Struct.unwrap(Struct.decode(message.subarray(start, end)))
  } catch (error) {
    throw PAYLOAD_INVALID({ column: '', problem: `structured data cannot be read: ${(error as Error).message}` })
  }
}

function give({ columns, texts }: TextRow, batch: TextBatch): Part {
  for (const text of texts) {
    if (text === null) batch.none()
    else batch.text(text)
  }
  // Names of JSON may hold any character: by their number two lists of which one is of columns are told apart.
  return { columns, signature: `${columns.length}\0${columns.join('\0')}` }
}
