import type { ColumnCodec, ReadValue, WriteJson } from '../core/table.js'
import { type CompositeType, nameOf, type PgType } from '../postgres/catalog/types.js'
import { BYTEA, FORMS, INT8, NUMERIC, READERS, TIMESTAMP, TIMESTAMPTZ, WRITERS } from './builtin.js'
import { arrayWriter } from './json/array.js'
import { writeBase64, writeHex } from './json/bytea.js'
import { compositeWriter } from './json/composite.js'
import { FORM_OTHER, FORM_PLAIN, FORM_TEXT } from './json/form.js'
import { hstoreWriter } from './json/hstore.js'
import { writePlain } from './json/plain.js'
import { vectorWriter } from './json/vector.js'
import { arrayReader, vectorReader } from './value/array.js'
import { compositeReader } from './value/composite.js'
import { hstoreReader } from './value/hstore.js'
import { readText } from './value/text.js'
import { readDate } from './value/timestamp.js'

/** Each option's first value is its default: with all of them the JSON is the server's own to_json. */
export interface CodecOptions {
  /** JSON: int8 and numeric as number tokens with all their digits, or as strings; in arrays and composites too. */
  readonly bigNumbers?: 'number' | 'string' | undefined
  /** JSON: bytea as `"\\xdead"` or as `"3q0="`; in arrays and composites too. */
  readonly bytea?: 'hex' | 'base64' | undefined
  /** JavaScript: timestamps as ISO text, with all six decimals, or as Date, which keeps three. */
  readonly timestamps?: 'string' | 'date' | undefined
  /**
   * A value of this type has another shape than the catalog told, and was given as a string: the type was altered
   * since. Called at the first such value of each type.
   */
  readonly onShapeMismatch?: ((type: CompositeType) => void) | undefined
}

const DEFAULTS: CodecOptions = {}
const compiled = new WeakMap<CodecOptions, WeakMap<PgType, ColumnCodec>>()
const types = new WeakMap<ColumnCodec, PgType>()

/**
 * How values of `type` are read. Compiled once for each type and object of options: keep one object of options for a
 * run. A codec is for one thread of calls: it keeps room that the next call uses again.
 */
export function codecFor(type: PgType, options: CodecOptions = DEFAULTS): ColumnCodec {
  const codecs = compiled.get(options) ?? new WeakMap<PgType, ColumnCodec>()
  compiled.set(options, codecs)
  const codec = codecs.get(type) ?? compile(type, options)
  codecs.set(type, codec)
  types.set(codec, type)
  return codec
}

/** The type that `codec` was compiled for; undefined for a codec that {@link codecFor} did not make. */
export function typeOf(codec: ColumnCodec): PgType | undefined {
  return types.get(codec)
}

function compile(type: PgType, options: CodecOptions): ColumnCodec {
  const name = nameOf(type)
  switch (type.kind) {
    case 'scalar':
      return scalarCodec(type.oid, options)
    case 'hstore':
      return other(hstoreWriter(name), hstoreReader(name))
    case 'array': {
      const { writeJson, readValue } = codecFor(type.element, options)
      if (type.vector) return other(vectorWriter(name, writeJson), vectorReader(name, readValue))
      return other(arrayWriter(name, type.delimiter, writeJson), arrayReader(name, type.delimiter, readValue))
    }
    case 'composite': {
      const fields = type.fields.map((field) => ({ name: field.name, codec: codecFor(field.type, options) }))
      let told = false
      const onMismatch = () => {
        if (told) return
        told = true
        options.onShapeMismatch?.(type)
      }
      return other(compositeWriter(name, fields, onMismatch), compositeReader(name, fields, onMismatch))
    }
  }
}

function other(writeJson: WriteJson, readValue: ReadValue): ColumnCodec {
  return { form: FORM_OTHER, writeJson, readValue }
}

function scalarCodec(oid: number, options: CodecOptions): ColumnCodec {
  const form = FORMS.get(oid) ?? FORM_TEXT
  const readValue = READERS.get(oid) ?? readText
  if (oid === BYTEA) return { form, writeJson: options.bytea === 'base64' ? writeBase64 : writeHex, readValue }
  if (options.bigNumbers === 'string' && (oid === INT8 || oid === NUMERIC)) {
    return { form: FORM_PLAIN, writeJson: writePlain, readValue }
  }
  if (options.timestamps === 'date' && (oid === TIMESTAMP || oid === TIMESTAMPTZ)) {
    return { form, writeJson: WRITERS[form]!, readValue: readDate }
  }
  return { form, writeJson: WRITERS[form]!, readValue }
}
