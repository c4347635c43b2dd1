import type { ChunkRange, Transaction } from '../../core/record.js'
import { RowBatch } from '../../core/rowBatch.js'
import { CONDITION_GONE } from '../../core/warnings.js'
import type { KeyColumn } from '../../postgres/catalog/keyColumns.js'
import { keyColumns, keyColumnsOf } from '../../postgres/catalog/keyColumns.js'
import { sqlName } from '../../postgres/identifier.js'
import type { Lsn } from '../../postgres/lsn.js'
import { describeCause } from '../../postgres/serverError.js'
import type { CaptureSet } from '../captureSet.js'
import type { Connections } from '../connections.js'
import type { SourceEvent } from '../events.js'
import type { Place } from '../position.js'
import { ApartReader, type ApartRow } from './apartReader.js'
import { ChunkReader, type Piece } from './chunkReader.js'
import { KeyOrder } from './keyOrder.js'
import { KeyQuestions } from './keyQuestions.js'
import { NextReadings } from './nextReadings.js'
import { type ProgressAt, type SnapshotProgress, type TableProgress, unreadTable } from './progress.js'
import { ScanProgress } from './scanProgress.js'
import { ScanReport } from './scanReport.js'
import { ScanWorkers } from './scanWorkers.js'
import { beginOf, firstUnread, type KeyText } from './stretches.js'
import { TableScan } from './tableScan.js'
import { Unproved } from './unproved.js'
import { UnprovedWatch } from './unprovedWatch.js'

/** Where rows go that were read: the stream, between whose changes they stand. */
export interface ScanOutlet {
  /** Whether rows can be handed on now. */
  isOpen(): boolean
  /** Hands on what the stream brought until now: what follows stands behind it. */
  flush(): void
  push(rows: RowBatch, progressAt: ProgressAt, range?: ChunkRange): void
  /** Changes that waited may be decided now. */
  decided(): void
  /** Something was finished without a row. */
  advanced(): void
  /** Keys of the table in the changes that wait. */
  waitingKeys(scan: TableScan): readonly KeyText[]
}

export interface ScansOptions {
  readonly connections: Connections
  readonly capture: CaptureSet
  readonly workers: number
  readonly batchBytes: number
  /** The most rows of a chunk. */
  readonly chunkRows?: number | undefined
  readonly resumed: SnapshotProgress
  readonly emit: (event: SourceEvent) => void
  readonly signal: AbortSignal
}

const CLOSED: ScanOutlet = {
  isOpen: () => false,
  flush: () => {},
  push: () => {},
  decided: () => {},
  advanced: () => {},
  waitingKeys: () => [],
}

/** The tables whose rows are read while the stream goes on, in chunks, by several workers (design section 4). */
export class Scans {
  readonly #options: ScansOptions
  readonly #scans = new Map<number, TableScan>()
  readonly #readers = new Map<TableScan, ChunkReader>()
  /** Not to be read yet. */
  readonly #held = new Set<number>()
  readonly #next: NextReadings
  readonly #unproved: Unproved
  readonly #unprovedWatch: UnprovedWatch
  readonly #workers: ScanWorkers
  readonly #apart: ApartReader
  readonly #report: ScanReport
  readonly #questions: KeyQuestions
  readonly #progress: ScanProgress
  #outlet = CLOSED

