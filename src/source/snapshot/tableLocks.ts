import { sleep } from '../../core/abort.js'
import type { CatalogTable } from '../../postgres/catalog/tables.js'
import { type QualifiedName, sqlName } from '../../postgres/identifier.js'
import type { Queryable } from '../../postgres/queryable.js'
import { sqlstateOf } from '../../postgres/serverError.js'
import type { Session } from '../../postgres/session.js'
import type { SourceEvent } from '../events.js'
import { describeParty, inTheWayOf } from './locks.js'
import { lockSql } from './query.js'

export interface LockWait {
  readonly emit: (event: SourceEvent) => void
  readonly signal: AbortSignal
}

export const BEGIN = 'BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY'

const LOCK_NOT_AVAILABLE = '55P03'
const UNDEFINED_TABLE = '42P01'
const OUT_OF_MEMORY = '53200'

/** How long one relation is waited for before it is looked again who is in the way. */
const ROUND_MS = 2000
const PAUSE_MS = 100
const NEXT_REPORT_MS = 10_000

/**
 * How many readers may lock the tables without taking the server's lock table from the application, which would fail
 * with "out of shared memory": together they use a quarter of what it has room for.
 */
export async function affordableReaders(control: Queryable, tables: readonly CatalogTable[]): Promise<number> {
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
 * Begins a transaction that holds all locks, however long they take. It never waits while it holds one: the server's
 * deadlock detector could else end a migration that has one of the tables and wants another. So either all are there at
 * once, or one that was missing is waited for alone, in rounds.
 */
export async function lockOn(
  session: Session,
  control: Queryable,
  tables: readonly CatalogTable[],
  { emit, signal }: LockWait,
): Promise<void> {
  const oids = tables.map(({ oid }) => oid)
  const lockable = new Set(tables.flatMap((table) => [table.oid, ...lockableLeaves(table)]))
  const since = performance.now()
  let awaited: QualifiedName | undefined
  for (let reportAt = ROUND_MS; ; ) {
    if (await tryLock(session, tables, awaited)) return
    const holders = await inTheWayOf(control, oids)
    awaited = holders.find(({ oid }) => lockable.has(oid))
    const waitedMs = performance.now() - since
    if (waitedMs >= reportAt) {
      reportAt = waitedMs + NEXT_REPORT_MS
      emit({ type: 'waiting-for-lock', seconds: Math.round(waitedMs / 1000), holders: holders.map(describeParty) })
    }
    if (awaited === undefined) await sleep(PAUSE_MS, signal)
  }
}

/** LOCK TABLE takes a foreign table only as part of its root's tree. */
function lockableLeaves({ partitions }: CatalogTable): number[] {
  return partitions.filter(({ kind }) => kind === 'ordinary').map(({ oid }) => oid)
}

/**
 * `session` with all locks, if they can be had at once: else somebody waits for the first one's, and who came
 * behind would make him wait longer. Also none if the lock table is full.
 */
export async function lockAtOnce(session: Session, tables: readonly CatalogTable[]): Promise<Session | undefined> {
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
