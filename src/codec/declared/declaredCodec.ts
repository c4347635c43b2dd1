import type { ColumnCodec, WriteJson } from '../../core/table.js'
import type { PgType } from '../../postgres/catalog/types.js'
import { codecFor } from '../codecFor.js'
import { writeHex } from '../json/bytea.js'
import {
  FORM_BOOL,
  FORM_NUMBER,
  FORM_OTHER,
  FORM_PLAIN,
  FORM_TEXT,
  FORM_TIMESTAMP,
  FORM_TIMESTAMPTZ,
  FORM_TOKEN,
} from '../json/form.js'
import { writePlain } from '../json/plain.js'
import { writeJsonString } from '../json/text.js'
import { readText } from '../value/text.js'
import { acceptedFor } from './declaredTypes.js'
import { type OnMisfit, wholeWriter } from './whole.js'

const BASE64 = { bytea: 'base64' } as const
/** Their text needs no escape. */
const PLAIN_FORMS = new Set([FORM_TOKEN, FORM_NUMBER, FORM_PLAIN, FORM_TIMESTAMP, FORM_TIMESTAMPTZ])
const JSONB = 3802
const BYTEA = 17
const T = 0x74

const BOUNDS: Readonly<Record<string, readonly [bigint, bigint]>> = {
  Int32: [-(2n ** 31n), 2n ** 31n - 1n],
  Int64: [-(2n ** 63n), 2n ** 63n - 1n],
  Uint64: [0n, 2n ** 64n - 1n],
}

/**
 * How values of `type` are written where a file declares them as `declared`; undefined: they cannot be. `String` is the
 * text that the server prints, `bytea` base64, every other type as the server's to_json has it. What is no whole number, or
 * too large for the declared type, goes to `onMisfit`, which throws.
 */
export function declaredCodec(type: PgType, declared: string, onMisfit: OnMisfit): ColumnCodec | undefined {
  if (!acceptedFor(type).includes(declared)) return undefined
  const codec = codecFor(type)
  if (declared === 'String') return textCodec(type, codec)
  if (declared === 'bytea') return { ...codec, writeJson: codecFor(type, BASE64).writeJson }
  const bounds = BOUNDS[declared]
  const holdsMore = type.kind === 'scalar' && (type.name === 'numeric' || type.name === 'oid' || declared === 'Uint64')
  if (bounds !== undefined && holdsMore) {
    return { ...codec, form: FORM_OTHER, writeJson: wholeWriter(bounds, onMisfit) }
  }
  return codec
}

function textCodec(type: PgType, { form }: ColumnCodec): ColumnCodec {
  const text = (writtenAs: number, writeJson: WriteJson) => ({ form: writtenAs, writeJson, readValue: readText })
  if (form === FORM_BOOL) return text(FORM_OTHER, writeTruth)
  if (type.kind === 'scalar' && type.oid === BYTEA) return text(FORM_OTHER, writeHex)
  const isPlain = PLAIN_FORMS.has(form) && !(type.kind === 'scalar' && type.oid === JSONB)
  return isPlain ? text(FORM_PLAIN, writePlain) : text(FORM_TEXT, writeJsonString)
}

/** As a cast to text has it. */
const writeTruth: WriteJson = (writer, src, p) => writer.writeAscii(src[p] === T ? '"true"' : '"false"')
