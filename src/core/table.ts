import type { ByteWriter } from './byteWriter.js'
import type { UserType } from './userType.js'

/** Writes the JSON form of the value in text form at `bytes[start..end)`. */
export type WriteJson = (writer: ByteWriter, bytes: Uint8Array, start: number, end: number) => void

/** Makes a JavaScript value of the text form at `bytes[start..end)`. */
export type ReadValue = (bytes: Uint8Array, start: number, end: number) => unknown

/** How the values of one column are read: compiled once a type, by `codec/`. */
export interface ColumnCodec {
  /** Which of the fast forms of `codec/json/form.ts` writes the type, so that a row's loop is a switch, not calls. */
  readonly form: number
  readonly writeJson: WriteJson
  readonly readValue: ReadValue
}

export interface Column {
  readonly name: string
  /** OID of the column's declared type (a domain's own OID, not its base's). */
  readonly typeOid: number
  readonly typmod: number
  /** As `format_type` prints it: `numeric(10,2)`, `character varying(20)`, `inventory.status[]`. */
  readonly typeName: string
  readonly notNull: boolean
  readonly generated: boolean
  /** @internal What it takes to make it elsewhere; undefined where the catalog was not asked. */
  readonly origin?: ColumnOrigin | undefined
}

/** What it takes to make a column elsewhere. */
export interface ColumnOrigin {
  /** pg_attribute.attnum: stays when the column is renamed; undefined: there is no column of its name any more. */
  readonly number: number | undefined
  /** Text of what rows have that are older than the column, null for NULL; undefined: only the rows themselves tell. */
  readonly before: string | null | undefined
  /** The types that it is made of and that are none of the server's own, parts before wholes. */
  readonly types: readonly UserType[]
}

/** A column of the source's catalog. */
export interface PresentColumn {
  readonly name: string
  readonly number: number
  readonly typeName: string
  /** As {@link ColumnOrigin.before}. */
  readonly before: string | null | undefined
}

export type ReplicaIdentity = 'default' | 'nothing' | 'full' | 'index'

/**
 * One shape of a relation: immutable; when the shape changes there is a new object. `columns` stand in the server's
 * order, as both the snapshot's rows and the stream's tuples have them.
 */
export class Table {
  readonly oid: number
  readonly schema: string
  readonly name: string
  readonly columns: readonly Column[]
  readonly codecs: readonly ColumnCodec[]
  /** Indexes into `columns` of the columns that consumers see, ascending; all, unless a selection was asked for. */
  readonly selected: readonly number[]
  /** Indexes into `columns` of the key's columns, in key order. Empty: the table has no key. */
  readonly key: readonly number[]
  readonly replicaIdentity: ReplicaIdentity
  /** @internal An index of the source's keeps two rows from having the same key; false: perhaps, as it is not known. */
  readonly keyIsUnique: boolean
  /** @internal All columns that the table had when this was compiled, which may be later than the shape is. */
  readonly present: readonly PresentColumn[] | undefined

  constructor(shape: {
    readonly oid: number
    readonly schema: string
    readonly name: string
    readonly columns: readonly Column[]
    readonly codecs: readonly ColumnCodec[]
    readonly selected: readonly number[]
    readonly key: readonly number[]
    readonly replicaIdentity: ReplicaIdentity
    readonly keyIsUnique?: boolean | undefined
    readonly present?: readonly PresentColumn[] | undefined
  }) {
    this.oid = shape.oid
    this.schema = shape.schema
    this.name = shape.name
    this.columns = shape.columns
    this.codecs = shape.codecs
    this.selected = shape.selected
    this.key = shape.key
    this.replicaIdentity = shape.replicaIdentity
    this.keyIsUnique = shape.keyIsUnique ?? false
    this.present = shape.present
  }
}
