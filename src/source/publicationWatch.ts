import { sleep } from '../core/abort.js'
import { PUBLICATION_CHANGED } from '../core/errors.js'
import type { TailraceError } from '../core/tailraceError.js'
import { PUBLICATIONS_UNSEEN } from '../core/warnings.js'
import { formatLsn, type Lsn } from '../postgres/lsn.js'
import {
  type PublicationQuestion,
  type PublicationStates,
  publicationChange,
  publicationStates,
  sameStates,
} from '../postgres/publicationState.js'
import { describeCause } from '../postgres/serverError.js'
import { visibleLsn } from '../postgres/visibleLsn.js'
import type { ControlSession } from './controlSession.js'
import type { SourceEvent } from './events.js'

/** How often to look when nothing has to be confirmed. */
const LOOK_MS = 5000
/** A look for something that waits to be confirmed comes no sooner than this after the last one. */
const PAUSE_MS = 500
/** How long a look waits for the transactions that were running when it began; the last one the run's end waits for. */
const RUNNING_MS = 3000
const LAST_RUNNING_MS = 500
/** A look that takes longer is on a connection that died in silence. */
const LIMIT_MS = 15_000
/** So long without a look, and whoever wonders why nothing is confirmed is told. */
const UNSEEN_MS = 30_000

export interface WatchedPublications extends PublicationQuestion {
  /** As they were before the first change that is read was judged by them. */
  readonly states: PublicationStates
}

/** The state that later looks are compared with. */
export async function watchedPublications(
  queryable: ControlSession,
  question: PublicationQuestion,
): Promise<WatchedPublications> {
  return { ...question, states: await publicationStates(queryable, question, true) }
}

export interface PublicationWatchOptions {
  readonly publications: WatchedPublications
  readonly control: ControlSession
  /** Whether `control` asks the server that the stream comes from: what another one says is no matter. */
  readonly isOurServer: () => Promise<boolean>
  /** Whatever committed before `lsn` was judged by the publications that we know. */
  readonly onUnchanged: (lsn: Lsn, states: PublicationStates, tables: readonly number[]) => void
  /** True: go on, and hold what is now for right. False: nothing is looked at afterwards. */
  readonly onChanged: (change: TailraceError) => boolean
  readonly emit: (event: SourceEvent) => void
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
  #question: PublicationQuestion
  #states: PublicationStates
  /** We alter the publications ourselves: nobody looks meanwhile. */
  #altering: Promise<unknown> | undefined
  #looking: Promise<void> | undefined
  #ending: Promise<void> | undefined
  #again = false
  #lookedAt = Number.NEGATIVE_INFINITY
  /** When a look last brought something. */
  #seenAt = performance.now()
  /** Behind the last look that found nothing. */
  #unchangedTo: Lsn | undefined
  #stopped = false

  constructor(options: PublicationWatchOptions) {
    this.#options = options
    this.#question = options.publications
    this.#states = options.publications.states
    this.#timer = setInterval(() => void this.look(), LOOK_MS)
  }

  /** Of the publications that are watched. */
  get names(): readonly string[] {
    return this.#question.names
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

  /** Alters the publications; what they are afterwards is held for right. */
  async altering<T>(work: () => Promise<{ readonly result: T; readonly watched: WatchedPublications }>): Promise<T> {
    await this.#looking
    const altering = work()
    this.#altering = altering.catch(() => {})
    try {
      const { result, watched } = await altering
      this.#question = watched
      this.#states = watched.states
      return result
    } finally {
      this.#altering = undefined
    }
  }

  /** Fewer tables are watched from now on; gives how they are published. What somebody altered before is told first. */
  narrow(question: PublicationQuestion): Promise<PublicationStates> {
    const { control } = this.#options
    return this.altering(async () => {
      const { lsn } = await visibleLsn(control, 0)
      const states = await publicationStates(control, question, true)
      const before = new Map([...this.#states].filter(([name]) => states.has(name)))
      const change = publicationChange(before, states)
      if (change !== undefined) {
        const error = this.#error(change, lsn)
        if (this.#stopsBy(error)) throw error
      }
      return { result: states, watched: { ...question, states } }
    })
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
    const { control } = this.#options
    const limit = setTimeout(() => control.renew(), LIMIT_MS)
    try {
      await this.#look(RUNNING_MS, signal)
      this.#seenAt = performance.now()
    } catch (cause) {
      if (!signal.aborted) this.#failed(cause)
    } finally {
      clearTimeout(limit)
      this.#lookedAt = performance.now()
    }
  }

  /** The stream itself tells when the server is gone; but it may be there, and only this not be had. */
  #failed(cause: unknown): void {
    const unseenMs = performance.now() - this.#seenAt
    if (unseenMs < UNSEEN_MS) return
    this.#seenAt = performance.now()
    this.#options.emit(PUBLICATIONS_UNSEEN({ seconds: Math.round(unseenMs / 1000), problem: describeCause(cause) }))
  }

  async #look(runningMs: number, signal?: AbortSignal): Promise<void> {
    await this.#altering
    const { control, isOurServer, onUnchanged } = this.#options
    const publications = this.#question
    const lsn = await visibleLsn(control, runningMs, signal)
    let found = await publicationStates(control, publications, false)
    let change: string | undefined
    if (!sameStates(this.#states, found)) {
      found = await publicationStates(control, publications, true)
      change = publicationChange(this.#states, found)
    }
    if (this.#stopped) return
    if (!(await isOurServer())) throw new Error('the server that was asked is not the one that streams')
    if (this.#stopped) return
    if (change === undefined) {
      this.#hold(found)
      if (!lsn.certain) return
      this.#unchangedTo = lsn.lsn
      onUnchanged(lsn.lsn, this.#states, this.#question.tables)
      return
    }
    if (!this.#stopsBy(this.#error(change, lsn.lsn))) this.#hold(found)
  }

  #error(change: string, to: Lsn): TailraceError {
    const from = this.#unchangedTo === undefined ? 'the start of this run' : formatLsn(this.#unchangedTo)
    return PUBLICATION_CHANGED({ change, from, to: formatLsn(to) })
  }

  #stopsBy(change: TailraceError): boolean {
    if (this.#options.onChanged(change)) return false
    this.#stopped = true
    clearInterval(this.#timer)
    return true
  }

  /** What later looks are compared with; an ordinary look brings no details, and has changed none. */
  #hold(found: PublicationStates): void {
    this.#states = new Map(
      [...found].map(([name, state]) => [name, { ...state, tables: state.tables ?? this.#states.get(name)?.tables }]),
    )
  }
}
