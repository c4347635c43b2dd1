import { PAYLOAD_INVALID } from '../core/payloadErrors.js'
import { CREATE, DELETE, NOTHING_OLD, OLD_KEY, RowBatch, SNAPSHOT, TRUNCATE, UPDATE } from '../core/rowBatch.js'
import type { Table } from '../core/table.js'
import { NULL_COLUMN, UNCHANGED_COLUMN } from '../core/tape.js'

export type RowOperation = 'snapshot' | 'create' | 'update'

const NUMBERS = { snapshot: SNAPSHOT, create: CREATE, update: UPDATE } as const

/** A column that a row leaves as it is. */
export const UNSENT = -1
/** A column that is NULL. */
export const NO_VALUE = -2

/** For each column of a table which of the texts given it has, {@link UNSENT} or {@link NO_VALUE}. */
export type Layout = readonly number[]

const CHUNK_BYTES = 1024 * 1024
/** Up to here a loop costs less than a call. */
const SHORT = 24
const SHORT_BYTES = 64
/** Digits of an integer that a double holds. */
const MOST_DIGITS = 16
const MINUS = 0x2d
const ZERO = 0x30

/**
 * Makes a batch of rows whose values are texts, as PostgreSQL's types read them: for whoever has no received bytes. The texts
 * of a row are given first, in any order, then {@link add} or {@link delete} says which of them is which column's.
 */
export class TextBatch {
  readonly rows = new RowBatch()
  readonly #tables = new Map<Table, number>()
  readonly #chunkBytes: number
  #chunk = Buffer.alloc(0)
  #length = 0
  /** Where the texts of the row begin that is given. */
  #start = 0
  /** Start and end of each of them; the start is below 0 for NULL. */
  #spans = new Int32Array(64)
  #given = 0
  #truncatedBy: string | undefined

  /** `chunkBytes`: room that is made at a time; less than usual for a batch of a few rows. */
  constructor(chunkBytes = CHUNK_BYTES) {
    this.#chunkBytes = chunkBytes
    this.rows.transactions.push({ xid: 0, commitLsn: 0n, commitTime: undefined })
  }

  get count(): number {
    return this.rows.count
  }

  /** How many texts were given for the row. */
  get given(): number {
    return this.#given
  }

  /** The next text is NULL. */
  none(): void {
    this.#span(NULL_COLUMN, NULL_COLUMN)
  }

  /** Throws `PAYLOAD_INVALID` for a text with a NUL, which PostgreSQL has not. */
  text(text: string): void {
    const { length } = text
    this.#reserve(3 * length)
    const start = this.#length
    this.#length = this.#short(text) ? start + length : start + this.#chunk.write(text, start)
    if (length > SHORT && text.includes('\0')) throw withNul()
    this.#span(start, this.#length)
  }

  /** The same of `source[start..end)`, in UTF-8. */
  bytes(source: Buffer, start: number, end: number): void {
    this.#reserve(end - start)
    const chunk = this.#chunk
    const from = this.#length
    let to = from
    if (end - start <= SHORT_BYTES) {
      for (let p = start; p < end; p++) {
        const byte = source[p]!
        if (byte === 0) throw withNul()
        chunk[to++] = byte
      }
    } else {
      to += source.copy(chunk, to, start, end)
      if (chunk.subarray(from, to).includes(0)) throw withNul()
    }
    this.#length = to
    this.#span(from, to)
  }

  integer(value: number | bigint): void {
    if (typeof value === 'bigint') return this.text(String(value))
    this.#reserve(MOST_DIGITS + 1)
    const chunk = this.#chunk
    const start = this.#length
    let at = start
    let rest = value
    if (value < 0) {
      chunk[at++] = MINUS
      rest = -value
    }
    let digits = 1
    for (let bound = 10; rest >= bound; bound *= 10) digits++
    for (let p = at + digits - 1; p >= at; p--) {
      const tenth = Math.floor(rest / 10)
      chunk[p] = ZERO + (rest - 10 * tenth)
      rest = tenth
    }
    this.#length = at + digits
    this.#span(start, this.#length)
  }

