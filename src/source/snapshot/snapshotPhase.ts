import type { Table } from '../../core/table.js'
import { measureTables } from '../../postgres/catalog/tables.js'
import type { Queryable } from '../../postgres/queryable.js'
import type { BatchQueue } from '../batchQueue.js'
import type { PlannedTable } from '../capturePlan.js'
import type { SourceEvent } from '../events.js'
import { binaryFormsOf } from './binaryForms.js'
import { type KeyedTable, planKeyRanges } from './keyRanges.js'
import { LockWatch } from './lockWatch.js'
import { filesNow, type PieceReading } from './pieces.js'
import type { SnapshotReaders } from './snapshotReaders.js'
import { type ReadTable, SnapshotRun, type SnapshotRunOptions } from './snapshotRun.js'
import { PAGE_BYTES, planPieces, planUnits, relationsOf, type SnapshotUnit } from './units.js'

export { SnapshotReaders } from './snapshotReaders.js'

export interface SnapshotPhase {
  readonly readers: SnapshotReaders
  readonly planned: readonly PlannedTable[]
  /** Compiled, by OID; awaited when their ranges are planned. */
  readonly tables: Promise<ReadonlyMap<number, Table>>
  readonly snapshotName: string
  readonly snapshotId: string
  readonly batchBytes: number
  readonly batchRows: number
  /** Who takes the rows reads them in binary format, too. */
  readonly takesBinary: boolean
  /** Where `deliver` puts the rows: while it is full nothing is read. */
  readonly queue: Pick<BatchQueue<unknown>, 'full' | 'bytes' | 'onDemand'>
  readonly deliver: SnapshotRunOptions['deliver']
  readonly finished: (unit: SnapshotUnit, last: boolean) => void
  /** What can be read by its key is to be, so that an interrupted snapshot can go on; called before the first row. */
  readonly onKeyed: ((keyed: ReadonlyMap<number, KeyedTable>) => void) | undefined
  /** Tables are read in pieces. */
  readonly pieces?: PieceReading | undefined
  readonly emit: (event: SourceEvent) => void
  readonly signal: AbortSignal
  /** For looks at who waits for the readers. */
  readonly control: Queryable
}

/**
 * Reads every table in the exported snapshot; resolves when the last row is in the queue. The first failure of any
 * reader ends all and is what it rejects with; either way all readers are closed before.
 */
export async function readSnapshot(phase: SnapshotPhase): Promise<void> {
  const { readers } = phase
  phase.tables.catch(() => {}) // whoever awaits them sees it
  const failure = new AbortController()
  const ending = AbortSignal.any([phase.signal, failure.signal])
  const cut = () => readers.abandon()
  ending.addEventListener('abort', cut, { once: true })
  try {
    ending.throwIfAborted()
    await readAll(phase, failure)
  } catch (error) {
    failure.abort(error)
    throw ending.reason
  } finally {
    ending.removeEventListener('abort', cut)
    await readers.close()
  }
}

async function readAll(phase: SnapshotPhase, failure: AbortController): Promise<void> {
  const { readers, planned, emit } = phase
  const catalogTables = planned.map(({ table }) => table)
  const relations = catalogTables.flatMap(relationsOf)
  await readers.enter(phase.snapshotName, relations)
  const [first] = readers.sessions
  // The size is asked under the reader's lock: another session would have to wait for one of its own.
  const bytes = await measureTables(
    first!,
    relations.map(({ oid }) => oid),
  )
  const estimates = new Map(catalogTables.map((table) => [table.oid, table.estimatedRows ?? 0]))
  emit({
    type: 'snapshot-started',
    tables: planned.length,
    estimatedRows: [...estimates.values()].reduce((sum, rows) => sum + rows, 0),
  })
  const keyed = new Map<number, KeyedTable>()
  if (phase.onKeyed !== undefined) {
    for (const one of planned) {
      const pages = Math.ceil((bytes.get(one.table.oid) ?? 0) / PAGE_BYTES)
      const ranges = await planKeyRanges(readers.sessions, one, pages)
      if (ranges !== undefined) keyed.set(one.table.oid, ranges)
    }
    phase.onKeyed(keyed)
  }
  const tables = await phase.tables
  const queries = planned.map((one): readonly [number, ReadTable] => {
    const table = tables.get(one.table.oid)!
    const read = new Set([...table.selected, ...table.key].map((index) => table.columns[index]!.name))
    const query = { columns: one.columns, read, withPlace: table.key.length === 0, rowFilter: one.rowFilter }
    return [one.table.oid, { table, query, forms: phase.takesBinary ? binaryFormsOf(table, query) : undefined }]
  })
  const bytesNow = (oid: number) => bytes.get(oid) ?? 0
  const units =
    phase.pieces === undefined
      ? planUnits(catalogTables, bytesNow, readers.sessions.length, keyed)
      : planPieces(catalogTables, bytesNow, readers.sessions.length, phase.pieces, await filesNow(first!, relations))
  const run = new SnapshotRun({
    readers,
    snapshotId: phase.snapshotId,
    units,
    tables: new Map(queries),
    estimatedRows: (oid) => estimates.get(oid) ?? 0,
    queue: phase.queue,
    deliver: phase.deliver,
    finished: phase.finished,
    batchBytes: phase.batchBytes,
    batchRows: phase.batchRows,
    emit,
    failure,
  })
  const watch = new LockWatch(phase.control, readers.pids, emit)
  try {
    await run.run()
  } finally {
    watch.stop()
  }
}
