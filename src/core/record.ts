import type { Table } from './table.js'

export type Operation = 'snapshot' | 'create' | 'update' | 'delete' | 'truncate' | 'schema' | 'message'

/** The transaction a change belongs to. */
export interface Transaction {
  /** 32 bits, as the server writes it; 0 for a logical message outside any transaction. */
  readonly xid: number
  /** Where the commit record begins (Begin's `final_lsn`); for a message outside a transaction where its record ends. */
  readonly commitLsn: bigint
  /** Microseconds since 2000-01-01 UTC, PostgreSQL's epoch; undefined outside a transaction. */
  readonly commitTime: bigint | undefined
  /**
   * Only of a row that long polling found: the xid of its transaction, or savepoint, in 64 bits. When and where that
   * committed is not known then: `commitLsn` is 0.
   */
  readonly polledXid?: number
}

/**
 * Where to resume after a record or a batch. Opaque: keep what `toJSON` gives (or `JSON.stringify`), and hand it back.
 * Positions of one run are unique and strictly increasing.
 */
export interface Position {
  toJSON(): PositionJson
  /** The same as text, for logs. */
  toString(): string
}

/** A position as it is stored. Versioned; the fields are for this engine only. */
export interface PositionJson {
  readonly version: 1
  readonly [field: string]: unknown
}

/**
 * One row as the server sent it, over the bytes received: nothing is decoded before it is asked for. A view stays valid
 * as long as it is kept, and keeps about 64 kB of the stream alive while it is: copy what is needed for longer.
 */
export interface RowView<Row extends object = Record<string, unknown>> {
  /**
   * All columns as JavaScript values: int8 as `bigint`, numeric and timestamps as `string`, json parsed, bytea as
   * `Uint8Array`. Columns that are unchanged and were not sent are left out: see `unchanged`.
   */
  toObject(): Row
  /** One column's value; undefined when it is unchanged and was not sent. Throws when there is no such column. */
  get<Name extends keyof Row & string>(name: Name): Row[Name] | undefined
  /** One column in the server's text form, nothing converted; null is NULL, undefined as for `get`. */
  text(name: keyof Row & string): string | null | undefined
  /** The row as JSON, as the server's `to_json` would print it, in UTF-8. */
  toJsonBytes(): Uint8Array
}

/**
 * What a batch of snapshot rows says of its table: of the keys behind `after`, up to and including `upTo`, in the server's
 * order, there were these rows and no others. So a consumer that keeps rows by key knows which are gone.
 */
export interface ChunkRange {
  readonly schema: string
  readonly name: string
  /** Columns of the key, in order. */
  readonly key: readonly string[]
  /** The text forms of the key's columns; undefined: from the table's beginning. */
  readonly after: readonly string[] | undefined
  /** Undefined: to the table's end. */
  readonly upTo: readonly string[] | undefined
  /** The consumer has had the table's rows before. */
  readonly again: boolean
}

interface Common<Name extends string> {
  readonly table: Table & { readonly name: Name }
  /** Where to resume after this record. */
  readonly position: Position
  /** The same on every redelivery: `<commit LSN>/<seq>` or `<snapshot id>/<table>/<key>`. */
  readonly id: string
}

interface InTransaction {
  readonly transaction: Transaction
  /** Index in the transaction of what the server sent, before any filtering; -1 before its first row. */
  readonly seq: number
  /** 0 for rows and truncates; messages and schema changes have the `seq` before them and a `sub` above 0. */
  readonly sub: number
}

export interface SnapshotRecord<Name extends string, Row extends object> extends Common<Name> {
  readonly operation: 'snapshot'
  /** The key columns; undefined when the table has no key. */
  readonly key: Partial<Row> | undefined
  readonly before: undefined
  readonly after: RowView<Row>
}

export interface CreateRecord<Name extends string, Row extends object> extends Common<Name>, InTransaction {
  readonly operation: 'create'
  readonly key: Partial<Row> | undefined
  readonly before: undefined
  readonly after: RowView<Row>
  /** As of an update: of a row that an UPDATE brought over a publication's row filter. Else empty. */
  readonly unchanged: readonly string[]
}

export interface UpdateRecord<Name extends string, Row extends object> extends Common<Name>, InTransaction {
  readonly operation: 'update'
  readonly key: Partial<Row> | undefined
  /** The key before, when this update changed it. */
  readonly oldKey: Partial<Row> | undefined
  /** The whole old row; only with REPLICA IDENTITY FULL. */
  readonly before: RowView<Row> | undefined
  readonly after: RowView<Row>
  /** Columns whose TOASTed value did not change and was not sent: neither null nor anything else. */
  readonly unchanged: readonly string[]
}

export interface DeleteRecord<Name extends string, Row extends object> extends Common<Name>, InTransaction {
  readonly operation: 'delete'
  readonly key: Partial<Row> | undefined
  readonly before: RowView<Row> | undefined
  readonly after: undefined
}

export interface TruncateRecord<Name extends string> extends Common<Name>, InTransaction {
  readonly operation: 'truncate'
  readonly cascade: boolean
  readonly restartIdentity: boolean
}

/** A table's shape changed since this run knew it: `table` is the new one. Comes before the first row of that shape. */
export interface SchemaRecord<Name extends string> extends Common<Name>, InTransaction {
  readonly operation: 'schema'
}

/** `pg_logical_emit_message`; only when `messages` asks for it. */
export interface MessageRecord extends InTransaction {
  readonly operation: 'message'
  readonly table: undefined
  readonly prefix: string
  readonly content: Uint8Array
  readonly transactional: boolean
  readonly position: Position
  readonly id: string
}

/** One row change of a table called `Name`. */
export type RowRecord<Name extends string = string, Row extends object = Record<string, unknown>> =
  | SnapshotRecord<Name, Row>
  | CreateRecord<Name, Row>
  | UpdateRecord<Name, Row>
  | DeleteRecord<Name, Row>

/** Everything a source yields; narrow it by `operation`, and by `isOf(record, 'orders')` to one table's row type. */
export type ChangeRecord<Tables extends object = Record<string, Record<string, unknown>>> =
  | { [Name in keyof Tables & string]: RowRecord<Name, Tables[Name] & object> }[keyof Tables & string]
  | TruncateRecord<keyof Tables & string>
  | SchemaRecord<keyof Tables & string>
  | MessageRecord

/** Whether `record` is a row change of `table` (its name without schema), so that its rows have that table's type. */
export function isOf<Tables extends object, Name extends keyof Tables & string>(
  record: ChangeRecord<Tables>,
  table: Name,
): record is Extract<ChangeRecord<Tables>, RowRecord<Name, Tables[Name] & object>> {
  switch (record.operation) {
    case 'snapshot':
    case 'create':
    case 'update':
    case 'delete':
      return record.table.name === table
    default:
      return false
  }
}
