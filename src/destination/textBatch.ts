import { CREATE, DELETE, NOTHING_OLD, OLD_KEY, RowBatch, SNAPSHOT, TRUNCATE, UPDATE } from '../core/rowBatch.js'
import type { Table } from '../core/table.js'
import { NULL_COLUMN, UNCHANGED_COLUMN } from '../core/tape.js'

export type RowOperation = 'snapshot' | 'create' | 'update'

const NUMBERS = { snapshot: SNAPSHOT, create: CREATE, update: UPDATE } as const

/** A column that a row leaves as it is. */
export const UNSENT = -1
/** A column that is NULL. */
export const NO_VALUE = -2

/** For each column of a table where its text stands in a list of texts, {@link UNSENT} or {@link NO_VALUE}. */
export type Layout = readonly number[]

/** Texts of values, null for NULL. */
export type Texts = readonly (string | null)[]

const CHUNK_BYTES = 1024 * 1024
/** Up to here a loop over ASCII costs less than a call of the encoder. */
const SHORT = 24

/** Makes a batch of rows whose values are texts, as PostgreSQL's types read them: for whoever has no received bytes. */
export class TextBatch {
  readonly rows = new RowBatch()
  readonly #tables = new Map<Table, number>()
  #chunk = Buffer.alloc(0)
  #length = 0
  #truncatedBy: string | undefined

  constructor() {
    this.rows.transactions.push({ xid: 0, commitLsn: 0n, commitTime: undefined })
  }

  get count(): number {
    return this.rows.count
  }

  /** `oldKey`: of an update that changes the key, that before it. */
  add(operation: RowOperation, table: Table, layout: Layout, texts: Texts, oldKey?: Layout): void {
    this.#makeRoom(texts)
    const newAt = this.#tuple(layout, texts)
    const old = oldKey === undefined ? NOTHING_OLD : (this.#tuple(oldKey, texts) << 2) | OLD_KEY
    this.#add(NUMBERS[operation], table, newAt, old)
  }

  /** `key` has the key's columns alone. */
  delete(table: Table, key: Layout, texts: Texts): void {
    this.#makeRoom(texts)
    this.#add(DELETE, table, -1, (this.#tuple(key, texts) << 2) | OLD_KEY)
  }

  /** What follows one another with the same `by` was one TRUNCATE of several tables. */
  truncate(table: Table, by: string): void {
    this.#makeRoom([])
    if (by !== this.#truncatedBy) this.rows.transactions.push({ xid: 0, commitLsn: 0n, commitTime: undefined })
    this.#truncatedBy = by
    this.#add(TRUNCATE, table, 0, NOTHING_OLD)
  }

  #add(operation: number, table: Table, newAt: number, old: number): void {
    let index = this.#tables.get(table)
    if (index === undefined) {
      index = this.rows.tables.push(table) - 1
      this.#tables.set(table, index)
    }
    const transaction = operation === SNAPSHOT ? -1 : this.rows.transactions.length - 1
    this.rows.add(operation, index, transaction, 0, 0, newAt, old, 0)
  }

  /** For all texts of a record, twice: they lie in one buffer. */
  #makeRoom(texts: Texts): void {
    let bytes = 0
    for (const text of texts) if (text !== null) bytes += text.length
    bytes *= 2 * 3
    if (this.#length + bytes > this.#chunk.length || this.rows.buffers.length === 0) {
      this.#chunk = Buffer.allocUnsafeSlow(Math.max(CHUNK_BYTES, bytes))
      this.#length = 0
      this.rows.use(this.#chunk)
    }
  }

  #tuple(layout: Layout, texts: Texts): number {
    const { tape } = this.rows
    tape.reserve(2 * layout.length)
    const { values } = tape
    const at = tape.length
    let next = at
    const from = this.#length
    for (const place of layout) {
      const text = place < 0 ? null : texts[place]!
      if (text === null) {
        const start = place === UNSENT ? UNCHANGED_COLUMN : NULL_COLUMN
        values[next++] = start
        values[next++] = start
      } else {
        values[next++] = this.#length
        this.#write(text)
        values[next++] = this.#length
      }
    }
    tape.length = next
    this.rows.bytes += this.#length - from
    return at
  }

  #write(text: string): void {
    const chunk = this.#chunk
    const { length } = text
    let at = this.#length
    if (length <= SHORT) {
      let i = 0
      for (; i < length; i++) {
        const code = text.charCodeAt(i)
        if (code > 127) break
        chunk[at++] = code
      }
      if (i === length) {
        this.#length = at
        return
      }
    }
    this.#length += chunk.write(text, this.#length)
  }
}
