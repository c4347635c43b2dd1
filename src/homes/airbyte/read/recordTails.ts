import { formatTimestamp } from '../../../codec/timestampText.js'
import type { Transaction } from '../../../core/record.js'
import { CREATE, DELETE, SNAPSHOT, UPDATE } from '../../../core/rowBatch.js'
import type { Place } from '../../../source/position.js'
import type { RecordFormat } from '../recordFormat.js'

/** Where and when a run began to read rows. */
export interface ScanMoment {
  /** Behind every change that an earlier run can have written. */
  readonly lsn: bigint
  /** Milliseconds since 1970. */
  readonly time: number
}

const ESTUARY: Readonly<Record<number, string>> = {
  [SNAPSHOT]: 'Insert',
  [CREATE]: 'Insert',
  [UPDATE]: 'Update',
  [DELETE]: 'Delete',
}
const DEBEZIUM: Readonly<Record<number, string>> = { [SNAPSHOT]: 'c', [CREATE]: 'c', [UPDATE]: 'u', [DELETE]: 'd' }
const DIGITS = 6
const MANY = 10 ** DIGITS - 1

/**
 * What stands behind the columns in a record's data, of each format: `,"_ab_cdc_lsn":…`. Two parts around what only the
 * record has, its cursor; made once a transaction and operation.
 */
export class RecordTails {
  readonly #format: RecordFormat
  readonly #scan: ScanMoment
  #transaction: Transaction | undefined
  #lsn = ''
  #tails = new Map<number, Buffer>()
  #scanLsn: bigint
  readonly #scanTails = new Map<string, Buffer>()

  constructor(format: RecordFormat, scan: ScanMoment) {
    this.#format = format
    this.#scan = scan
    this.#scanLsn = scan.lsn
  }

  /**
   * Rows that are read come at this place of the stream: they count as newer than the changes before it, and than all
   * that an earlier run has written, and as older than the changes behind it. Commits begin at multiples of eight.
   */
  readAt({ lsn, seq, end }: Pick<Place, 'lsn' | 'seq' | 'end'>): void {
    const behind = seq >= 0 && end !== undefined ? lsn + 1n : lsn - 1n
    const at = behind > this.#scan.lsn ? behind : this.#scan.lsn
    if (at === this.#scanLsn) return
    this.#scanLsn = at
    this.#scanTails.clear()
  }

  /** Of a row that was read. */
  scanned(schema: string, table: string): Buffer {
    const name = this.#format === 'debezium' ? `${schema}.${table}` : ''
    const known = this.#scanTails.get(name)
    if (known !== undefined) return known
    const { time } = this.#scan
    const when = `${new Date(time).toISOString().slice(0, -1)}000Z`
    const rest = this.#rest(SNAPSHOT, when, time, { schema, table, loc: [-1, 0, 0], xid: undefined })
    const tail = Buffer.from(`,"${this.#cursor}":${this.#scanLsn}${rest}`)
    this.#scanTails.set(name, tail)
    return tail
  }

  /** Of a change: what stands before its cursor, the cursor, what stands behind. */
  changed(transaction: Transaction, operation: number, seq: number, schema: string, table: string): string | Buffer {
    if (transaction !== this.#transaction) {
      this.#transaction = transaction
      this.#lsn = `,"${this.#cursor}":${transaction.commitLsn}`
      this.#tails = new Map()
    }
    // Debezium's names the table, and the place within the transaction.
    if (this.#format === 'debezium') return this.#lsn + fraction(seq) + this.#restOf(operation, seq, schema, table)
    if (seq > 0) return this.#lsn + fraction(seq) + this.#restOf(operation, seq, schema, table)
    const known = this.#tails.get(operation)
    if (known !== undefined) return known
    const tail = Buffer.from(this.#lsn + this.#restOf(operation, seq, schema, table))
    this.#tails.set(operation, tail)
    return tail
  }

  get #cursor(): string {
    return this.#format === 'airbyte' ? '_ab_cdc_lsn' : '_change_lsn'
  }

  #restOf(operation: number, seq: number, schema: string, table: string): string {
    const { commitTime, commitLsn, xid } = this.#transaction!
    const when = formatTimestamp(commitTime ?? 0n)
    const loc = [Number(commitLsn), seq, Number(commitLsn)]
    return this.#rest(operation, when, Date.parse(`${when.slice(0, 23)}Z`), { schema, table, loc, xid })
  }

  #rest(
    operation: number,
    when: string,
    time: number,
    source: {
      readonly schema: string
      readonly table: string
      readonly loc: readonly number[]
      readonly xid: number | undefined
    },
  ): string {
    switch (this.#format) {
      case 'airbyte':
        return `,"_ab_cdc_updated_at":"${when}","_ab_cdc_deleted_at":${operation === DELETE ? `"${when}"` : 'null'}`
      case 'estuary':
        return `,"_change_type":"${ESTUARY[operation]}","_ingested_at":${Math.floor(Date.now() / 1000)}`
      case 'debezium': {
        const { schema, table, loc, xid } = source
        const snapshot = operation === SNAPSHOT ? { snapshot: true } : {}
        const meta = { op: DEBEZIUM[operation], source: { ts_ms: time, schema, table, ...snapshot, loc, txid: xid } }
        // Open: `before` may follow.
        return `,"_meta":${JSON.stringify(meta).slice(0, -1)}`
      }
    }
  }
}

/**
 * Behind the LSN of the commit, so that changes of one transaction have an order, too: few digits, so that those who take
 * it for a double see as many of them as can be.
 */
function fraction(seq: number): string {
  if (seq <= 0) return ''
  if (seq < MANY) return `.${String(seq).padStart(DIGITS, '0')}`
  return `.${MANY}${String(seq - MANY).padStart(10, '0')}`
}
