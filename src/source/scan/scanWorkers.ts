import { sleep } from '../../core/abort.js'
import { backoffMs } from '../../core/backoff.js'
import { type Deferred, deferred } from '../../core/deferred.js'
import { SNAPSHOT_INTERRUPTED } from '../../core/errors.js'
import { sqlName } from '../../postgres/identifier.js'
import { describeCause, isTransient } from '../../postgres/serverError.js'
import type { Session } from '../../postgres/session.js'
import type { TableProgress } from './progress.js'
import type { TableScan } from './tableScan.js'

export interface ScanWorkersOptions {
  /** At most so many tables are read at a time, each by a session of its own. */
  readonly workers: number
  readonly connect: () => Promise<Session>
  /** A table to be read that nobody reads. */
  readonly next: () => TableScan | undefined
  /** Reads a chunk of it. */
  readonly read: (session: Session, scan: TableScan) => Promise<void>
  readonly signal: AbortSignal
}

const BACKOFF = { firstMs: 100, maxMs: 5000 }

/** Reads tables, each to its end, as long as there are any; waits for more. Lost connections are made anew. */
export class ScanWorkers {
  readonly #options: ScanWorkersOptions
  readonly #failed = deferred()
  readonly #busy = new Set<TableScan>()
  readonly #over = new AbortController()
  #sleeping: Deferred<void>[] = []
  #paused = false

  constructor(options: ScanWorkersOptions) {
    this.#options = options
    this.#failed.promise.catch(() => {})
  }

  busyWith(scan: TableScan | undefined): boolean {
    return scan !== undefined && this.#busy.has(scan)
  }

  /** Resolves when it was closed; rejects with what a worker failed with, and waiting does not mend. */
  async run(): Promise<void> {
    const working = Array.from({ length: this.#options.workers }, () => this.#work())
    await Promise.race([this.#failed.promise, Promise.all(working)])
  }

  /** Nothing is read any more. */
  fail(error: unknown): void {
    this.#failed.reject(error)
    this.close()
  }

  /** There may be something to do. */
  wake(): void {
    for (const one of this.#sleeping.splice(0)) one.resolve()
  }

  /** While it is paused no chunk is begun. */
  pause(paused: boolean): void {
    this.#paused = paused
    this.wake()
  }

  close(): void {
    this.#over.abort()
    this.wake()
  }

  async #work(): Promise<void> {
    const { connect, next, read } = this.#options
    const signal = AbortSignal.any([this.#options.signal, this.#over.signal])
    let session: Session | undefined
    let attempt = 0
    while (!signal.aborted) {
      const scan = this.#paused ? undefined : next()
      if (scan === undefined) {
        // Before anything is waited for: what comes meanwhile is for this worker, too.
        const woken = this.#woken()
        await session?.close()
        session = undefined
        await woken
        continue
      }
      this.#busy.add(scan)
      try {
        session ??= await connect()
        while (scan.unread && !this.#paused && !signal.aborted && this.#busy.has(scan)) {
          await read(session, scan)
          attempt = 0
        }
      } catch (error) {
        session?.destroy()
        session = undefined
        if (signal.aborted) break
        if (!isTransient(error)) this.fail(error)
        else if (scan.progress.begun && this.#busy.has(scan)) this.fail(interrupted(scan.progress, error))
        await sleep(backoffMs(++attempt, BACKOFF), signal).catch(() => {})
      } finally {
        this.#busy.delete(scan)
      }
    }
    await session?.close()
  }

  #woken(): Promise<void> {
    const one = deferred()
    this.#sleeping.push(one)
    return one.promise
  }

  /** Nobody is to go on reading it. */
  leave(scan: TableScan): void {
    this.#busy.delete(scan)
  }
}

/** Rows of a table that is read whole were handed on, and cannot be taken back. */
function interrupted(table: TableProgress, cause: unknown): Error {
  const problem = `${sqlName(table)} has no key to go on from (${describeCause(cause)})`
  return SNAPSHOT_INTERRUPTED({ problem }, { cause })
}
