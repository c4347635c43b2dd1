import { formatTimestamp } from '../../../codec/timestampText.js'
import { ByteWriter } from '../../../core/byteWriter.js'
import type { Transaction } from '../../../core/record.js'
import { CREATE, DELETE, SNAPSHOT, UPDATE } from '../../../core/rowBatch.js'
import type { Table } from '../../../core/table.js'
import type { Place } from '../../../source/position.js'
import type { RecordFormat } from '../recordFormat.js'

/** Where and when a run began to read rows. */
export interface ScanMoment {
  /** Behind every change that an earlier run can have written. */
  readonly lsn: bigint
  /** Milliseconds since 1970. */
  readonly time: number
}

/** Where in the stream rows are read. */
export type ReadPlace = Pick<Place, 'lsn' | 'seq' | 'end'>

/** What stands behind the columns, in pieces around what only one record has. */
interface Tail {
  /** `,"_ab_cdc_lsn":24023128`; the digits of the record's place in its transaction follow. */
  readonly cursor: Buffer
  readonly rest: Buffer
  /** Of the format debezium: what follows the place in the transaction, which stands behind `rest`, too. */
  readonly behindSeq: Buffer | undefined
  /** All of it with the line's end, for records without a place in a transaction; of the format debezium there is more to come. */
  readonly line: Buffer | undefined
}

const ESTUARY: Readonly<Record<number, string>> = {
  [SNAPSHOT]: 'Insert',
  [CREATE]: 'Insert',
  [UPDATE]: 'Update',
  [DELETE]: 'Delete',
}
const DEBEZIUM: Readonly<Record<number, string>> = { [SNAPSHOT]: 'c', [CREATE]: 'c', [UPDATE]: 'u', [DELETE]: 'd' }
/** What closes data, record and line. */
export const DATA_END = Buffer.from('}}}\n')
const DIGITS = 6
const MANY = 10 ** DIGITS - 1
const POINT = 0x2e
const ZERO = 0x30

/**
 * What stands behind the columns in a record's data, of each format: `,"_ab_cdc_lsn":…`. Made once a transaction and
 * operation (of the format debezium: and table), and kept as bytes.
 */
export class RecordTails {
  readonly #format: RecordFormat
  readonly #scan: ScanMoment
  #scanLsn: bigint
  /** Rows come in the middle of the transaction of that commit, behind this change of it; -1: they do not. */
  #scanSeq = -1
  #emittedAt = 0
  #transaction: Transaction | undefined
  /** By operation, of `#transaction` and `#table`; an undefined transaction is of rows that are read. */
  #tails: (Tail | undefined)[] = []
  #table: Table | undefined

  constructor(format: RecordFormat, scan: ScanMoment) {
    this.#format = format
    this.#scan = scan
    this.#scanLsn = scan.lsn
  }

