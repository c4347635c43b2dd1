import type { Transaction } from '../../core/record.js'
import type { Table } from '../../core/table.js'
import { formatLsn, type Lsn } from '../../postgres/lsn.js'
import { MAX_APART, withoutKey } from './apart.js'
import { type KeyOrder, keyId } from './keyOrder.js'
import { COMING, EXACT, GONE, HELD, isShown, KeySides, type KeySidesOptions, SHOWN, type Side } from './keySides.js'
import { EVERY_KEY, isOvertaken, NOTHING_OVERTAKEN, overtake, overtakenAfter } from './overtaken.js'
import type { NextReading, TableProgress } from './progress.js'
import { lastUntil, readingsOf, settled } from './readings.js'
import { advance, firstUnread, forget, isOver, type KeyText, type Reading, UNREAD } from './stretches.js'
import { DROP, EMIT, ONLY_CREATE, ONLY_DELETE, type ScannedChange, type Verdict, WAIT } from './verdict.js'

export interface TableScanOptions extends KeySidesOptions {
  /** The records have another key than that by which the table is read: rows of two of these may be one record. */
  readonly otherKey?: boolean | undefined
  /** The row of this key is to be read by itself, in a snapshot that shows the transaction. */
  readonly onApart: (key: KeyText, transaction: Transaction) => void
  /** The progress is another one by a change that was judged. */
  readonly onOvertaken: () => void
}

/**
 * One table whose rows are read while its changes come (design section 4): decides for each change whether the rows that
 * are read show its effect. Never by comparing LSNs of rows: a transaction that was open when a chunk was read has lower
 * ones, and would be lost.
 */
export class TableScan {
  readonly #options: TableScanOptions
  readonly #sides: KeySides
  #progress: TableProgress
  #table: Table | undefined
  #columns: readonly number[] | undefined

  constructor(progress: TableProgress, options: TableScanOptions) {
    this.#progress = progress
    this.#options = options
    this.#sides = new KeySides(options)
  }

  get progress(): TableProgress {
    return this.#progress
  }

  get order(): KeyOrder {
    return this.#options.order
  }

  /** Where the key's columns stand in this shape of the table; undefined where it has not all of them. */
  columnsIn(table: Table): readonly number[] | undefined {
    if (table !== this.#table) {
      const columns = this.#progress.key.map((name) => table.columns.findIndex((column) => column.name === name))
      this.#columns = columns.includes(-1) ? undefined : columns
      this.#table = table
    }
    return this.#columns
  }

  get isWhole(): boolean {
    return this.#progress.key.length === 0
  }

