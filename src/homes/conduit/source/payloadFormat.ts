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
}

export interface TableFormat {
  /**
   * To be called before a record is written, for all of its parts. A promise: nothing can be written yet, and once it is
   * fulfilled this is to be called again.
   */
  choose(parts: RowParts): Promise<void> | undefined
  /** Metadata of the record that was chosen for, such as where its schema is: the same object as long as they are the same. */
  readonly metadata: Readonly<Record<string, string>>
  /** Writes the fields of a `Data` with the key's columns. */
  writeKey(writer: ProtoWriter, tuple: Tuple): void
  /** The same with the columns that consumers see; of what is unchanged and was not sent nothing. */
  writeRow(writer: ProtoWriter, tuple: Tuple): void
  /** The same for an old tuple of which only the key is known. */
  writeOldKey(writer: ProtoWriter, tuple: Tuple): void
}

/** Of formats that have a place for everything, and no schema. */
export const WITHOUT_SCHEMA: Pick<TableFormat, 'choose' | 'metadata'> = { choose: () => undefined, metadata: {} }
