import { sqlName } from '../../postgres/identifier.js'
import type { Queryable } from '../../postgres/queryable.js'
import type { SourceEvent } from '../events.js'
import { blockedBy } from './locks.js'

const LOOK_MS = 1000

/** Tells, once each, which sessions (a migration, and everyone queues behind it) wait for a lock that the readers hold. */
export class LockWatch {
  readonly #timer: NodeJS.Timeout
  readonly #reported = new Set<string>()

  constructor(queryable: Queryable, pids: readonly number[], emit: (event: SourceEvent) => void) {
    this.#timer = setInterval(() => void this.#look(queryable, pids, emit), LOOK_MS)
  }

  stop(): void {
    clearInterval(this.#timer)
  }

  async #look(queryable: Queryable, pids: readonly number[], emit: (event: SourceEvent) => void): Promise<void> {
    try {
      for (const { oid, pid, application, mode, ...name } of await blockedBy(queryable, pids)) {
        const key = `${pid} ${oid}`
        // Who waits for the end of a transaction (oid 0) holds nobody up in a table.
        if (oid === 0 || pid === undefined || this.#reported.has(key)) continue
        this.#reported.add(key)
        emit({ type: 'lock-waited-for', table: sqlName(name), pid, application, mode })
      }
    } catch {
      // Only a courtesy: the snapshot itself tells when the server is gone.
    }
  }
}