  /** Something is still to be read. */
  get unread(): boolean {
    return firstUnread(this.#progress.stretches) >= 0
  }

  /** What it was asked to be read once more is still to begin. */
  get next(): NextReading | undefined {
    return this.#progress.next
  }

  /** To be read once more when it is over: changes that its rows have shown must not come behind that. */
  wants(next: NextReading): void {
    this.#change({ next })
  }

  /** What the readings kept until `until`, or less, show commits before `lsn`. */
  settles(until: Lsn, lsn: Lsn): void {
    this.#change(settled(this.#progress, until, lsn))
  }

  /** Nothing is to be read, and nothing to be decided any more. */
  get over(): boolean {
    const { stretches, apart } = this.#progress
    return isOver(stretches) && apart.length === 0
  }

  /** The snapshot of the next chunk is about to be taken: until it is known nothing can be decided of unread keys. */
  asks(): void {
    this.#sides.asks()
  }

  /** The first unread stretch is read in this snapshot from now on. */
  reads(reading: Reading): void {
    this.#sides.reads(firstUnread(this.#progress.stretches), reading)
  }

  /** The chunk is over, all of what was read of it was delivered, or it is given up. */
  rests(): void {
    this.#sides.rests()
  }

  /** Rows up to `to` were delivered; undefined: there are no more in the stretch. */
  delivered(to: KeyText | undefined): void {
    const { chunk } = this.#sides
    if (chunk === undefined) return
    const stretches = advance(this.#progress.stretches, chunk.stretch, to, chunk.reading)
    this.#change({ stretches })
    if (to === undefined) {
      this.#change({ begun: false })
      this.#sides.rests()
      return
    }
    // The stretch has one more before it, if its beginning is not a part of that.
    this.#sides.moves(firstUnread(stretches))
  }

  /** Rows of a table that is read whole were delivered, by whichever way: there is no going on behind them. */
  begun(): void {
    if (!this.#progress.begun) this.#change({ begun: true })
  }

  /** The row of `key` was read by itself, and delivered if it was `found`. */
  deliveredApart(key: KeyText, read: Reading, found: boolean): void {
    const { apart, overtaken } = this.#progress
    this.#change({
      apart: [...withoutKey(apart, key), { key, read, found }],
      // What followed the delete shows in that row.
      overtaken: overtaken === EVERY_KEY ? overtaken : withoutKey(overtaken, key),
    })
  }

  /** The stream has reached `lsn`. */
  passed(lsn: Lsn): void {
    const { stretches, apart, overtaken } = this.#progress
    const kept = forget(stretches, lsn)
    if (kept !== stretches) {
      this.#change({ stretches: kept })
      this.#sides.moves(firstUnread(kept))
      this.#sides.forgets()
    }
    if (apart.some(({ read }) => read.until <= lsn)) {
      this.#change({ apart: apart.filter(({ read }) => read.until > lsn) })
    }
    const still = overtakenAfter(overtaken, lsn)
    if (still !== overtaken) this.#change({ overtaken: still })
  }

  /** What becomes of a change. It leaves no trace when it has to wait. */
  judge(change: ScannedChange, transaction: Transaction): Verdict {
    const { operation, oldKey, newKey, partial } = change
    if (operation === 'insert') return this.#insert(newKey!, transaction)
    if (operation === 'delete') return this.#delete(oldKey!, this.#side(oldKey!, transaction))
    if (oldKey === undefined || keyId(oldKey) === keyId(newKey!)) {
      return this.#shown(newKey!, this.#side(newKey!, transaction), partial, transaction)
    }
    return this.#move(oldKey, newKey!, partial, transaction)
  }

  /** Of a change of which not even the key is told: it goes on, but not before rows of a snapshot without it. */
  judgeUnknown(transaction: Transaction): Verdict {
    if (this.#sides.isBehindChunk(transaction)) return WAIT
    if (this.unread) this.#options.onUnproved(transaction, this.#progress.oid)
    if (this.#isShown(transaction)) this.#overtake(undefined)
    return EMIT
  }

  #insert(key: KeyText, transaction: Transaction): Verdict {
    const side = this.#side(key, transaction)
    if (side !== WAIT || !this.isWhole || this.#sides.chunk === undefined) {
      return this.#shown(key, side, false, transaction)
    }
    // A row that nobody has a key for cannot come before itself. Another snapshot would show it once more.
    this.begun()
    this.#options.onOvertaken()
    return EMIT
  }

  /** Of an inserted or changed row. */
  #shown(key: KeyText, side: Side, partial: boolean, transaction: Transaction): Verdict {
    if (side === WAIT) return WAIT
    if (this.#tellsAll) return EMIT
    if (side === COMING || side === HELD || side === GONE) return DROP
    if (!isShown(side)) return side
    const { overtaken } = this.#progress
    if (!isOvertaken(overtaken, key)) return DROP
    // Perhaps of a row that the snapshot shows to be gone: what was not sent stands nowhere but in the table.
    if (!(partial && overtaken === EVERY_KEY) && !this.#isApart(key, side)) return EMIT
    this.#options.onApart(key, transaction)
    return WAIT
  }

  /**
   * A delete of the row was told late, behind later changes that an earlier run may have handed on. Who leaves out what he
   * knows would be left with an older row if what follows the delete went on: the row itself does, as it is by now.
   */
  #isApart(key: KeyText, side: Side): boolean {
    const { more, overtaken, apart } = this.#progress
    return (
      more === true &&
      side === SHOWN &&
      overtaken !== EVERY_KEY &&
      isOvertaken(overtaken, key) &&
      apart.length < MAX_APART
    )
  }

  #delete(key: KeyText, side: Side): Verdict {
    if (side === WAIT) return WAIT
    if (side === EMIT || this.#tellsAll) return EMIT
    if (side === HELD) return DROP
    // The consumer may hold a row from before that this deletes.
    if (!this.#mayBeHeld(side) && !(isShown(side) && isOvertaken(this.#progress.overtaken, key))) return DROP
    // Rows that are still to be read come behind it, and none comes where it is gone.
    if (side !== COMING && side !== GONE) this.#overtake(key)
    return EMIT
  }

  #move(oldKey: KeyText, newKey: KeyText, partial: boolean, transaction: Transaction): Verdict {
    // Of both before anything is left behind.
    const old = this.#side(oldKey, transaction)
    if (old === WAIT) return WAIT
    const now = this.#side(newKey, transaction)
    if (now === WAIT) return WAIT
    const { overtaken } = this.#progress
    if (this.#tellsAll) return EMIT
    const goes =
      old === EMIT || (old !== HELD && this.#mayBeHeld(old)) || (isShown(old) && isOvertaken(overtaken, oldKey))
    // Told that the old row is gone, who finds both keys equal deletes the new one.
    const takesBoth = goes && this.#options.order.alike && isShown(old) && isShown(now)
    const isInRows = isShown(now) && !takesBoth && !isOvertaken(overtaken, newKey)
    const isThere = now === DROP || now === COMING || now === HELD || now === GONE || isInRows
    // What was not sent stands nowhere but in the table.
    const isLacking = partial && old !== EMIT
    if (!isThere && (isLacking || this.#isApart(newKey, now))) {
      this.#options.onApart(newKey, transaction)
      return WAIT
    }
    if (goes && old !== EMIT && old !== COMING && old !== GONE) this.#overtake(oldKey)
    if (isThere) return goes ? ONLY_DELETE : DROP
    return goes ? EMIT : ONLY_CREATE
  }

  /**
   * The consumer may have the row of such a key, though nothing in the progress says so. Where it may find the key equal to one
   * of other bytes it is not told that the row is gone which rows have shown: they may show that one, and are not repeated.
   */
  #mayBeHeld(side: Side): boolean {
    const { again, more = false } = this.#progress
    return again || (more && side !== EXACT && !(side !== COMING && this.#options.order.alike))
  }

  /**
   * Every change goes on, if not before rows of a snapshot without it. So it must where the consumer has rows by a key of
   * which the scan knows nothing: what follows a delete there may be of any row here.
   */
  get #tellsAll(): boolean {
    if (this.#progress.where !== undefined) return true
    return this.#options.otherKey === true && (this.#progress.again || !this.isWhole)
  }

  /** The row of `key` (undefined: of any) is deleted that a snapshot may show to have come again. */
  #overtake(key: KeyText | undefined): void {
    const before = this.#progress
    const apart = key === undefined ? [] : withoutKey(before.apart, key)
    const known = this.#options.order.alike ? undefined : key
    const overtaken = overtake(before.overtaken, known, lastUntil(readingsOf(before)) ?? 0n)
    if (overtaken === before.overtaken && apart.length === before.apart.length) return
    this.#change({ overtaken, apart })
    this.#options.onOvertaken()
  }

  /**
   * A truncate goes on. Where rows are read that it may or may not have wiped, all is read once more behind it: whether
   * that is so. Its lock is held until it is visible, so that a chunk whose lock comes after it shows its effect. A key
   * that comes again is another row: the snapshot is named after the truncate's place, `seq` in its transaction.
   */
  truncate(transaction: Transaction, seq: number): boolean {
    if (!this.unread && !this.#isShown(transaction)) return false
    this.#sides.rests()
    const id = `${formatLsn(transaction.commitLsn)}/${seq}`
    this.#change({ id, stretches: UNREAD, apart: [], begun: false, overtaken: NOTHING_OVERTAKEN })
    return true
  }

  #isShown(transaction: Transaction): boolean {
    return readingsOf(this.#progress).some((read) => this.#sides.sees(read, transaction))
  }

  #side(key: KeyText, transaction: Transaction): Side {
    return this.#sides.of(key, this.#progress, transaction)
  }

  #change(change: Partial<TableProgress>): void {
    this.#progress = { ...this.#progress, ...change }
  }
}
