import { FORM_JSON, FORM_NUMBER, FORM_OTHER, FORM_TIMESTAMP, FORM_TIMESTAMPTZ } from '../../../codec/json/form.js'
import { RowLayout } from '../../../codec/json/row.js'
import type { ByteWriter } from '../../../core/byteWriter.js'
import type { Table } from '../../../core/table.js'
import { statusMessage } from '../protocol/messages.js'
import type { ConfiguredStream } from './configuredCatalog.js'
import { columnsOfJson } from './halfPairs.js'

const DATE = 1082
const JSONB = 3802
/** Numbers with a point, and what may have some in it. */
const LOOSE_FORMS = [FORM_NUMBER, FORM_OTHER, FORM_JSON]

/** What stands the same in every record of a stream and one shape of its table. */
export interface TableLines {
  readonly row: RowLayout
  /** The key's columns that the client wants. */
  readonly key: RowLayout
  /** Columns whose values may be none that JSON, or the format, has: NaN and the infinities. */
  readonly special: readonly number[]
  /** Columns in which there may be escapes that are no characters. */
  readonly json: readonly number[]
  /** Values of the key that are the same may be written in several ways: 1.0 and 1.00. */
  readonly looseKey: boolean
  /** Columns of `row`. */
  readonly columns: readonly number[]
}

/** One stream of a run: how its records are written, and what was. */
export class StreamLines {
  readonly stream: ConfiguredStream
  /** Of the run's streams. */
  readonly number: number
  /** `{"type":"RECORD","record":{"stream":"t","namespace":"public","emitted_at":` */
  readonly #begin: string
  #head: Buffer = Buffer.alloc(0)
  #emittedAt = 0
  readonly #tables = new WeakMap<Table, TableLines>()
  /** Since the last STATE that counted them. */
  records = 0
  /** Something was written, or stands elsewhere, since its last STATE. */
  changed = false
  running = false
  /** What was said of it once. */
  readonly told = new Set<string>()

  constructor(stream: ConfiguredStream, number: number) {
    this.stream = stream
    this.number = number
    const { name, namespace } = stream.descriptor
    const place = namespace === undefined ? '' : `"namespace":${JSON.stringify(namespace)},`
    this.#begin = `{"type":"RECORD","record":{"stream":${JSON.stringify(name)},${place}"emitted_at":`
  }

  /** Until where the row begins. */
  head(emittedAt: number): Buffer {
    if (emittedAt !== this.#emittedAt) {
      this.#emittedAt = emittedAt
      this.#head = Buffer.from(`${this.#begin}${emittedAt},"data":`)
    }
    return this.#head
  }

  /** So many records were written: behind its first ones the client is told that they come. */
  wrote(count: number, writer: ByteWriter): void {
    this.records += count
    this.changed = true
    if (this.running) return
    this.running = true
    writer.write(Buffer.from(`${JSON.stringify(statusMessage('RUNNING', this.stream.descriptor))}\n`))
  }

  linesOf(table: Table): TableLines {
    const known = this.#tables.get(table)
    if (known !== undefined) return known
    const lines = compile(table, this.stream.fields)
    this.#tables.set(table, lines)
    return lines
  }
}

/** What the client has not in its schema is not written. */
function compile(table: Table, fields: ReadonlySet<string> | undefined): TableLines {
  const wanted = (column: number) => fields?.has(table.columns[column]!.name) ?? true
  const columns = table.selected.filter(wanted)
  return {
    row: new RowLayout(table, columns),
    key: new RowLayout(table, table.key.filter(wanted)),
    special: columns.filter((column) => {
      const { form } = table.codecs[column]!
      const { typeOid } = table.columns[column]!
      return form === FORM_NUMBER || form === FORM_TIMESTAMP || form === FORM_TIMESTAMPTZ || typeOid === DATE
    }),
    json: columnsOfJson(table, columns),
    looseKey: table.key.some((column) => {
      return LOOSE_FORMS.includes(table.codecs[column]!.form) || table.columns[column]!.typeOid === JSONB
    }),
    columns,
  }
}
