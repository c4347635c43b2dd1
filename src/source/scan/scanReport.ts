import { sqlName } from '../../postgres/identifier.js'
import type { SourceEvent } from '../events.js'
import type { TableProgress } from './progress.js'

const PROGRESS_MS = 500

interface Table {
  readonly table: string
  readonly estimatedRows: number
  rows: number
  reported: number
}

/** Tells of tables that are read while the stream goes on, as of a snapshot that comes before it. */
export class ScanReport {
  readonly #emit: (event: SourceEvent) => void
  readonly #tables = new Map<number, Table>()
  #rows = 0
  #began = 0
  #starting = false

  constructor(emit: (event: SourceEvent) => void) {
    this.#emit = emit
  }

  begins(progress: TableProgress, estimatedRows: number): void {
    const { oid } = progress
    const table = sqlName(progress)
    if (this.#tables.size === 0) {
      this.#rows = 0
      this.#began = performance.now()
    }
    this.#tables.set(oid, { table, estimatedRows, rows: 0, reported: performance.now() })
    this.#emit({ type: 'snapshot-progress', table, rows: 0, estimatedRows })
    if (this.#starting) return
    this.#starting = true
    // Those that are added together are told together.
    queueMicrotask(() => {
      this.#starting = false
      const estimates = [...this.#tables.values()].map((one) => one.estimatedRows)
      const sum = estimates.reduce((total, rows) => total + rows, 0)
      this.#emit({ type: 'snapshot-started', tables: estimates.length, estimatedRows: sum })
    })
  }

  read(oid: number, rows: number): void {
    const one = this.#tables.get(oid)
    this.#rows += rows
    if (one === undefined) return
    one.rows += rows
    const now = performance.now()
    if (now - one.reported < PROGRESS_MS) return
    one.reported = now
    const { table, estimatedRows } = one
    this.#emit({ type: 'snapshot-progress', table, rows: one.rows, estimatedRows })
  }

  /** Read to its end, or captured no more. */
  ends(oid: number): void {
    const one = this.#tables.get(oid)
    if (one === undefined) return
    this.#tables.delete(oid)
    this.#emit({ type: 'snapshot-table-finished', table: one.table, rows: one.rows })
    if (this.#tables.size > 0) return
    this.#emit({ type: 'snapshot-finished', rows: this.#rows, seconds: (performance.now() - this.#began) / 1000 })
  }
}
