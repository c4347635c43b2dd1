import type { AvroOptions } from '../../../codec/avro/index.js'
import type { RowPlace } from '../../../core/rowBatch.js'
import type { Table } from '../../../core/table.js'
import type { SchemaReference } from '../schema/schemaService.js'
import type { ProtoWriter } from './protoWriter.js'

/** A tuple on a batch's tape, with another one that has what it lacks (NO_FALLBACK: none). */
export interface Tuple {
  readonly bytes: Buffer
  readonly view: DataView
  readonly tape: Int32Array
  readonly at: number
  readonly fallback: number
}

/** No such part in the record. */
export const NO_PART = -1

/** What a record tells of a row: where on the tape the tuple of each part lies. */
export interface RowParts {
  readonly bytes: Buffer
  readonly view: DataView
  readonly tape: Int32Array
  readonly keyAt: number
  readonly keyFallback: number
  readonly beforeAt: number
  /** Of the row before only the key is known. */
  readonly beforeIsKey: boolean
  readonly afterAt: number
  readonly afterFallback: number
}

/** How the columns of a row become an `opencdc.v1.Data`: chosen once for a connector. */
export interface PayloadFormat {
  /** Compiles how rows of this shape are written; called once for each shape, before its first record. */
  compile(table: Table): TableFormat
  /** Set where key and row both are Avro: then what it takes to write rows of a table is told by `TableFormat.schemas`. */
  readonly avro?: AvroOptions | undefined
}

/** A schema of a table's keys or rows, and where the host's registry has it. */
export interface RegisteredSchema {
  readonly part: 'key' | 'payload'
  readonly schema: string
  readonly reference: SchemaReference
}

/** The schemas of a table that were registered. */
export interface TableSchemas {
  /** What this row is written with, as nearly all of them are. */
  register(row: RowPlace): Promise<void>
  /** In the order in which they were; more come behind the last. */
  readonly registered: readonly RegisteredSchema[]
}

export interface TableFormat {
  /**
   * To be called before a record is written, for all of its parts. A promise: nothing can be written yet, and once it is
   * fulfilled this is to be called again.
   */
  choose(parts: RowParts): Promise<void> | undefined
  /** Metadata of the record that was chosen for, such as where its schema is: the same object as long as they are the same. */
  readonly metadata: Readonly<Record<string, string>>
  readonly schemas?: TableSchemas | undefined
  /** Writes the fields of a `Data` with the key's columns. */
  writeKey(writer: ProtoWriter, tuple: Tuple): void
  /** The same with the columns that consumers see; of what is unchanged and was not sent nothing. */
  writeRow(writer: ProtoWriter, tuple: Tuple): void
  /** The same for an old tuple of which only the key is known. */
  writeOldKey(writer: ProtoWriter, tuple: Tuple): void
}

/** Of formats that have a place for everything, and no schema. */
export const WITHOUT_SCHEMA: Pick<TableFormat, 'choose' | 'metadata'> = { choose: () => undefined, metadata: {} }