  /**
   * Rows that are read come at this place of the stream: they count as newer than the changes before it, and than all
   * that an earlier run has written, and as older than the changes behind it. Commits begin at multiples of eight.
   */
  readAt({ lsn, seq, end }: ReadPlace): void {
    const isAmid = seq >= 0 && end === undefined && lsn > this.#scan.lsn
    const behind = isAmid ? lsn : seq >= 0 && end !== undefined ? lsn + 1n : lsn - 1n
    const at = behind > this.#scan.lsn ? behind : this.#scan.lsn
    const atSeq = isAmid ? seq : -1
    if (at === this.#scanLsn && atSeq === this.#scanSeq) return
    this.#scanLsn = at
    this.#scanSeq = atSeq
    this.#tails = []
  }

  /** When what is written now is written, in milliseconds since 1970: Estuary's records say so, in seconds. */
  emittedAt(time: number): void {
    if (this.#format === 'estuary' && Math.floor(time / 1000) !== Math.floor(this.#emittedAt / 1000)) this.#tails = []
    this.#emittedAt = time
  }

  /**
   * Writes the tail of a change, or without a transaction of a row that was read. `first`: no column stands before it,
   * so that no comma parts them; `last`: nothing more comes, it ends the line.
   */
  write(
    writer: ByteWriter,
    transaction: Transaction | undefined,
    operation: number,
    seq: number,
    table: Table,
    first: boolean,
    last: boolean,
  ): void {
    if (transaction !== this.#transaction || (table !== this.#table && this.#format === 'debezium')) {
      this.#transaction = transaction
      this.#table = table
      this.#tails = []
    }
    this.#tails[operation] ??= this.#make(operation, table)
    const { cursor, rest, behindSeq, line } = this.#tails[operation]
    const hasPlace = seq > 0 && transaction !== undefined
    if (last && !first && !hasPlace && line !== undefined) return writer.write(line)
    writer.write(first ? cursor.subarray(1) : cursor)
    if (hasPlace) writeFraction(writer, seq)
    writer.write(rest)
    if (behindSeq !== undefined) {
      writer.writeAscii(String(seq))
      writer.write(behindSeq)
    }
    if (last) writer.write(DATA_END)
  }

  #make(operation: number, table: Table): Tail {
    const transaction = this.#transaction
    const { time } = this.#scan
    const lsn = transaction?.commitLsn ?? this.#scanLsn
    const when =
      transaction === undefined
        ? `${new Date(time).toISOString().slice(0, -1)}000Z`
        : formatTimestamp(transaction.commitTime ?? 0n)
    const name = this.#format === 'airbyte' ? '_ab_cdc_lsn' : '_change_lsn'
    const [rest, behindSeq] = this.#rest(operation, when, table)
    const cursor = `,"${name}":${lsn}${transaction === undefined ? this.#scanFraction() : ''}`
    return {
      cursor: Buffer.from(cursor),
      rest: Buffer.from(rest),
      line: this.#format === 'debezium' ? undefined : Buffer.concat([Buffer.from(cursor + rest), DATA_END]),
      behindSeq: behindSeq === undefined ? undefined : Buffer.from(behindSeq),
    }
  }

  /** Behind that of the change before, and before that of the next. */
  #scanFraction(): string {
    if (this.#scanSeq < 0) return ''
    const writer = new ByteWriter(32)
    writeFraction(writer, this.#scanSeq)
    return `${writer.toBuffer()}5`
  }

  /** Behind the cursor; of the format debezium before and behind the place in the transaction. */
  #rest(operation: number, when: string, table: Table): readonly [string, string?] {
    switch (this.#format) {
      case 'airbyte':
        return [`,"_ab_cdc_updated_at":"${when}","_ab_cdc_deleted_at":${operation === DELETE ? `"${when}"` : 'null'}`]
      case 'estuary': {
        const ingestedAt = Math.floor(this.#emittedAt / 1000)
        return [`,"_change_type":"${ESTUARY[operation]}","_ingested_at":${ingestedAt}`]
      }
      case 'debezium': {
        const transaction = this.#transaction
        const name = `"schema":${JSON.stringify(table.schema)},"table":${JSON.stringify(table.name)}`
        const snapshot = operation === SNAPSHOT ? ',"snapshot":true' : ''
        const begin = `,"_meta":{"op":"${DEBEZIUM[operation]}","source":{"ts_ms":${Date.parse(`${when.slice(0, 23)}Z`)},${name}`
        // Open: `before` may follow.
        if (transaction === undefined) return [`${begin}${snapshot},"loc":[-1,0,0]}`]
        const { commitLsn, xid } = transaction
        return [`${begin}${snapshot},"loc":[${commitLsn},`, `,${commitLsn}],"txid":${xid}}`]
      }
    }
  }
}

/**
 * Behind the LSN of the commit, so that changes of one transaction have an order, too: few digits, so that those who take
 * it for a double see as many of them as can be.
 */
function writeFraction(writer: ByteWriter, seq: number): void {
  if (seq >= MANY) return writer.writeAscii(`.${MANY}${String(seq - MANY).padStart(10, '0')}`)
  writer.reserve(1 + DIGITS)
  const { bytes, length } = writer
  bytes[length] = POINT
  let left = seq
  for (let at = length + DIGITS; at > length; at--) {
    const tens = (left / 10) | 0
    bytes[at] = ZERO + left - 10 * tens
    left = tens
  }
  writer.length = length + 1 + DIGITS
}
