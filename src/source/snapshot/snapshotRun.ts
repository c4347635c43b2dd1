import type { RowBatch } from '../../core/rowBatch.js'
import type { Table } from '../../core/table.js'
import { CopyOut } from '../../postgres/copy/copyOut.js'
import { sqlName } from '../../postgres/identifier.js'
import type { Session } from '../../postgres/session.js'
import type { BatchQueue } from '../batchQueue.js'
import type { SourceEvent } from '../events.js'
import { chunkSql } from '../scan/chunkSql.js'
import type { KeyText } from '../scan/stretches.js'
import { copySql, type UnitQuery } from './query.js'
import { RowCollector, RowUse } from './rowCollector.js'
import type { SnapshotReaders } from './snapshotReaders.js'
import type { SnapshotUnit } from './units.js'

/** How a captured table is read. */
export interface ReadTable {
  readonly table: Table
  readonly query: UnitQuery
  /** What its columns are in binary format, in which it is read as long as nobody looks into rows; undefined: it is not. */
  readonly forms: readonly number[] | undefined
}

export interface SnapshotRunOptions {
  /** All in the exported snapshot already, with their locks. */
  readonly readers: SnapshotReaders
  readonly snapshotId: string
  readonly units: readonly SnapshotUnit[]
  /** By OID of the captured table. */
  readonly tables: ReadonlyMap<number, ReadTable>
  /** Estimated rows of all tables, for the progress events. */
  readonly estimatedRows: (oid: number) => number
  /** Where `deliver` puts the rows: while it is full nothing is read. */
  readonly queue: Pick<BatchQueue<unknown>, 'full' | 'bytes' | 'onDemand'>
  /** Gives the key of the last row, of a unit that is read by its key. */
  readonly deliver: (rows: RowBatch, unit: SnapshotUnit) => KeyText | undefined
  /** All rows of the unit were delivered; `last`: no other of its table is left. */
  readonly finished: (unit: SnapshotUnit, last: boolean) => void
  /** A batch is handed on that has so much, or so many. */
  readonly batchBytes: number
  readonly batchRows: number
  readonly emit: (event: SourceEvent) => void
  /** Aborted with the first failure, whereupon the readers are cut. */
  readonly failure: AbortController
}

const PROGRESS_MS = 500
/**
 * What is read by its key can be gone on with after a crash. So that little is read again then, the server reads only so
 * much of it ahead of us, where else whole ranges would go into the network's buffers: this part of the table.
 */
const PART_SHARE = 100
const MIN_PART_ROWS = 2000
const MAX_PART_ROWS = 50_000
/** And so much waits for the consumer. */
const PART_AHEAD_BYTES = 1024 * 1024

/** Reads all units in one exported snapshot into the queue, each reader one unit after the other in its transaction. */
export class SnapshotRun {
  readonly #options: SnapshotRunOptions
  readonly #pending: SnapshotUnit[]
  readonly #copies = new Set<CopyOut>()
  readonly #progress = new Map<number, TableProgress>()
  readonly #use = new RowUse()
  /** That were handed on. */
  #bytes = 0

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