  isNull(given: number): boolean {
    return this.#spans[2 * given]! < 0
  }

  /** Whether two of the texts given are the same. */
  isSame(one: number, other: number): boolean {
    const [a, b] = [this.#spans[2 * one]!, this.#spans[2 * other]!]
    const length = this.#spans[2 * one + 1]! - a
    if (a < 0 || b < 0) return a < 0 && b < 0
    if (length !== this.#spans[2 * other + 1]! - b) return false
    for (let i = 0; i < length; i++) if (this.#chunk[a + i] !== this.#chunk[b + i]) return false
    return true
  }

  /** One of the texts given; null is NULL. */
  textOf(given: number): string | null {
    return this.isNull(given) ? null : this.#chunk.toString('utf8', this.#spans[2 * given], this.#spans[2 * given + 1])
  }

  /** The texts given are of no row. */
  drop(): void {
    this.#length = this.#start
    this.#given = 0
  }

  /** `oldKey`: of an update that changes the key, that before it. */
  add(operation: RowOperation, table: Table, layout: Layout, oldKey?: Layout): void {
    const newAt = this.#tuple(layout)
    const old = oldKey === undefined ? NOTHING_OLD : (this.#tuple(oldKey) << 2) | OLD_KEY
    this.#add(NUMBERS[operation], table, newAt, old)
  }

  /** `key` has the key's columns alone. */
  delete(table: Table, key: Layout): void {
    this.#add(DELETE, table, -1, (this.#tuple(key) << 2) | OLD_KEY)
  }

  /** What follows one another with the same `by` was one TRUNCATE of several tables. */
  truncate(table: Table, by: string): void {
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
    this.rows.use(this.#chunk)
    this.rows.bytes += this.#length - this.#start
    this.rows.add(operation, index, transaction, 0, 0, newAt, old, 0)
    this.#start = this.#length
    this.#given = 0
  }

  #tuple(layout: Layout): number {
    const { tape } = this.rows
    tape.reserve(2 * layout.length)
    const { values } = tape
    const spans = this.#spans
    const at = tape.length
    let next = at
    for (let i = 0; i < layout.length; i++) {
      const given = layout[i]!
      if (given < 0) {
        const start = given === UNSENT ? UNCHANGED_COLUMN : NULL_COLUMN
        values[next++] = start
        values[next++] = start
      } else {
        values[next++] = spans[2 * given]!
        values[next++] = spans[2 * given + 1]!
      }
    }
    tape.length = next
    return at
  }

  #span(start: number, end: number): void {
    const at = 2 * this.#given++
    if (at === this.#spans.length) {
      const grown = new Int32Array(2 * at)
      grown.set(this.#spans)
      this.#spans = grown
    }
    this.#spans[at] = start
    this.#spans[at + 1] = end
  }

  /** ASCII alone, and not much of it. */
  #short(text: string): boolean {
    const { length } = text
    if (length > SHORT) return false
    const chunk = this.#chunk
    let at = this.#length
    for (let i = 0; i < length; i++) {
      const code = text.charCodeAt(i)
      if (code === 0) throw withNul()
      if (code > 127) return false
      chunk[at++] = code
    }
    return true
  }

  /** All texts of a row lie in one buffer: what was given of it moves along. */
  #reserve(bytes: number): void {
    if (this.#length + bytes <= this.#chunk.length) return
    const given = this.#length - this.#start
    const chunk = Buffer.allocUnsafeSlow(Math.max(this.#chunkBytes, 2 * (given + bytes)))
    this.#chunk.copy(chunk, 0, this.#start, this.#length)
    for (let i = 0; i < 2 * this.#given; i++) if (this.#spans[i]! >= 0) this.#spans[i]! -= this.#start
    this.#chunk = chunk
    this.#start = 0
    this.#length = given
  }
}

function withNul(): Error {
  return PAYLOAD_INVALID({ column: '', problem: 'a text has a NUL character, which PostgreSQL has not' })
}
