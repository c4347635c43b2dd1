import { SNAPSHOT_DIFFERS } from '../../core/errors.js'
import type { RowBatch } from '../../core/rowBatch.js'
import type { Table } from '../../core/table.js'
import { CopyOut } from '../../postgres/copy/copyOut.js'
import { quoteLiteral, sqlName } from '../../postgres/identifier.js'
import type { Session } from '../../postgres/session.js'
import type { Batch } from '../batch.js'
import type { BatchQueue } from '../batchQueue.js'
import type { SourceEvent } from '../events.js'
import { copySql, lockSql, type UnitQuery } from './query.js'
import { RowCollector } from './rowCollector.js'
import type { SnapshotUnit } from './units.js'

export interface SnapshotRunOptions {
  /** Of the exported snapshot that every worker reads in. */
  readonly snapshotName: string
  readonly snapshotId: string
  readonly units: readonly SnapshotUnit[]
  /** By OID of the captured table. */
  readonly tables: ReadonlyMap<number, { readonly table: Table; readonly query: UnitQuery }>
  /** Estimated rows of all tables, for the progress events. */
  readonly estimatedRows: (oid: number) => number
  readonly workers: number
  readonly connect: () => Promise<Session>
  readonly queue: BatchQueue<Batch>
  readonly deliver: (rows: RowBatch) => void
  readonly batchBytes: number
  readonly emit: (event: SourceEvent) => void
  readonly signal: AbortSignal
}

const PROGRESS_MS = 1000

/** Reads all units in one exported snapshot, in parallel workers, into the queue. */
export class SnapshotRun {
  readonly #options: SnapshotRunOptions
  readonly #pending: SnapshotUnit[]
  readonly #readers = new Set<{ readonly copy: CopyOut; readonly collector: RowCollector }>()
  readonly #progress = new Map<number, TableProgress>()
  #expected: string | undefined
  /** Rows handed on. */
  rows = 0

  constructor(options: SnapshotRunOptions) {
    this.#options = options
    this.#pending = [...options.units]
    for (const { table } of options.units) {
      const progress = this.#progress.get(table.oid) ?? { rows: 0, units: 0, reported: performance.now() }
      progress.units++
      this.#progress.set(table.oid, progress)
    }
    options.queue.onDemand = () => this.#onDemand()
  }

  /** Resolves when the last row is in the queue. */
  async run(): Promise<void> {
    const workers = Math.max(1, Math.min(this.#options.workers, this.#pending.length))
    const failed = new AbortController()
    const work = Array.from({ length: workers }, async () => {
      try {
        await this.#work(AbortSignal.any([this.#options.signal, failed.signal]))
      } catch (error) {
        failed.abort(error)
        throw error
      }
    })
    // All must have let go of their connections before anybody hears of the first failure.
    const results = await Promise.allSettled(work)
    if (failed.signal.aborted) throw failed.signal.reason
    const rejected = results.find((result) => result.status === 'rejected')
    if (rejected !== undefined) throw rejected.reason
  }

  async #work(signal: AbortSignal): Promise<void> {
    const session = await this.#options.connect()
    const cut = () => session.destroy()
    signal.addEventListener('abort', cut, { once: true })
    try {
      for (let unit = this.#pending.shift(); unit !== undefined; unit = this.#pending.shift()) {
        signal.throwIfAborted()
        await this.#read(session, unit)
      }
    } finally {
      signal.removeEventListener('abort', cut)
      await session.close()
    }
  }

  async #read(session: Session, unit: SnapshotUnit): Promise<void> {
    const { snapshotName, snapshotId, tables } = this.#options
    const { table, query } = tables.get(unit.table.oid)!
    await session.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY')
    await session.query(lockSql([unit.table]))
    await session.query(`SET TRANSACTION SNAPSHOT ${quoteLiteral(snapshotName)}`)
    await this.#proveSnapshot(session)
    const columns = query.columns.length + (query.withPlace ? 1 : 0)
    const collector = new RowCollector(table, columns, snapshotId)
    const copy = new CopyOut(session, copySql(unit, query), {
      row: (bytes, start, end) => collector.collect(bytes, start, end),
      chunkEnd: () => this.#onChunkEnd(copy, collector, unit),
    })
    const reader = { copy, collector }
    this.#readers.add(reader)
    try {
      await copy.done
    } finally {
      this.#readers.delete(reader)
    }
    this.#handOn(collector, unit)
    await session.query('COMMIT')
    this.#finishUnit(unit)
  }

  /** Every worker proves that it reads in the one snapshot before it reads (design section 3, rule 8). */
  async #proveSnapshot(session: Session): Promise<void> {
    const [row] = await session.query<{ snapshot: string }>(
      'SELECT pg_catalog.pg_current_snapshot()::pg_catalog.text AS snapshot',
    )
    this.#expected ??= row!.snapshot
    if (row!.snapshot !== this.#expected) {
      throw SNAPSHOT_DIFFERS({ expected: this.#expected, found: row!.snapshot })
    }
  }

  #onChunkEnd(copy: CopyOut, collector: RowCollector, unit: SnapshotUnit): void {
    const { queue, batchBytes } = this.#options
    if (collector.bytes >= batchBytes) this.#handOn(collector, unit)
    if (queue.full) copy.pause()
  }

  #onDemand(): void {
    if (this.#options.queue.full) return
    for (const { copy } of this.#readers) copy.resume()
  }

  #handOn(collector: RowCollector, unit: SnapshotUnit): void {
    if (collector.count === 0) return
    const rows = collector.take()
    this.rows += rows.count
    this.#options.deliver(rows)
    const progress = this.#progress.get(unit.table.oid)!
    progress.rows += rows.count
    const now = performance.now()
    if (now - progress.reported < PROGRESS_MS) return
    progress.reported = now
    const estimatedRows = this.#options.estimatedRows(unit.table.oid)
    this.#options.emit({ type: 'snapshot-progress', table: sqlName(unit.table), rows: progress.rows, estimatedRows })
  }

  #finishUnit({ table }: SnapshotUnit): void {
    const progress = this.#progress.get(table.oid)!
    if (--progress.units > 0) return
    this.#options.emit({ type: 'snapshot-table-finished', table: sqlName(table), rows: progress.rows })
  }
}

interface TableProgress {
  rows: number
  /** Units not finished yet. */
  units: number
  reported: number
}
