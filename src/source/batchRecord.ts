import { keyChanged, keyFallback, writeKeyText } from '../codec/key.js'
import { TapeRow } from '../codec/rowView.js'
import { ByteWriter } from '../core/byteWriter.js'
import type { Operation, Position, Transaction } from '../core/record.js'
import {
  DELETE,
  HEAD,
  HEAD_BUFFER,
  HEAD_NEW,
  HEAD_OLD,
  HEAD_OPERATION,
  HEAD_SEQ,
  HEAD_SUB,
  HEAD_TABLE,
  MESSAGE,
  OLD_ROW,
  type RowBatch,
  TRUNCATE,
  UPDATE,
} from '../core/rowBatch.js'
import type { Table } from '../core/table.js'
import { formatLsn } from '../postgres/lsn.js'
import { CASCADE, RESTART_IDENTITY } from '../postgres/pgoutput/handler.js'

const OPERATIONS: readonly Operation[] = ['snapshot', 'create', 'update', 'delete', 'truncate', 'schema', 'message']

/** One record of a batch, read from its numbers when asked. Its public types are the `ChangeRecord` union. */
export class BatchRecord {
  readonly operation: Operation
  readonly table: Table | undefined
  readonly #rows: RowBatch
  readonly #head: number
  readonly #positionOf: () => Position

  constructor(rows: RowBatch, index: number, positionOf: () => Position) {
    this.#rows = rows
    this.#head = index * HEAD
    this.#positionOf = positionOf
    this.operation = OPERATIONS[this.#number(HEAD_OPERATION)]!
    this.table = rows.tables[this.#number(HEAD_TABLE)]
  }

  get position(): Position {
    return this.#positionOf()
  }

  get transaction(): Transaction | undefined {
    return this.operation === 'snapshot' ? undefined : this.#transaction
  }

  get seq(): number {
    return this.#number(HEAD_SEQ)
  }

  get sub(): number {
    return this.#number(HEAD_SUB)
  }

  get id(): string {
    if (this.operation === 'snapshot') {
      const { schema, name } = this.table!
      const { polledXid = '' } = this.#transaction ?? {}
      return `${this.#rows.snapshotId}${polledXid}/${schema}.${name}/${this.#keyText()}`
    }
    const { commitLsn, polledXid } = this.transaction!
    if (polledXid !== undefined) return `${polledXid}/${this.table!.schema}.${this.table!.name}/${this.#keyText()}`
    const id = `${formatLsn(commitLsn)}/${this.seq}`
    return this.sub > 0 ? `${id}/${this.sub}` : id
  }

  get key(): Record<string, unknown> | undefined {
    if (!this.#isRow || this.table!.key.length === 0) return undefined
    if (this.operation === 'delete') return this.#keyOf(this.#row(this.#oldAt))
    return this.#keyOf(this.#row(this.#newAt, keyFallback(this.#oldAt, this.#oldKind)))
  }

  get oldKey(): Record<string, unknown> | undefined {
    if (this.#number(HEAD_OPERATION) !== UPDATE || this.table!.key.length === 0) return undefined
    const { values } = this.#rows.tape
    if (!keyChanged(this.table!, this.#bytes, values, this.#newAt, this.#oldAt, this.#oldKind)) return undefined
    return this.#keyOf(this.#row(this.#oldAt))
  }

  get before(): TapeRow | undefined {
    return this.#isRow && this.#hasOldRow ? this.#row(this.#oldAt) : undefined
  }

  get after(): TapeRow | undefined {
    if (!this.#isRow || this.operation === 'delete') return undefined
    return this.#hasOldRow ? this.#row(this.#newAt, this.#oldAt) : this.#row(this.#newAt)
  }

  get unchanged(): readonly string[] {
    return this.operation === 'update' || this.operation === 'create' ? this.after!.unchanged() : []
  }

  get cascade(): boolean | undefined {
    return this.#truncateOption(CASCADE)
  }

  get restartIdentity(): boolean | undefined {
    return this.#truncateOption(RESTART_IDENTITY)
  }

  get prefix(): string | undefined {
    return this.#message?.prefix
  }

  get content(): Uint8Array | undefined {
    return this.#message?.content
  }

  get transactional(): boolean | undefined {
    return this.#message?.transactional
  }

  /** Of a snapshot's row only where long polling found it. */
  get #transaction(): Transaction | undefined {
    return this.#rows.transactionAt(this.#head)
  }

  get #isRow(): boolean {
    return this.#number(HEAD_OPERATION) <= DELETE
  }

  get #bytes(): Uint8Array {
    return this.#rows.buffers[this.#number(HEAD_BUFFER)]!
  }

  get #newAt(): number {
    return this.#number(HEAD_NEW)
  }

  get #oldAt(): number {
    return this.#number(HEAD_OLD) >> 2
  }

  get #oldKind(): number {
    return this.#number(HEAD_OLD) & 3
  }

  /** The server sent the whole row before, and says so of every partition too. */
  get #hasOldRow(): boolean {
    return this.#oldKind === OLD_ROW && this.table!.replicaIdentity === 'full'
  }

  get #message() {
    return this.#number(HEAD_OPERATION) === MESSAGE ? this.#rows.messages[this.#newAt] : undefined
  }

  #number(field: number): number {
    return this.#rows.heads[this.#head + field]!
  }

  #row(at: number, fallback?: number): TapeRow {
    return new TapeRow(this.table!, this.#bytes, this.#rows.tape.values, at, fallback)
  }

  #keyOf(row: TapeRow): Record<string, unknown> {
    const { columns, key } = this.table!
    return Object.fromEntries(key.map((column) => [columns[column]!.name, row.value(column)]))
  }

  #keyText(): string {
    const writer = new ByteWriter(256)
    writeKeyText(writer, this.table!, this.#bytes, this.#rows.tape.values, this.#newAt)
    return JSON.parse(`"${writer.toBuffer().toString()}"`) as string
  }

  #truncateOption(bit: number): boolean | undefined {
    return this.#number(HEAD_OPERATION) === TRUNCATE ? (this.#newAt & bit) !== 0 : undefined
  }
}
