import type { Table } from '../../../core/table.js'
import type { ProtoWriter } from './protoWriter.js'

/** A tuple on a batch's tape, with another one that has what it lacks (NO_FALLBACK: none). */
export interface Tuple {
  readonly bytes: Buffer
  readonly view: DataView
  readonly tape: Int32Array
  readonly at: number
  readonly fallback: number
}

/** How the columns of a row become an `opencdc.v1.Data`: chosen once for a connector. */
export interface PayloadFormat {
  /** Compiles how rows of this shape are written; called once for each shape, before its first record. */
  compile(table: Table): TableFormat | Promise<TableFormat>
}

export interface TableFormat {
  /** Metadata of every record of the table, such as where its schema is. */
  readonly metadata: Readonly<Record<string, string>>
  /** Writes the fields of a `Data` with the key's columns. */
  writeKey(writer: ProtoWriter, tuple: Tuple): void
  /** The same with the columns that consumers see; of what is unchanged and was not sent nothing. */
  writeRow(writer: ProtoWriter, tuple: Tuple): void
  /** The same for an old tuple of which only the key is known. */
  writeOldKey(writer: ProtoWriter, tuple: Tuple): void
}
