import { AvroDecoder } from '../../../codec/avro/index.js'
import type { TemplateData, TemplateRecord } from '../template/index.js'
import { allMetadata, type Data, type IncomingRecord } from './incoming.js'
import { SchemaMissing, type SchemaOf, type SchemaTexts } from './parts.js'

const TEXT = { kind: 'text', array: false } as const

/** What a template sees of records. */
export class TemplateRecords {
  readonly #schemas: SchemaTexts
  readonly #decoders = new Map<string, AvroDecoder>()

  constructor(schemas: SchemaTexts) {
    this.#schemas = schemas
  }

  /** `decodes`: key and payload are asked for. Throws a {@link SchemaMissing}. */
  of(
    record: IncomingRecord,
    operation: TemplateRecord['operation'],
    schemas: { readonly key: SchemaOf | undefined; readonly payload: SchemaOf | undefined },
    decodes: boolean,
  ): TemplateRecord {
    const read = (data: Data | undefined, schema: SchemaOf | undefined) =>
      decodes ? this.#read(data, schema) : undefined
    return {
      position: record.position.toString(),
      operation,
      metadata: allMetadata(record),
      key: read(record.key, schemas.key),
      before: read(record.before, schemas.payload),
      after: read(record.after, schemas.payload),
    }
  }

  #read(data: Data | undefined, schema: SchemaOf | undefined): TemplateData {
    if (data === undefined) return undefined
    if ('structured' in data) return data.structured
    return parsed(schema === undefined ? data.raw.toString() : this.#decoderOf(schema).decodeJson(data.raw)) ?? data.raw
  }

  #decoderOf(schema: SchemaOf): AvroDecoder {
    const name = JSON.stringify([schema.subject, schema.version])
    let decoder = this.#decoders.get(name)
    if (decoder === undefined) {
      const text = this.#schemas(schema)
      if (typeof text !== 'string') throw new SchemaMissing(text)
      decoder = new AvroDecoder(text, () => TEXT)
      this.#decoders.set(name, decoder)
    }
    return decoder
  }
}

/** Undefined: that is no JSON object. */
function parsed(json: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(json)
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : undefined
  } catch {
    return undefined
  }
}
