import { AvroDecoder } from '../../../codec/avro/index.js'
import type { Texts } from '../../../destination/textBatch.js'
import { jsonRow } from '../payload/jsonRow.js'
import { structuredRow } from '../payload/structuredRow.js'
import type { TargetOf } from '../payload/text.js'
import type { Data } from './incoming.js'

/** Key, before or after of a record as texts for columns. */
export interface Part {
  readonly columns: readonly string[]
  readonly texts: Texts
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
  readonly signature: string
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

  /** Throws what is wrong with the data, or a {@link SchemaMissing}. */
  read(data: Data, schema: SchemaOf | undefined): Part {
    if ('structured' in data) return signed(structuredRow(data.structured, this.#targetOf))
    if (schema === undefined) return signed(jsonRow(data.raw, this.#targetOf))
    const { decoder, signature } = this.#decoderOf(schema)
    return { columns: decoder.columns, texts: decoder.decode(data.raw), signature }
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
      known = { decoder: new AvroDecoder(text, this.#targetOf), signature: `avro ${++decoders}` }
      versions.set(version, known)
    }
    return known
  }
}

function signed({ columns, texts }: Omit<Part, 'signature'>): Part {
  return { columns, texts, signature: columns.join('\0') }
}
