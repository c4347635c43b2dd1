import { Rate } from '../../../core/rate.js'
import type { SourceEvent } from '../../../source/events.js'
import type { SnapshotStatus } from './status.js'

interface Scan {
  readonly rate: Rate
  status: SnapshotStatus
}

/** How far the reading of each table's rows is. */
export class TableScans {
  readonly #scans = new Map<string, Scan>()
  #reading = false

  /** Whether rows are read at the moment. */
  get reading(): boolean {
    return this.#reading || [...this.#scans.values()].some(({ status }) => !status.done)
  }

  /** In the order in which they were begun. */
  get list(): readonly SnapshotStatus[] {
    return [...this.#scans.values()].map(({ status }) => status)
  }

  saw(event: SourceEvent): void {
    if (event.type === 'snapshot-started') this.#reading = true
    else if (event.type === 'snapshot-progress') this.#progress(event.table, event.rows, event.estimatedRows)
    else if (event.type === 'snapshot-table-finished') this.#finish(event.table, event.rows)
    else if (event.type === 'table-dropped') this.#scans.delete(event.table)
    else if (event.type === 'snapshot-finished') {
      this.#reading = false
      for (const { status } of this.#scans.values()) if (!status.done) this.#finish(status.table, status.rows)
    }
  }

  /** All begins again, but for what is finished. */
  restart(): void {
    this.#reading = false
    for (const [table, { status }] of this.#scans) if (!status.done) this.#scans.delete(table)
  }

  #progress(table: string, rows: number, estimatedRows: number): void {
    const known = this.#scans.get(table)
    // Read once more.
    const scan = known === undefined || known.status.done ? { rate: new Rate(), status: nothing(table) } : known
    this.#scans.set(table, scan)
    const rowsPerSecond = scan.rate.add(rows)
    const left = estimatedRows - rows
    const etaSeconds = left > 0 && rowsPerSecond > 0 ? left / rowsPerSecond : null
    scan.status = { table, rows, estimatedRows, done: false, rowsPerSecond, etaSeconds }
  }

  #finish(table: string, rows: number): void {
    const { rate, status } = this.#scans.get(table) ?? { rate: new Rate(), status: nothing(table) }
    this.#scans.set(table, { rate, status: { ...status, rows, done: true, rowsPerSecond: 0, etaSeconds: 0 } })
  }
}

function nothing(table: string): SnapshotStatus {
  return { table, rows: 0, estimatedRows: 0, done: false, rowsPerSecond: 0, etaSeconds: null }
}
