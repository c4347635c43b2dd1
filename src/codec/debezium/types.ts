import { ByteWriter } from '../../core/byteWriter.js'
import type { ColumnCodec, Table, WriteJson } from '../../core/table.js'
import { nameOf, type PgType } from '../../postgres/catalog/types.js'
import { BYTEA, NUMERIC, TIMESTAMP, TIMESTAMPTZ } from '../builtin.js'
import { codecFor, typeOf } from '../codecFor.js'
import { arrayWriter } from '../json/array.js'
import { writeBase64 } from '../json/bytea.js'
import { FORM_OTHER, FORM_PLAIN, FORM_TEXT, FORM_TOKEN } from '../json/form.js'
import { writePlain } from '../json/plain.js'
import { writeJsonString } from '../json/text.js'
import { writeToken } from '../json/token.js'
import { clockWriter, timestampWriter, writeDays, writeInterval, writeZoned, writeZonedTime } from './dateTime.js'

const BIT = 1560
const DATE = 1082
const INTERVAL = 1186
const JSON_TYPE = 114
const JSONB = 3802
const OID = 26
const TIME = 1083
const TIMETZ = 1266
const ONE = 0x31

/** What stands for a large value that an UPDATE left as it was, and that was not sent. */
const UNAVAILABLE = '__debezium_unavailable_value'

/**
 * The column's values as Debezium writes them by default (time.precision.mode=adaptive, hstore.handling.mode=json), but
 * numeric as decimal.handling.mode=string does: its default is bytes whose scale stands in the schema alone.
 */
export function debeziumCodec(codec: ColumnCodec, typmod: number): ColumnCodec {
  const type = typeOf(codec)
  const found = type && codecOf(type, typmod, codec)
  return found === undefined ? codec : { ...codec, ...found }
}

/** Of each selected column what stands for an unavailable value, as JSON. */
export function unavailable(table: Table): readonly Uint8Array[] {
  return table.selected.map((column) => {
    const type = typeOf(table.codecs[column]!)
    const binary = type?.kind === 'scalar' && type.oid === BYTEA
    return Buffer.from(JSON.stringify(binary ? Buffer.from(UNAVAILABLE).toString('base64') : UNAVAILABLE))
  })
}

type Written = Pick<ColumnCodec, 'form' | 'writeJson'>

function codecOf(type: PgType, typmod: number, codec: ColumnCodec): Written | undefined {
  switch (type.kind) {
    case 'scalar':
      return scalar(type.oid, typmod)
    case 'hstore':
      return other(textOf(codec.writeJson))
    case 'array': {
      if (type.vector) return undefined
      const element = codecOf(type.element, typmod, codecFor(type.element))
      return element && other(arrayWriter(nameOf(type), type.delimiter, element.writeJson))
    }
    case 'composite':
      return undefined
  }
}

function scalar(oid: number, typmod: number): Written | undefined {
  switch (oid) {
    case NUMERIC:
      return { form: FORM_PLAIN, writeJson: writePlain }
    case BYTEA:
      return other(writeBase64)
    case OID:
      return { form: FORM_TOKEN, writeJson: writeToken }
    case JSON_TYPE:
    case JSONB:
      return { form: FORM_TEXT, writeJson: writeJsonString }
    case DATE:
      return other(writeDays)
    case TIME:
      return other(clockWriter(typmod))
    case TIMETZ:
      return other(writeZonedTime)
    case TIMESTAMP:
      return other(timestampWriter(typmod))
    case TIMESTAMPTZ:
      return other(writeZoned)
    case INTERVAL:
      return other(writeInterval)
    case BIT:
      return typmod === 1 ? other(writeBit) : undefined
    default:
      return undefined
  }
}

function other(writeJson: WriteJson): Written {
  return { form: FORM_OTHER, writeJson }
}

/** The JSON that `write` gives, in a string. */
function textOf(write: WriteJson): WriteJson {
  const scratch = new ByteWriter(1024)
  return (writer, src, p, end) => {
    scratch.clear()
    write(scratch, src, p, end)
    const json = scratch.toBuffer()
    writeJsonString(writer, json, 0, json.length)
  }
}

function writeBit(writer: ByteWriter, src: Uint8Array, p: number): void {
  writer.writeAscii(String(src[p] === ONE))
}
