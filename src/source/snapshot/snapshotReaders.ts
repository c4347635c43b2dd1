import { sleep } from '../../core/abort.js'
import { SNAPSHOT_DIFFERS, SNAPSHOT_INTERRUPTED } from '../../core/errors.js'
import type { CatalogTable } from '../../postgres/catalog/tables.js'
import { type QualifiedName, quoteLiteral, sqlName } from '../../postgres/identifier.js'
import { sqlstateOf } from '../../postgres/serverError.js'
import type { Session } from '../../postgres/session.js'
import type { PlannedTable } from '../capturePlan.js'
import type { Connections } from '../connections.js'
import type { SourceEvent } from '../events.js'
import { describeParty, inTheWayOf } from './locks.js'
import { lockSql } from './query.js'
import type { Relation } from './units.js'

export interface ReadersOptions {
  readonly connections: Connections
  readonly planned: readonly PlannedTable[]
  /** Readers at most. */
  readonly workers: number
  readonly emit: (event: SourceEvent) => void
  readonly signal: AbortSignal
}

const BEGIN = 'BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY'

const LOCK_NOT_AVAILABLE = '55P03'
const UNDEFINED_TABLE = '42P01'
const OUT_OF_MEMORY = '53200'

/** How long one relation is waited for before it is looked again who is in the way. */
const ROUND_MS = 2000
const PAUSE_MS = 100
const NEXT_REPORT_MS = 10_000

/**
 * Sessions that hold ACCESS SHARE on all tables, each in its own REPEATABLE READ READ ONLY transaction that has taken no
 * snapshot yet. All locks are taken before the snapshot is made, and none is asked for afterwards: a reader that asked
 * for one in the middle would stand behind a migration that itself waits for the other readers, and nobody would end.
 */
export class SnapshotReaders implements AsyncDisposable {
  /** The first is the holder: it has waited for its locks, the others got theirs at once. */
  readonly sessions: readonly Session[]
  readonly #connections: Connections
  readonly #open: Set<Session>
  #exported = false

  static async open(options: ReadersOptions): Promise<SnapshotReaders> {
    const { connections, planned, workers } = options
    const tables = planned.map(({ table }) => table)
    const first = await lockPatiently(tables, options)
    const more = Math.min(workers, await affordable(connections, tables)) - 1
    const opening = Array.from({ length: more }, () => lockAtOnce(tables, connections))
    const opened = await Promise.allSettled(opening)
    const others = opened.map((one) => (one.status === 'fulfilled' ? one.value : undefined))
    const readers = new SnapshotReaders(connections, [first, ...others.filter((one) => one !== undefined)])
    const failed = opened.find((one) => one.status === 'rejected')
    if (failed === undefined) return readers
    await readers.close()
    throw failed.reason
  }

  private constructor(connections: Connections, sessions: readonly Session[]) {
    this.#connections = connections
    this.sessions = sessions
    this.#open = new Set(sessions)
  }

  /** Of the server's processes. */
  get pids(): readonly number[] {
    return this.sessions.map(({ processId }) => processId)
  }

  /** For `snapshot: 'only'`: the first reader exports the snapshot in which all read. */
  async exportSnapshot(): Promise<string> {
    const [row] = await this.sessions[0]!.query<{ name: string }>('SELECT pg_catalog.pg_export_snapshot() AS name')
    this.#exported = true
    return row!.name
  }