  /** Resolves when the last row is in the queue; rejects with the first failure, when no reader works any more. */
  async run(): Promise<void> {
    const { readers, failure } = this.#options
    const working = readers.sessions.map((session) =>
      this.#work(session).catch((error) => {
        failure.abort(error)
      }),
    )
    await Promise.all(working)
    failure.signal.throwIfAborted()
  }

  async #work(session: Session): Promise<void> {
    for (let unit = this.#pending.shift(); unit !== undefined; unit = this.#pending.shift()) {
      await this.#read(session, unit)
    }
    await this.#options.readers.release(session)
  }

  async #read(session: Session, unit: SnapshotUnit): Promise<void> {
    let from = unit.range?.from
    for (let more = true; more; ) {
      const part = await this.#readPart(session, unit, from)
      from = part.to
      more = part.more
    }
    this.#finishUnit(unit)
  }

  /** What lies behind `from`; of a unit that is read by its key so much at most. */
  async #readPart(session: Session, unit: SnapshotUnit, from: KeyText | undefined) {
    const { table, query: plain, forms } = this.#options.tables.get(unit.table.oid)!
    const isBinary = forms !== undefined && !this.#use.areRead && readsNoMore(unit, plain)
    const query = isBinary ? { ...plain, isBinary } : plain
    const columns = query.columns.length + (query.withPlace ? 1 : 0)
    const { snapshotId, batchBytes, batchRows } = this.#options
    const collector = new RowCollector(table, columns, snapshotId, this.#use, isBinary ? forms : undefined)
    const limit = unit.range === undefined ? undefined : this.#partRows(unit)
    let to = from
    let count = 0
    const handOn = () => {
      if (collector.count === 0) return
      count += collector.count
      to = this.#handOn(collector.take(), unit)
    }
    const copy = new CopyOut(session, sqlOf(unit, query, from, limit), {
      row: (bytes, start, end) => collector.collect(bytes, start, end),
      takeRows: isBinary ? (chunk, p) => collector.takeRows(chunk, p) : undefined,
      chunkEnd: () => {
        // The first are small: whoever takes them has all to make ready for the first time, while the next are read.
        if (collector.bytes >= Math.min(batchBytes, this.#bytes) || collector.count >= batchRows) handOn()
        if (this.#isFull(unit)) copy.pause()
      },
    })
    this.#copies.add(copy)
    try {
      await copy.done
    } finally {
      this.#copies.delete(copy)
    }
    handOn()
    return { to, more: limit !== undefined && count === limit }
  }

  #partRows({ table }: SnapshotUnit): number {
    const share = Math.round(this.#options.estimatedRows(table.oid) / PART_SHARE)
    return Math.min(MAX_PART_ROWS, Math.max(MIN_PART_ROWS, share))
  }

  #isFull({ range }: SnapshotUnit): boolean {
    const { queue } = this.#options
    // At first little: whoever takes rows may have to ask for something before it can, and the answer would wait behind ours. Never
    // while the queue is empty: whoever waits at it already would not ask for more once again.
    return queue.full || (range !== undefined && queue.bytes > Math.min(PART_AHEAD_BYTES, this.#bytes / 2))
  }

  #onDemand(): void {
    if (this.#options.queue.full) return
    for (const copy of this.#copies) copy.resume()
  }

  #handOn(rows: RowBatch, unit: SnapshotUnit): KeyText | undefined {
    this.#bytes += rows.bytes
    const key = this.#options.deliver(rows, unit)
    const progress = this.#progress.get(unit.table.oid)!
    progress.rows += rows.count
    const now = performance.now()
    if (now - progress.reported < PROGRESS_MS) return key
    progress.reported = now
    const estimatedRows = this.#options.estimatedRows(unit.table.oid)
    this.#options.emit({ type: 'snapshot-progress', table: sqlName(unit.table), rows: progress.rows, estimatedRows })
    return key
  }

  #finishUnit(unit: SnapshotUnit): void {
    const { table } = unit
    const progress = this.#progress.get(table.oid)!
    progress.units--
    this.#options.finished(unit, progress.units === 0)
    if (progress.units > 0) return
    this.#options.emit({ type: 'snapshot-table-finished', table: sqlName(table), rows: progress.rows })
  }
}

/** No column beside those of the query: what the others are in binary format is not asked. */
function readsNoMore({ range }: SnapshotUnit, { read }: UnitQuery): boolean {
  return range === undefined || range.key.every(({ name }) => read.has(name))
}

function sqlOf(unit: SnapshotUnit, query: UnitQuery, from: KeyText | undefined, limit: number | undefined): string {
  const { table, range } = unit
  if (range === undefined) return copySql(unit, query)
  const { key, stretch } = range
  const read = new Set([...query.read, ...key.map(({ name }) => name)])
  return chunkSql({ table, key, from, to: stretch.to, limit, where: undefined }, { ...query, read })
}

interface TableProgress {
  rows: number
  /** Units not finished yet. */
  units: number
  reported: number
}
