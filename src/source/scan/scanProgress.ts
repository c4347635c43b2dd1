import type { Place } from '../position.js'
import type { Piece } from './chunkReader.js'
import type { ProgressAt, SnapshotProgress, TableProgress } from './progress.js'
import { advance, firstUnread } from './stretches.js'
import type { TableScan } from './tableScan.js'
import type { Unproved } from './unproved.js'

export interface ScanProgressOptions {
  /** Those that are open; somebody else adds and removes them. */
  readonly scans: ReadonlyMap<number, TableScan>
  readonly unproved: Unproved
  readonly resumed: Pick<SnapshotProgress, 'id' | 'rows'>
}

/** What positions say of the tables that are read while the stream goes on. */
export class ScanProgress {
  readonly #options: ScanProgressOptions
  #count: number
  /** Until something changes. */
  #kept: SnapshotProgress | undefined
  /** Of the last position with a count: those at the same place go on telling it. */
  #countedAt: Place | undefined

  constructor(options: ScanProgressOptions) {
    this.#options = options
    this.#count = options.resumed.rows
  }

  /** Of a position at `place`; undefined: it need say nothing. */
  at(place: Place): SnapshotProgress | undefined {
    const { scans, unproved } = this.#options
    if (scans.size === 0 && (this.#countedAt === undefined || !isSamePlace(this.#countedAt, place))) return undefined
    this.#countedAt = place
    if (this.#kept === undefined || this.#kept.unproved !== unproved.transactions) this.#kept = this.now()
    return this.#kept
  }

  now(): SnapshotProgress {
    return { ...this.#shared(), rows: this.#count, tables: this.#tables() }
  }

  /** Something else is to be said from now on. */
  changed(): void {
    this.#kept = undefined
  }

  /** So many rows were handed on, or something without a row: what is said is another position. */
  counts(rows = 1): void {
    this.#count += rows
    this.#kept = undefined
  }

  /** Behind each row of a piece that is handed on next, of which neither table nor count knows yet. */
  ofPiece({ progress: before, isWhole }: TableScan, { reading, keyOf }: Pick<Piece, 'reading' | 'keyOf'>): ProgressAt {
    const index = firstUnread(before.stretches)
    const shared = this.#shared()
    const tables = this.#tables()
    const count = this.#count
    const changedAt = (row: number): Partial<TableProgress> =>
      isWhole ? { begun: true } : { stretches: advance(before.stretches, index, keyOf(row), reading) }
    const at = (row: number): SnapshotProgress => ({
      ...shared,
      rows: count + row + 1,
      tables: tables.map((one) => (one === before ? { ...one, ...changedAt(row) } : one)),
    })
    const steps = isWhole
      ? { base: at(-1), stretch: undefined }
      : { base: { ...shared, rows: count, tables }, stretch: { oid: before.oid, index, read: reading, keyOf } }
    return Object.assign(at, { steps })
  }

  #shared(): Pick<SnapshotProgress, 'id' | 'unproved'> {
    const { resumed, unproved } = this.#options
    return { id: resumed.id, unproved: unproved.transactions }
  }

  #tables(): readonly TableProgress[] {
    return [...this.#options.scans.values()].map(({ progress }) => progress)
  }
}

function isSamePlace(a: Place, b: Place): boolean {
  return a.lsn === b.lsn && a.seq === b.seq && a.sub === b.sub && a.end === b.end
}
