import type { AvroOptions } from '../../../codec/avro/index.js'
import { codecFor } from '../../../codec/codecFor.js'
import { FORM_TEXT } from '../../../codec/json/form.js'
import { writeJsonString } from '../../../codec/json/text.js'
import { readText } from '../../../codec/value/text.js'
import { type PackedRows, unpackRows } from '../../../core/packedRows.js'
import { type ColumnCodec, Table } from '../../../core/table.js'
import type { PgType } from '../../../postgres/catalog/types.js'
import { readCopyRow } from '../../../postgres/copy/row.js'
import { LineRecords, type LineRecordsMade, type LineTask } from './lineRecords.js'
import type { RegisteredSchema } from './payloadFormat.js'
import { ProtoWriter } from './protoWriter.js'

/** A table's shape without functions, which cannot be told to a thread. */
export type PlainTable = Omit<Table, 'codecs'> & { readonly types: readonly (PgType | undefined)[] }

/** Rows of one table, of which records are to be made. */
export interface LineJob {
  /** By which the table is told again; it comes with its first job. */
  readonly number: number
  readonly table: PlainTable | undefined
  /** Of that table, that were not told before. */
  readonly schemas: readonly RegisteredSchema[]
  readonly rows: PackedRows
  readonly task: LineTask
  readonly input: ArrayBuffer
  /** To write into, if it is enough. */
  readonly output: ArrayBuffer
}

export interface LineJobDone {
  readonly made: LineRecordsMade
  readonly input: ArrayBuffer
  /** The records, from its beginning on. */
  readonly output: ArrayBuffer
}

/** Of a column of a type that is not known: it is text. */
const UNKNOWN: ColumnCodec = { form: FORM_TEXT, writeJson: writeJsonString, readValue: readText }

/** Does jobs, one after another: in a thread of its own, or where there is none. */
export class LineJobs {
  readonly #avro: AvroOptions
  readonly #tables = new Map<number, { readonly table: Table; readonly records: LineRecords }>()

  constructor(avro: AvroOptions) {
    this.#avro = avro
  }

  do({ number, table: shape, schemas, rows, task, input, output }: LineJob): LineJobDone {
    if (shape !== undefined) {
      const { types, ...plain } = shape
      const codecs = types.map((type) => (type === undefined ? UNKNOWN : codecFor(type)))
      const table = new Table({ ...plain, codecs })
      this.#tables.set(number, { table, records: new LineRecords(table, this.#avro) })
    }
    const { table, records } = this.#tables.get(number)!
    for (const schema of schemas) records.learn(schema)
    const writer = new ProtoWriter(Buffer.from(output))
    const made = records.write(writer, unpackRows(rows, input, [table], readCopyRow).linesAsSent!, task)
    return { made, input, output: writer.bytes.buffer as ArrayBuffer }
  }
}
