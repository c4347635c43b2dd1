import type { RowBatch } from '../../src/core/rowBatch.js'
import { findTables } from '../../src/postgres/catalog/tables.js'
import { TypeDefinitions } from '../../src/postgres/catalog/typeDefinitions.js'
import { TypeCatalog } from '../../src/postgres/catalog/types.js'
import { parseConnectionString } from '../../src/postgres/connectionString.js'
import { parseTablePatterns } from '../../src/postgres/tablePattern.js'
import { BatchQueue } from '../../src/source/batchQueue.js'
import { type PlannedTable, planCapture } from '../../src/source/capturePlan.js'
import { Connections } from '../../src/source/connections.js'
import type { SourceEvent } from '../../src/source/events.js'
import { readSnapshot, SnapshotReaders } from '../../src/source/snapshot/snapshotPhase.js'
import { compileCatalogTable } from '../../src/source/snapshotTable.js'
import type { TestDatabase } from './database.js'
import { type WaitOptions, waitFor } from './waitFor.js'

/** The snapshot's parts without a source around them: `await using snapshot = await snapshotOf(db, 'a,b')`. */
export async function snapshotOf(db: TestDatabase, names: string): Promise<SnapshotReading> {
  const reading = new SnapshotReading(db)
  await reading.plan(names)
  return reading
}

export class SnapshotReading implements AsyncDisposable {
  readonly abort = new AbortController()
  readonly connections: Connections
  readonly events: SourceEvent[] = []
  readonly emit = (event: SourceEvent) => void this.events.push(event)
  queue = new BatchQueue<RowBatch>(65536)
  /** Rows taken from the queue, by table. */
  readonly rows: Record<string, number> = {}
  planned: readonly PlannedTable[] = []
  /** Rows may come in binary format. */
  takesBinary = false

  constructor(db: TestDatabase) {
    const options = parseConnectionString(db.url)
    this.connections = new Connections(options, options, this.abort.signal)
  }

  async plan(names: string): Promise<void> {
    const tables = await findTables(this.connections.control, parseTablePatterns(names))
    const wishes = { columns: [], keys: [], keyless: 'inserts', generated: 'none', serverVersion: 140000 } as const
    this.planned = planCapture(tables, wishes)
  }

  open(workers: number): Promise<SnapshotReaders> {
    const { connections, planned, emit } = this
    return SnapshotReaders.open({ connections, planned, workers, emit, signal: this.abort.signal })
  }

  /** Fills the queue; `take` empties it. */
  async read(readers: SnapshotReaders, snapshotName: string): Promise<void> {
    const { connections, planned, queue, emit } = this
    const types = new TypeCatalog(connections.control)
    await types.load(planned.flatMap(({ table }) => table.columns.map(({ typeOid }) => typeOid)))
    const definitions = new TypeDefinitions(connections.control)
    const compiler = {
      types,
      definitions,
      codecs: { bigNumbers: 'number', bytea: 'hex', timestamps: 'string' },
    } as const
    const reading = readSnapshot({
      readers,
      planned,
      tables: Promise.resolve(new Map(planned.map((one) => [one.table.oid, compileCatalogTable(one, compiler)]))),
      snapshotName,
      snapshotId: '0/0',
      batchBytes: 1,
      batchRows: Number.POSITIVE_INFINITY,
      takesBinary: this.takesBinary,
      queue,
      finished: () => {},
      onKeyed: undefined,
      deliver: (rows) => {
        queue.push(rows, rows.bytes)
        return undefined
      },
      emit,
      signal: this.abort.signal,
      control: connections.control,
    })
    try {
      await reading
      queue.end()
    } catch (error) {
      queue.fail(error)
      throw error
    }
  }

  /** Takes batches until the end, each only when the one before is `handled`. */
  async take(handled: () => Promise<unknown> | undefined = () => undefined): Promise<Record<string, number>> {
    for (let batch = await this.queue.next(); batch !== undefined; batch = await this.queue.next()) {
      const { name } = batch.tables[0]!
      this.rows[name] = (this.rows[name] ?? 0) + batch.count
      await handled()
    }
    return this.rows
  }

  told<T extends SourceEvent['type']>(type: T): Extract<SourceEvent, { type: T }>[] {
    const is = (event: SourceEvent): event is Extract<SourceEvent, { type: T }> => event.type === type
    return this.events.filter(is)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.abort.abort(new Error('the test is over'))
    await this.connections.close()
  }
}

/** Which of the server's processes are still there. */
export async function alive(db: TestDatabase, pids: readonly number[]): Promise<number[]> {
  const rows = await db.query<{ pid: number }>('SELECT pid FROM pg_stat_activity WHERE pid = ANY ($1)', [pids])
  return rows.map(({ pid }) => pid)
}

/** Until the server says that the process waits for a lock. */
export async function untilWaiting(db: TestDatabase, pid: number, options: Partial<WaitOptions> = {}): Promise<void> {
  const waits = async () => (await db.query('SELECT FROM pg_locks WHERE pid = $1 AND NOT granted', [pid])).length > 0
  await waitFor(waits, { what: `process ${pid} to wait for a lock`, ...options })
}