  constructor(options: ScansOptions) {
    const { connections, capture, emit, signal, workers, resumed } = options
    this.#options = options
    this.#unproved = new Unproved(resumed.unproved)
    // While no chunk of the table is opened nobody else forgets what is visible.
    const isResting = (oid: number) => this.#isResting(oid)
    this.#unprovedWatch = new UnprovedWatch(connections.control, this.#unproved, isResting)
    this.#progress = new ScanProgress({ scans: this.#scans, unproved: this.#unproved, resumed })
    this.#report = new ScanReport(emit)
    this.#next = new NextReadings({
      control: connections.control,
      scanOf: (oid) => this.#scans.get(oid),
      onSettled: () => this.#advanced(),
      signal,
    })
    this.#workers = new ScanWorkers({
      workers,
      connect: () => connections.ordinary(),
      next: () => [...this.#scans.values()].find((scan) => this.#isWanting(scan)),
      read: (session, scan) => this.#reader(scan).read(session),
      signal,
    })
    this.#questions = new KeyQuestions({
      control: connections.control,
      waitingKeys: (scan) => this.#outlet.waitingKeys(scan),
      onAnswer: () => {
        this.#outlet.decided()
        this.pump()
      },
      onFailure: (error) => this.#workers.fail(error),
      signal,
    })
    this.#apart = new ApartReader({
      connections,
      capture,
      emit,
      deliver: (scan, row) => this.#deliverApart(scan, row),
      isScanned: (scan) => this.#isCurrent(scan),
      onGone: (scan) => this.#gone(scan),
      onOtherKey: (scan, key) => this.#otherKey(scan, key),
      onFailure: (error) => this.#workers.fail(error),
      signal,
    })
  }

  /** Some table's changes have to be judged. */
  get active(): boolean {
    return this.#scans.size > 0
  }

  /** Some table is still to be read. */
  get unread(): boolean {
    for (const scan of this.#scans.values()) if (scan.unread || scan.next !== undefined) return true
    return false
  }

  of(oid: number): TableScan | undefined {
    return this.#scans.get(oid)
  }

  /** What a position at `place` says of the snapshot. */
  progressAt(place: Place): SnapshotProgress | undefined {
    return this.#progress.at(place)
  }

  /** The tables are to be read; their changes are judged from now on. */
  async add(tables: readonly TableProgress[], { held = false } = {}): Promise<void> {
    const { control } = this.#options.connections
    if (held) for (const { oid } of tables) this.#held.add(oid)
    const again = tables.flatMap(({ oid, next }) => (next === undefined ? [] : [{ oid, key: next.key }]))
    const columns = await keyColumnsOf(control, [...tables, ...again])
    for (const [index, { oid }] of again.entries()) this.#next.add(oid, columns[tables.length + index]!)
    for (const [index, progress] of tables.entries()) this.#begin(progress, columns[index]!)
  }

  #begin(progress: TableProgress, columns: readonly KeyColumn[]): void {
    const { oid } = progress
    const scan: TableScan = new TableScan(progress, {
      order: new KeyOrder(columns),
      otherKey: this.#options.capture.hasOtherKey(oid, progress.key),
      onUnproved: (transaction) => {
        this.#unproved.add(transaction, oid)
        this.#unprovedWatch.look()
      },
      onUnknownKey: () => void this.#questions.ask(scan),
      onApart: (key, transaction) => this.#apart.want(scan, key, transaction),
      onOvertaken: () => this.#progress.changed(),
    })
    this.#scans.set(oid, scan)
    if (scan.unread) this.#report.begins(progress, this.#options.capture.estimatedRows(oid))
    this.#progress.changed()
    this.#workers.wake()
  }

  /** A table that was added and held may be read now. */
  release(oid: number): void {
    this.#held.delete(oid)
    this.#workers.wake()
  }

  /**
   * The table is read once more from its beginning, those rows for which `where` holds. Not before the stream has passed
   * what its last reading showed: else changes that those rows have shown would come behind them, as news.
   */
  async again(table: Parameters<typeof unreadTable>[0], where: string | undefined): Promise<void> {
    const { oid, id, key } = table
    const columns = await keyColumns(this.#options.connections.control, oid, key)
    const open = this.#scans.get(oid)
    if (open === undefined) return this.#begin(unreadTable(table, { again: true, where }), columns)
    open.wants({ id, key, where: open.next === undefined ? where : either(open.next.where, where) })
    this.#next.add(oid, columns)
    this.#advanced()
  }

  /** The table is captured no more: what was read of it is forgotten. */
  remove(oid: number): void {
    if (!this.#leave(oid)) return
    this.#unproved.drop(oid)
    this.#report.ends(oid)
    this.#outlet.decided()
    this.#advanced()
  }

  /** The stream has reached `lsn`. */
  passed(lsn: Lsn): void {
    for (const [oid, scan] of this.#scans) {
      const { progress } = scan
      scan.passed(lsn)
      if (scan.over) this.#isOver(oid, scan)
      else if (scan.progress !== progress) this.#progress.changed()
    }
  }

  #isOver(oid: number, { next, progress }: TableScan): void {
    const columns = this.#next.take(oid)
    this.#scans.delete(oid)
    if (next === undefined || columns === undefined) return this.#progress.changed()
    const { schema, name } = progress
    this.#begin(
      unreadTable({ oid, schema, name, id: next.id, key: next.key }, { again: true, where: next.where }),
      columns,
    )
  }

  /** A truncate of the table is handed on. */
  truncate(scan: TableScan, transaction: Transaction, seq: number): void {
    if (!scan.truncate(transaction, seq)) return
    this.#readers.get(scan)?.giveUp()
    this.#progress.changed()
    this.#workers.wake()
  }

  /** Reads whenever there is something to be read, into `outlet`; rejects with the first failure. */
  async run(outlet: ScanOutlet): Promise<void> {
    this.#outlet = outlet
    await this.#workers.run()
  }

  /** While it is paused no chunk is begun. */
  pause(paused: boolean): void {
    this.#workers.pause(paused)
  }

  /** There may be room for rows. */
  pump(): void {
    for (const reader of this.#readers.values()) reader.pump()
  }

  close(): void {
    this.#outlet = CLOSED
    this.#next.close()
    for (const reader of this.#readers.values()) reader.giveUp()
    this.#workers.close()
  }

  #isWanting(scan: TableScan): boolean {
    return scan.unread && !this.#held.has(scan.progress.oid) && !this.#workers.busyWith(scan)
  }

  #leave(oid: number): boolean {
    this.#held.delete(oid)
    this.#next.take(oid)
    const scan = this.#scans.get(oid)
    if (scan === undefined) return false
    this.#scans.delete(oid)
    this.#workers.leave(scan)
    this.#readers.get(scan)?.giveUp()
    this.#readers.delete(scan)
    return true
  }

  #reader(scan: TableScan): ChunkReader {
    const known = this.#readers.get(scan)
    if (known !== undefined) return known
    const { connections, capture, batchBytes, chunkRows, emit, signal } = this.#options
    const reader = new ChunkReader(scan, {
      control: connections.control,
      capture,
      batchBytes,
      chunkRows,
      emit,
      signal,
      unproved: this.#unproved,
      isResting: (other) => this.#isResting(other),
      isOpen: () => this.#outlet.isOpen() && !this.#questions.isAsked(scan),
      deliver: (piece) => this.#deliver(scan, piece),
      decided: () => this.#outlet.decided(),
      onGone: () => this.#gone(scan),
      onOtherKey: (key) => this.#otherKey(scan, key),
      onBadCondition: (cause) => this.#badCondition(scan, cause),
    })
    this.#readers.set(scan, reader)
    return reader
  }

  #isCurrent(scan: TableScan): boolean {
    return this.#scans.get(scan.progress.oid) === scan
  }

  #isResting(oid: number): boolean {
    return !this.#workers.busyWith(this.#scans.get(oid))
  }

  #gone(scan: TableScan): void {
    // Taken out meanwhile.
    if (!this.#isCurrent(scan)) return
    const { oid } = scan.progress
    this.#options.emit({ type: 'table-dropped', table: sqlName(scan.progress) })
    this.#options.capture.remove(oid)
    this.remove(oid)
  }

  /** The table is read anew by the key that it has by now. */
  #otherKey(scan: TableScan, key: readonly string[]): void {
    if (this.#isCurrent(scan)) this.#anew(scan, { key, where: scan.progress.where })
  }

  /** All its rows are read: more than was wanted. */
  #badCondition(scan: TableScan, cause: unknown): void {
    if (!this.#isCurrent(scan)) return
    const { key, where } = scan.progress
    this.#options.emit(CONDITION_GONE({ table: sqlName(scan.progress), where: where!, problem: describeCause(cause) }))
    this.#anew(scan, { key, where: undefined })
  }

  /** Nobody reads it until that has begun. */
  #anew(scan: TableScan, by: Pick<TableProgress, 'key' | 'where'>): void {
    this.#held.add(scan.progress.oid)
    this.#workers.leave(scan)
    this.#beginAnew(scan, by).catch((error) => this.#workers.fail(error))
  }

  async #beginAnew(scan: TableScan, { key, where }: Pick<TableProgress, 'key' | 'where'>): Promise<void> {
    const { oid, id, schema, name } = scan.progress
    const columns = await keyColumns(this.#options.connections.control, oid, key)
    // Taken out meanwhile.
    if (!this.#isCurrent(scan)) return
    const wanted = scan.next === undefined ? where : either(where, scan.next.where)
    // At once: a position in between would say that it is read.
    this.#leave(oid)
    // Its rows come once more: under other ids.
    this.#begin(unreadTable({ oid, id: `${id}+`, schema, name, key }, { again: true, where: wanted }), columns)
  }

  /** Hands rows on, or says that there are no more in the stretch. */
  #deliver(scan: TableScan, { rows, reading, keyOf }: Piece): void {
    this.#outlet.flush()
    const before = scan.progress
    const stretch = firstUnread(before.stretches)
    if (rows === undefined) {
      scan.delivered(undefined)
      this.#progress.counts()
      // Also what lies behind the last row is told: that there is nothing.
      const now = this.#progress.now()
      this.#outlet.push(new RowBatch(), () => now, rangeOf(before, stretch, before.stretches[stretch]!.to))
      if (!scan.unread) {
        this.#readers.delete(scan)
        this.#report.ends(before.oid)
      }
      this.#outlet.advanced()
      return
    }
    const progressAt = this.#progress.ofPiece(scan, { reading, keyOf })
    this.#progress.counts(rows.count)
    if (scan.isWhole) scan.begun()
    else scan.delivered(keyOf(rows.count - 1))
    this.#report.read(before.oid, rows.count)
    this.#outlet.push(rows, progressAt, rangeOf(before, stretch, keyOf(rows.count - 1)))
  }

  #deliverApart(scan: TableScan, { key, reading, rows }: ApartRow): void {
    if (this.#scans.get(scan.progress.oid) !== scan) return
    this.#outlet.flush()
    scan.deliveredApart(key, reading, rows.count > 0)
    this.#progress.counts()
    const progress = this.#progress.now()
    if (rows.count > 0) this.#outlet.push(rows, () => progress)
    this.#outlet.decided()
  }

  /** Without a row: positions say something else from now on. */
  #advanced(): void {
    this.#progress.counts()
    this.#outlet.advanced()
  }
}

/** Undefined: all rows. */
function either(one: string | undefined, other: string | undefined): string | undefined {
  if (one === undefined || other === undefined) return undefined
  return one === other ? one : `(${one}\n) OR (${other}\n)`
}

/** What the rows up to `to` say of the table: undefined where they are only some of it. */
function rangeOf(before: TableProgress, stretch: number, to: KeyText | undefined): ChunkRange | undefined {
  if (before.key.length === 0 || before.where !== undefined) return undefined
  const { schema, name, key, again } = before
  return { schema, name, key, after: beginOf(before.stretches, stretch), upTo: to, again }
}
