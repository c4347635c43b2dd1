import type { ScriptPart, ScriptPipe } from '../postgres/copy/script.js'
import type { Session } from '../postgres/session.js'
import type { LoadedStep } from './applier.js'

/** A transaction that waits for its turn longer than this is rolled back: it holds locks. */
const LONGEST_WAIT_MS = 500
/** One that waits for somebody's lock is not waited for longer than this: its session is given up. */
const LONGEST_UNDO_MS = 2000

export interface BatchesAheadOptions<B extends object> {
  readonly session: Session
  readonly pipe: ScriptPipe
  /** Makes a batch ready, without the server; undefined: it is not to be, or cannot be. */
  readonly load: (batch: B) => readonly LoadedStep[] | undefined
  /** What begins and fills the transaction of a batch behind the one that is being committed; undefined: it has to wait. */
  readonly scriptOf: (batch: B, loaded: readonly LoadedStep[]) => readonly ScriptPart[] | undefined
}

/** What was done of a batch whose turn has come: its rows are written in an open transaction when `written` resolves, or ready to be. */
export interface Ready {
  readonly loaded?: readonly LoadedStep[]
  readonly written?: Promise<void>
}

/**
 * The batches behind the one that is being written. The next one is sent behind it, up to its commit: so the server goes on
 * with it at once, and nothing but its turn commits it. Should the one in front fail, it is refused with it: it begins with a look at
 * the checkpoint, which is then not where it has to be.
 */
export class BatchesAhead<B extends object> {
  readonly #options: BatchesAheadOptions<B>
  /** To come, in order. */
  #told: B[] = []
  #loaded: { readonly batch: B; readonly steps: readonly LoadedStep[] } | undefined
  #sent: { readonly batch: B; readonly written: Promise<void> } | undefined
  #isTooLate: NodeJS.Timeout | undefined
  #rollback: Promise<void> | undefined
  /** The first that was told when one came that was not. */
  #passedBy: B | undefined
  /** The commit of the batch whose turn it is was sent. */
  #isEnding = false

  constructor(options: BatchesAheadOptions<B>) {
    this.#options = options
  }

  /** A transaction is open, or will be, that was not committed. */
  get isOpen(): boolean {
    return this.#sent !== undefined || this.#rollback !== undefined
  }

  /** Behind all that it was told of. */
  tell(batch: B): void {
    this.#told.push(batch)
    this.#advance()
  }

  /** The turn of a batch. Where another one was sent it is rolled back first. */
  async take(batch: B): Promise<Ready> {
    clearTimeout(this.#isTooLate)
    if (this.#sent?.batch === batch) {
      const { written } = this.#sent
      this.#sent = undefined
      return { written }
    }
    if (this.#sent !== undefined) this.#undo()
    await this.#rollback
    if (this.#loaded?.batch === batch) {
      const { steps } = this.#loaded
      this.#loaded = undefined
      return { loaded: steps }
    }
    const toldAt = this.#told.indexOf(batch)
    if (toldAt >= 0) {
      // Others were to come before it.
      this.#loaded = undefined
      this.#told.splice(0, toldAt + 1)
    } else this.#passBy()
    return {}
  }

  /** Whoever tells at once does so before the turn of the batch in front has come; what is passed by once more will not come. */
  #passBy(): void {
    const first = this.#loaded?.batch ?? this.#told[0]
    if (first !== undefined && first === this.#passedBy) this.forget()
    else this.#passedBy = first
  }

  /** Sends what is left of the batch whose turn it is, its commit at the end, and whatever can be sent behind it. */
  async finish(parts: readonly ScriptPart[]): Promise<void> {
    const done = this.#options.pipe.send(parts)
    this.#isEnding = true
    this.#advance()
    try {
      await done
    } finally {
      this.#isEnding = false
    }
  }

  /** Makes the next one ready, and sends it if its turn is next. */
  #advance(): void {
    const { load, scriptOf, pipe } = this.#options
    for (;;) {
      this.#load(load)
      if (this.#loaded === undefined || this.isOpen || !this.#isEnding) return
      const { batch, steps } = this.#loaded
      const script = scriptOf(batch, steps)
      if (script === undefined) return
      this.#loaded = undefined
      const written = pipe.send(script)
      this.#sent = { batch, written }
      written.then(
        () => this.#wait(batch),
        () => {},
      )
    }
  }

  /** The session is to be asked something else: rolls back what is open. */
  async clear(): Promise<void> {
    clearTimeout(this.#isTooLate)
    if (this.#sent !== undefined) this.#undo()
    await this.#rollback
  }

  /** Whoever took the last one rolls back, or has lost the session. */
  forget(): void {
    clearTimeout(this.#isTooLate)
    this.#told = []
    this.#loaded = this.#sent = this.#passedBy = undefined
  }

  #load(load: BatchesAheadOptions<B>['load']): void {
    while (this.#loaded === undefined && this.#told.length > 0) {
      const steps = load(this.#told[0]!)
      if (steps === undefined) return
      this.#loaded = { batch: this.#told.shift()!, steps }
    }
  }

  #wait(batch: B): void {
    if (this.#sent?.batch !== batch) return
    this.#isTooLate = setTimeout(() => this.#undo(), LONGEST_WAIT_MS).unref()
  }

  #undo(): void {
    const { written } = this.#sent!
    this.forget()
    const roll = async () => {
      const tooLong = setTimeout(() => this.#options.session.destroy(), LONGEST_UNDO_MS)
      await written.catch(() => {})
      clearTimeout(tooLong)
      await this.#options.session.query('ROLLBACK')
    }
    this.#rollback = roll()
      // A lost session has nothing open.
      .catch(() => {})
      .finally(() => {
        this.#rollback = undefined
      })
  }
}
