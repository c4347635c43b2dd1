import { CREATE, UPDATE } from '../core/rowBatch.js'
import { Batch } from '../source/batch.js'
import { StreamPosition } from '../source/position.js'
import { ContractRows } from './contractRows.js'
import { contractTable } from './contractTable.js'

/** What becomes of a key by one record. */
export interface Change {
  /** Of the column `id`. */
  readonly key: string
  /** Its `version` from then on; null: it is deleted. */
  readonly version: number | null
}

/** A batch, and what its records do, in order. */
export interface ContractBatch {
  readonly batch: Batch
  readonly changes: readonly Change[]
}

interface KeyState {
  version: number
  isGone: boolean
  wasDeleted: boolean
}

const ORIGIN = { system: '7000000000000000001', timeline: 1, database: 'contract', slot: 'contract', epoch: 1 }
const FIRST_LSN = 0x1000000n
/** From here on a double does not hold every key. */
const FIRST_KEY = 9_007_199_254_740_990n
/** One change of so many deletes its key, if that was not deleted before. */
const DELETES = 12

/**
 * Makes batches as a source does, of one table: rows of a snapshot, transactions, the table's shape told anew, nothing but
 * a position. The versions of a key count up, and each key is deleted once at most: so what becomes of it is told apart.
 */
export class ContractBatches {
  readonly #table = contractTable()
  readonly #keys = new Map<string, KeyState>()
  #lsn = FIRST_LSN
  #drawn = 12_345

  /** Rows that are there already; each a new key. */
  snapshot(count: number): ContractBatch {
    const rows = new ContractRows(this.#table)
    const changes = Array.from({ length: count }, () => this.#insert())
    for (const change of changes) rows.snapshot(rowOf(change))
    return this.#batch(rows, changes)
  }

  /** A transaction of so many changes, of few keys, with notes of so many bytes. */
  transaction(count: number, noteBytes = 20): ContractBatch {
    const rows = new ContractRows(this.#table)
    const changes: Change[] = []
    for (let seq = 0; seq < count; seq++) {
      const { operation, ...change } = this.#draw()
      changes.push(change)
      if (change.version === null) rows.delete(change.key, seq)
      else rows.row(operation, rowOf(change, noteBytes), seq)
    }
    return this.#batch(rows, changes)
  }

  /** One new row for each of these notes. */
  notes(notes: readonly string[]): ContractBatch {
    const rows = new ContractRows(this.#table)
    const changes = notes.map(() => this.#insert())
    for (const [seq, { key, version }] of changes.entries()) rows.row(CREATE, [key, `${version}`, notes[seq]!], seq)
    return this.#batch(rows, changes)
  }

  /** The table's shape, told before a row. */
  shape(): ContractBatch {
    const rows = new ContractRows(this.#table)
    const change = this.#insert()
    rows.shape()
    rows.row(CREATE, rowOf(change), 0)
    return this.#batch(rows, [change])
  }

  /** Nothing but a position. */
  idle(): ContractBatch {
    return this.#batch(new ContractRows(this.#table), [])
  }

  #batch({ rows, isStreamed }: ContractRows, changes: readonly Change[]): ContractBatch {
    this.#lsn += 0x1000n
    const [commitLsn, end] = [this.#lsn, this.#lsn + 0x30n]
    if (isStreamed) rows.transactions.push({ xid: 700, commitLsn, commitTime: 800_000_000_000_000n })
    const place = { lsn: end, seq: -1, sub: 0, end, fingerprint: 0, snapshot: undefined }
    const last = { ...place, lsn: commitLsn, seq: changes.length - 1 }
    const position = new StreamPosition(ORIGIN, isStreamed ? last : place)
    const placedAt = isStreamed ? undefined : () => position
    return { batch: new Batch(rows, position, () => {}, { placedAt }), changes }
  }

  #insert(): Change {
    const key = String(FIRST_KEY + BigInt(this.#keys.size))
    this.#keys.set(key, { version: 1, isGone: false, wasDeleted: false })
    return { key, version: 1 }
  }

  #draw(): Change & { readonly operation: number } {
    const keys = [...this.#keys]
    const drawn = keys[this.#random(keys.length + 1)]
    if (drawn === undefined) return { ...this.#insert(), operation: CREATE }
    const [key, state] = drawn
    if (!state.wasDeleted && this.#random(DELETES) === 0) {
      state.isGone = state.wasDeleted = true
      return { key, version: null, operation: UPDATE }
    }
    const operation = state.isGone ? CREATE : UPDATE
    state.isGone = false
    return { key, version: ++state.version, operation }
  }

  /** The same in each run. */
  #random(below: number): number {
    this.#drawn = (this.#drawn * 1_103_515_245 + 12_345) % 2_147_483_648
    return Math.floor((this.#drawn / 2_147_483_648) * below)
  }
}

function rowOf({ key, version }: Change, noteBytes = 20): readonly string[] {
  return [key, `${version}`, `“${'x'.repeat(noteBytes)}”\n`]
}