  /**
   * Brings all readers into an exported snapshot, whose owner is free afterwards. Each proves that it reads in that
   * snapshot and has had its locks since before (design section 3, rule 8). What it is compared with came another way:
   * the transaction of the one that exported it, another reader's import, or with a single reader the import of a
   * session that is there for nothing else.
   */
  async enter(snapshotName: string, relations: readonly Relation[]): Promise<void> {
    const imports = `SET TRANSACTION SNAPSHOT ${quoteLiteral(snapshotName)}`
    const found = this.sessions.map(async (session, index) => {
      if (index > 0 || !this.#exported) await session.query(imports)
      await assertLocked(session, relations)
      return currentSnapshot(session)
    })
    if (this.sessions.length === 1 && !this.#exported) found.push(this.#witness(imports))
    const [expected, ...others] = await Promise.all(found)
    for (const snapshot of others) {
      if (snapshot !== expected) throw SNAPSHOT_DIFFERS({ expected: expected!, found: snapshot })
    }
  }

  /** Ends the transaction of a reader that has nothing more to read, and with it its locks. */
  async release(session: Session): Promise<void> {
    await session.query('COMMIT')
    this.#open.delete(session)
    await session.close()
  }

  /** Cuts the readers that are still there, whatever they do at that moment. */
  abandon(): void {
    for (const session of this.#open) this.#connections.control.abandon(session)
    this.#open.clear()
  }

  async close(): Promise<void> {
    const open = [...this.#open]
    this.#open.clear()
    await Promise.all(open.map((session) => session.close()))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async #witness(imports: string): Promise<string> {
    await using session = await this.#connections.ordinary()
    await session.query(BEGIN)
    await session.query(imports)
    return await currentSnapshot(session)
  }
}

async function currentSnapshot(session: Session): Promise<string> {
  const [row] = await session.query<{ snapshot: string }>(
    'SELECT pg_catalog.pg_current_snapshot()::pg_catalog.text AS snapshot',
  )
  return row!.snapshot
}

/** A partition may have been attached after the lock, which ATTACH PARTITION does not wait for. */
async function assertLocked(session: Session, relations: readonly Relation[]): Promise<void> {
  const unlocked = await session.query<{ oid: string }>(
    `SELECT r.oid::pg_catalog.text AS oid
       FROM pg_catalog.unnest($1::pg_catalog.oid[]) AS r (oid)
      WHERE NOT EXISTS (
        SELECT FROM pg_catalog.pg_locks l
         WHERE l.pid = pg_catalog.pg_backend_pid() AND l.relation = r.oid AND l.granted)`,
    [relations.map(({ oid }) => oid)],
  )
  if (unlocked.length === 0) return
  const names = relations.filter(({ oid }) => unlocked.some((one) => Number(one.oid) === oid)).map(sqlName)
  throw SNAPSHOT_INTERRUPTED({ problem: `${names.join(', ')} became a partition while the tables were locked` })
}

/**
 * How many readers may lock the tables without taking the server's lock table from the application, which would fail
 * with "out of shared memory": together they use a quarter of what it has room for.
 */
async function affordable({ control }: Connections, tables: readonly CatalogTable[]): Promise<number> {
  const [row] = await control.query<{ locks: number }>(
    `SELECT current_setting('max_locks_per_transaction')::pg_catalog.int4
          * (current_setting('max_connections')::pg_catalog.int4
           + current_setting('max_prepared_transactions')::pg_catalog.int4) AS locks`,
  )
  const relations = tables.reduce((sum, { partitions }) => sum + 1 + partitions.length, 0)
  // Each lock has room for two holders ("lock.c": max_table_size * 2).
  return Math.max(1, Math.floor(row!.locks / 2 / relations))
}

/**
 * A session with all locks, however long they take. It never waits while it holds one: a migration that has a table and
 * wants another could else be chosen by the server's deadlock detector to make room for us. So either all are there at
 * once, or one that was missing is waited for alone, in rounds.
 */
async function lockPatiently(
  tables: readonly CatalogTable[],
  { connections, emit, signal }: ReadersOptions,
): Promise<Session> {
  const session = await connections.ordinary()
  const oids = tables.map(({ oid }) => oid)
  const lockable = new Set(tables.flatMap((table) => [table.oid, ...lockableLeaves(table)]))
  const since = performance.now()
  let awaited: QualifiedName | undefined
  try {
    for (let reportAt = ROUND_MS; ; ) {
      if (await connections.interruptible(session, tryLock(session, tables, awaited))) return session
      const holders = await inTheWayOf(connections.control, oids)
      awaited = holders.find(({ oid }) => lockable.has(oid))
      const waitedMs = performance.now() - since
      if (waitedMs >= reportAt) {
        reportAt = waitedMs + NEXT_REPORT_MS
        emit({ type: 'waiting-for-lock', seconds: Math.round(waitedMs / 1000), holders: holders.map(describeParty) })
      }
      if (awaited === undefined) await sleep(PAUSE_MS, signal)
    }
  } catch (error) {
    await session.close()
    signal.throwIfAborted()
    throw error
  }
}

/** LOCK TABLE takes a foreign table only as part of its root's tree. */
function lockableLeaves({ partitions }: CatalogTable): number[] {
  return partitions.filter(({ kind }) => kind === 'ordinary').map(({ oid }) => oid)
}

/**
 * A further session with all locks, if they can be had at once: else somebody waits for the first one's, and who came
 * behind would make him wait longer. Also none if the lock table is full.
 */
async function lockAtOnce(tables: readonly CatalogTable[], connections: Connections): Promise<Session | undefined> {
  const session = await connections.ordinary()
  try {
    if (await tryLock(session, tables, undefined)) return session
  } catch (error) {
    if (sqlstateOf(error) !== OUT_OF_MEMORY) {
      await session.close()
      throw error
    }
  }
  await session.close()
  return undefined
}

/** Whether the session now has all locks; it waits for `awaited` only, and holds nothing then. Takes no snapshot. */
async function tryLock(
  session: Session,
  tables: readonly CatalogTable[],
  awaited: QualifiedName | undefined,
): Promise<boolean> {
  await session.query(BEGIN)
  try {
    if (awaited !== undefined) {
      await session.query(`SET LOCAL lock_timeout = ${ROUND_MS}`)
      await session.query(`LOCK TABLE ONLY ${sqlName(awaited)} IN ACCESS SHARE MODE`)
      await session.query('SET LOCAL lock_timeout = 0')
    }
    await session.query(`${lockSql(tables)} NOWAIT`)
    return true
  } catch (error) {
    const sqlstate = sqlstateOf(error)
    const gone = awaited !== undefined && sqlstate === UNDEFINED_TABLE
    if (sqlstate !== LOCK_NOT_AVAILABLE && !gone) throw error
    await session.query('ROLLBACK')
    return false
  }
}
