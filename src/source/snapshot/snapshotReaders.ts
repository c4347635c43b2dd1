import { SNAPSHOT_DIFFERS, SNAPSHOT_INTERRUPTED } from '../../core/errors.js'
import { quoteLiteral, sqlName } from '../../postgres/identifier.js'
import type { Session } from '../../postgres/session.js'
import type { PlannedTable } from '../capturePlan.js'
import type { Connections } from '../connections.js'
import type { SourceEvent } from '../events.js'
import { affordableReaders, BEGIN, lockAtOnce, lockOn } from './tableLocks.js'
import type { Relation } from './units.js'

export interface ReadersOptions {
  readonly connections: Connections
  readonly planned: readonly PlannedTable[]
  /** Readers at most. */
  readonly workers: number
  readonly emit: (event: SourceEvent) => void
  readonly signal: AbortSignal
}

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
    const { connections, planned, workers, signal } = options
    const tables = planned.map(({ table }) => table)
    const opening = Array.from({ length: workers }, () => connections.ordinary())
    try {
      const [affordable, first, ...others] = await Promise.all([
        affordableReaders(connections.control, tables),
        ...opening,
      ] as const)
      await lockOn(first!, connections.control, tables, options)
      const locking = others.map(async (session, index) => {
        if (index + 1 >= affordable) return void (await session.close())
        // The first may have waited for long.
        return lockAtOnce(connections.isOpen(session) ? session : await connections.ordinary(), tables)
      })
      const locked = await Promise.all(locking)
      return new SnapshotReaders(connections, [first!, ...locked.filter((one) => one !== undefined)])
    } catch (error) {
      await Promise.all(opening.map((one) => one.then((session) => session.close()).catch(() => {})))
      signal.throwIfAborted()
      throw error
    }
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
