import { sleep } from '../core/abort.js'
import { PUBLICATION_CHANGED } from '../core/errors.js'
import type { TailraceError } from '../core/tailraceError.js'
import { formatLsn, type Lsn, parseLsn } from '../postgres/lsn.js'
import { type PublicationStates, publicationChange, publicationStates } from '../postgres/publicationState.js'
import type { Queryable } from '../postgres/queryable.js'

/** How often to look when nothing has to be confirmed. */
const LOOK_MS = 5000
/** A look for something that waits to be confirmed comes no sooner than this after the last one. */
const PAUSE_MS = 500
/**
 * How long a look waits for the transactions that were running when it began: one of them may have written its commit
 * and not be visible yet. Longer than this only a commit takes that waits for a synchronous standby.
 */
const RUNNING_MS = 3000
/** The same for the last look, which the end of the run waits for. */
const LAST_RUNNING_MS = 500
const FIRST_POLL_MS = 10

export interface WatchedPublications {
  readonly names: readonly string[]
  /** OIDs of the captured tables and their ancestors. */
  readonly tables: readonly number[]
  readonly serverVersion: number
  /** As they were before the first change that is read was judged by them. */
  readonly states: PublicationStates
}

/** The state that later looks are compared with. */
export async function watchedPublications(
  queryable: Queryable,
  watched: Omit<WatchedPublications, 'states'>,
): Promise<WatchedPublications> {
  const { names, tables, serverVersion } = watched
  return { ...watched, states: await publicationStates(queryable, names, tables, serverVersion) }
}

export interface PublicationWatchOptions {
  readonly publications: WatchedPublications
  readonly queryable: Queryable
  /** Whatever committed before `lsn` was judged by the publications that we know. */
  readonly onUnchanged: (lsn: Lsn) => void
  /** True: go on, and hold what is now for right. False: nothing is looked at afterwards. */
  readonly onChanged: (change: TailraceError) => boolean
}

/**
 * Looks at the publications again and again while the stream runs (design section 3, rule 9). pgoutput judges each
 * change by the publications as they were at that change, and PostgreSQL 18 passes over a missing one without a word:
 * what somebody altered may have cost changes. What is confirmed stays behind the last look that found them unchanged.
 */
export class PublicationWatch {
  readonly #options: PublicationWatchOptions
  readonly #stopping = new AbortController()
  readonly #timer: NodeJS.Timeout
  #states: PublicationStates
  #looking: Promise<void> | undefined
  #again = false
  #ending: Promise<void> | undefined
  #lookedAt = Number.NEGATIVE_INFINITY
  /** Behind the last look that found nothing. */
  #unchangedTo: Lsn | undefined
  #stopped = false

  constructor(options: PublicationWatchOptions) {
    this.#options = options
    this.#states = options.publications.states
    this.#timer = setInterval(() => void this.look(), LOOK_MS)
  }

  /** Something waits to be confirmed. Never rejects: what cannot be asked now is asked at the next look. */
  look(): Promise<void> {
    // One that is under way may have begun before.
    this.#again = this.#looking !== undefined
    this.#looking ??= this.#pauseAndLook().finally(() => {
      this.#looking = undefined
      if (this.#again) void this.look()
    })
    return this.#looking
  }

  /** No look follows but, where `needed`, a last one: what was acknowledged until now can be confirmed. */
  end(needed: boolean): Promise<void> {
    this.#ending ??= this.#end(needed)
    return this.#ending
  }

  async #end(needed: boolean): Promise<void> {
    clearInterval(this.#timer)
    this.#stopping.abort()
    await this.#looking
    if (needed && !this.#stopped) await this.#look(LAST_RUNNING_MS).catch(() => {})
    this.#stopped = true
  }

  async #pauseAndLook(): Promise<void> {
    const { signal } = this.#stopping
    const pauseMs = this.#lookedAt + PAUSE_MS - performance.now()
    if (pauseMs > 0) await sleep(pauseMs, signal).catch(() => {})
    if (this.#stopped || signal.aborted) return
    // The stream itself tells when the server is gone.
    await this.#look(RUNNING_MS).catch(() => {})
    this.#lookedAt = performance.now()
  }

  async #look(runningMs: number): Promise<void> {
    const { publications, queryable, onUnchanged, onChanged } = this.#options
    const { names, tables, serverVersion } = publications
    const lsn = await committedBefore(queryable, runningMs)
    const found = await publicationStates(queryable, names, tables, serverVersion)
    if (this.#stopped) return
    const change = publicationChange(this.#states, found)
    if (change === undefined) {
      this.#unchangedTo = lsn
      onUnchanged(lsn)
      return
    }
    const from = this.#unchangedTo === undefined ? 'the start of this run' : formatLsn(this.#unchangedTo)
    if (onChanged(PUBLICATION_CHANGED({ change, from, to: formatLsn(lsn) }))) {
      this.#states = found
      return
    }
    this.#stopped = true
    clearInterval(this.#timer)
  }
}

/**
 * An LSN such that everything which commits before it is visible to a statement begun now. A commit is in the WAL
 * before others see it; until they do its transaction holds the lock on its own xid.
 */
async function committedBefore(queryable: Queryable, runningMs: number): Promise<Lsn> {
  const [row] = await queryable.query<{ lsn: string; standby: boolean }>(
    `SELECT CASE WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_last_wal_replay_lsn()
                 ELSE pg_catalog.pg_current_wal_insert_lsn() END::pg_catalog.text AS lsn,
            pg_catalog.pg_is_in_recovery() AS standby`,
  )
  const lsn = parseLsn(row!.lsn)!
  // Replay makes a commit visible when it is past it.
  if (row!.standby) return lsn
  const deadline = performance.now() + runningMs
  let left = await runningXids(queryable, undefined)
  for (let pollMs = FIRST_POLL_MS; left.length > 0 && performance.now() < deadline; pollMs *= 2) {
    await sleep(pollMs)
    left = await runningXids(queryable, left)
  }
  return lsn
}

async function runningXids(queryable: Queryable, among: readonly string[] | undefined): Promise<readonly string[]> {
  const rows = await queryable.query<{ xid: string }>(
    `SELECT l.transactionid::pg_catalog.text AS xid
       FROM pg_catalog.pg_locks l
      WHERE l.locktype = 'transactionid' AND l.mode = 'ExclusiveLock' AND l.granted
        AND ($1::pg_catalog.text[] IS NULL OR l.transactionid::pg_catalog.text = ANY ($1))`,
    [among ?? null],
  )
  return rows.map(({ xid }) => xid)
}
