import { parseLsn } from '../../src/postgres/lsn.js'

/** `0/16B3748/0`, and `0/16B3748/0/2` for a record that has no number of its own. */
const CHANGE_ID = /^([0-9A-F]+\/[0-9A-F]+)\/(-?\d+)(?:\/(\d+))?$/
/** `0/16B3748/public.orders/7` */
const SNAPSHOT_ID = /^([0-9A-F]+\/[0-9A-F]+)(?:\.[0-9a-f]{8})?\/./

/**
 * Watches ids and order of the records: every one once, transactions as they committed. Snapshot rows may stand among
 * them, and changes that these show are left out.
 */
export class RecordOrder {
  snapshotRecords = 0
  changeRecords = 0
  transactions = 0
  readonly #ids = new Set<string>()
  readonly #problem: (text: string) => void
  #lsn = 0n
  #seq = 0
  #sub = 0

  constructor(problem: (text: string) => void) {
    this.#problem = problem
  }

  /** False when the record was there before. */
  record(operation: string, id: string): boolean {
    if (this.#ids.has(id)) {
      this.#problem(`record ${id} stands there a second time`)
      return false
    }
    this.#ids.add(id)
    if (operation === 'snapshot') this.#snapshotRow(id)
    else this.#change(id)
    return true
  }

  #snapshotRow(id: string): void {
    this.snapshotRecords++
    if (!SNAPSHOT_ID.test(id)) this.#problem(`${id} names no snapshot`)
  }

  #change(id: string): void {
    this.changeRecords++
    const [, lsnText, seqText, subText] = CHANGE_ID.exec(id) ?? []
    const lsn = parseLsn(lsnText ?? '') ?? 0n
    const seq = Number(seqText)
    const sub = Number(subText ?? 0)
    if (lsn < this.#lsn) this.#problem(`${id} stands behind a transaction that committed later`)
    if (lsn !== this.#lsn) {
      this.transactions++
      this.#seq = -1
      this.#sub = 0
    }
    const follows = seq === this.#seq ? sub > this.#sub : seq > this.#seq
    if (!follows) this.#problem(`${id} does not follow ${this.#seq}/${this.#sub}`)
    this.#lsn = lsn
    this.#seq = seq
    this.#sub = sub
  }
}
