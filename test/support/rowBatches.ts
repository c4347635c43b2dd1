import {
  CREATE,
  DELETE,
  NO_OLD,
  OLD_KEY,
  OLD_ROW,
  RowBatch,
  SNAPSHOT,
  TRUNCATE,
  UPDATE,
} from '../../src/core/rowBatch.js'
import { type ReplicaIdentity, Table } from '../../src/core/table.js'
import { NULL_COLUMN, UNCHANGED_COLUMN } from '../../src/core/tape.js'

/** A value as text, NULL, or unchanged and not sent. */
export type Sent = string | null | undefined

/** A table of text columns. */
export function textTable(
  name: string,
  columns: readonly string[],
  key: readonly number[],
  replicaIdentity: ReplicaIdentity = 'default',
): Table {
  return new Table({
    oid: 1,
    schema: 'public',
    name,
    columns: columns.map((column) => {
      return { name: column, typeOid: 25, typmod: -1, typeName: 'text', notNull: false, generated: false }
    }),
    codecs: [],
    selected: columns.map((_, index) => index),
    key,
    replicaIdentity,
  })
}

/** Makes batches as the source does, of rows that a test writes down. */
export class BatchBuilder {
  readonly batch = new RowBatch()

  constructor(tables: readonly Table[]) {
    this.batch.tables.push(...tables)
    this.batch.transactions.push({ xid: 1, commitLsn: 1n, commitTime: 0n })
  }

  snapshot(row: readonly Sent[], table = 0): this {
    return this.#add(SNAPSHOT, table, row, undefined, NO_OLD)
  }

  create(row: readonly Sent[], table = 0): this {
    return this.#add(CREATE, table, row, undefined, NO_OLD)
  }

  /** `old`: with the key alone (others null), as the server sends it when the key changes; or the whole row. */
  update(row: readonly Sent[], old?: readonly Sent[], kind: 'key' | 'row' = 'key', table = 0): this {
    return this.#add(UPDATE, table, row, old, old === undefined ? NO_OLD : kind === 'key' ? OLD_KEY : OLD_ROW)
  }

  delete(old: readonly Sent[], table = 0): this {
    return this.#add(DELETE, table, undefined, old, OLD_KEY)
  }

  truncate(table = 0, options = 0): this {
    this.batch.add(TRUNCATE, table, 0, 0, 0, options, (-1 << 2) | NO_OLD, 0)
    return this
  }

  #add(
    operation: number,
    table: number,
    row: readonly Sent[] | undefined,
    old: readonly Sent[] | undefined,
    oldKind: number,
  ): this {
    const { batch } = this
    batch.use(Buffer.from([...(old ?? []), ...(row ?? [])].map((value) => value ?? '').join('')))
    let place = 0
    const tuple = (values: readonly Sent[]): number => {
      const at = batch.tape.length
      batch.tape.reserve(2 * values.length)
      for (const value of values) {
        const length = Buffer.byteLength(value ?? '')
        const start = value === undefined ? UNCHANGED_COLUMN : value === null ? NULL_COLUMN : place
        batch.tape.values[batch.tape.length++] = start
        batch.tape.values[batch.tape.length++] = start < 0 ? start : place + length
        place += length
      }
      return at
    }
    const oldAt = old === undefined ? -1 : tuple(old)
    const newAt = row === undefined ? -1 : tuple(row)
    batch.add(operation, table, operation === SNAPSHOT ? -1 : 0, 0, 0, newAt, (oldAt << 2) | oldKind, 0)
    return this
  }
}
