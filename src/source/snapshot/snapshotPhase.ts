import type { RowBatch } from '../../core/rowBatch.js'
import type { Table } from '../../core/table.js'
import { measureTables } from '../../postgres/catalog/tables.js'
import type { Session } from '../../postgres/session.js'
import type { Batch } from '../batch.js'
import type { BatchQueue } from '../batchQueue.js'
import type { PlannedTable } from '../capturePlan.js'
import type { Connections } from '../connections.js'
import type { SourceEvent } from '../events.js'
import { LockWatch } from './lockWatch.js'
import { lockSql } from './query.js'
import { SnapshotRun } from './snapshotRun.js'
import { planUnits, relationsOf } from './units.js'

export interface SnapshotPhase {
  readonly connections: Connections
  readonly planned: readonly PlannedTable[]
  readonly tables: ReadonlyMap<number, Table>
  readonly snapshotName: string
  readonly snapshotId: string
  readonly workers: number
  readonly batchBytes: number
  readonly queue: BatchQueue<Batch>
  readonly deliver: (rows: RowBatch) => void
  readonly emit: (event: SourceEvent) => void
  readonly signal: AbortSignal
}

/**
 * Locks all tables against rewrites, in a session that holds on until they are read, before the snapshot is made: what
 * is planned afterwards (columns, ranges) stays true.
 */
export async function lockTables(connections: Connections, planned: readonly PlannedTable[]): Promise<Session> {
  const session = await connections.ordinary()
  await session.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY')
  await session.query(lockSql(planned.map(({ table }) => table)))
  return session
}

/** Reads every table in the exported snapshot; resolves with the number of rows when the last is in the queue. */
export async function readSnapshot(phase: SnapshotPhase): Promise<number> {
  const { connections, planned, tables, workers, queue, emit, signal } = phase
  const catalogTables = planned.map(({ table }) => table)
  const relations = catalogTables.flatMap((table) => relationsOf(table).map(({ oid }) => oid))
  const bytes = await measureTables(connections.control, relations)
  const estimates = new Map(catalogTables.map((table) => [table.oid, table.estimatedRows ?? 0]))
  emit({
    type: 'snapshot-started',
    tables: planned.length,
    estimatedRows: [...estimates.values()].reduce((sum, rows) => sum + rows, 0),
  })
  const queries = planned.map((one) => {
    const table = tables.get(one.table.oid)!
    const read = new Set([...table.selected, ...table.key].map((index) => table.columns[index]!.name))
    const query = { columns: one.columns, read, withPlace: table.key.length === 0, rowFilter: one.rowFilter }
    return [one.table.oid, { table, query }] as const
  })
  const watch = new LockWatch(connections.control, relations.concat([...estimates.keys()]), emit)
  try {
    const run = new SnapshotRun({
      snapshotName: phase.snapshotName,
      snapshotId: phase.snapshotId,
      units: planUnits(catalogTables, (oid) => bytes.get(oid) ?? 0, workers),
      tables: new Map(queries),
      estimatedRows: (oid) => estimates.get(oid) ?? 0,
      workers,
      connect: () => connections.ordinary(),
      queue,
      deliver: phase.deliver,
      batchBytes: phase.batchBytes,
      emit,
      signal,
    })
    await run.run()
    return run.rows
  } finally {
    watch.stop()
  }
}
