import { runScript, type ScriptPart } from '../postgres/copy/script.js'
import type { Queryable } from '../postgres/queryable.js'
import type { Session } from '../postgres/session.js'
import { type Backend, terminate, type WriteSession } from './writeSession.js'

/**
 * A copy waits for nobody: who holds what it needs may be a copy behind it, whose own commit waits for this one, here, where
 * the server cannot see it. What waits longer is written by itself, one batch after another.
 */
const LOCK_TIMEOUT = '2s'
const BEGIN = `BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL lock_timeout = '${LOCK_TIMEOUT}'`

/** After so many batches that went another way the first copy is over, and nobody needs the connections. */
const UNUSED = 16

export interface CopiesAheadOptions {
  /** How many batches are copied at a time. */
  readonly most: number
  readonly connect: () => Promise<WriteSession>
}

/** Undefined: what must not be copied beside others. */
type CopiesOf = () => readonly ScriptPart[] | undefined

/** A batch that is being copied in a transaction of its own, which nothing but {@link CopiesAhead.commit} commits. */
interface Copying {
  readonly batch: object
  readonly worker: Worker
  /** All its rows are there. */
  readonly copied: Promise<void>
}

/**
 * Rows of batches that follow one another, copied side by side over several connections and committed strictly in their
 * order, each with its position: so what is committed is always a beginning of the stream, as it is with one connection,
 * and whatever is killed leaves nothing but transactions that the server rolls back.
 */
export class CopiesAhead {
  readonly #options: CopiesAheadOptions
  readonly #idle: Worker[] = []
  #copying: Copying[] = []
  /** In order: to come behind those, and not begun yet. */
  #told: { readonly batch: object; readonly copies: CopiesOf }[] = []
  /** Something failed, and may fail again: batches are written one after another from now on. */
  #given = false
  /** Batches that went another way, one after another. */
  #unused = 0
  /** Of connections that were cut: the server may not know of that. */
  #cut: Backend[] = []

  constructor(options: CopiesAheadOptions) {
    this.#options = options
  }

  /** Whether something is being copied. */
  get isBusy(): boolean {
    return this.#copying.length > 0
  }

  /** A batch is to come behind all that it was told of. Begins to copy it where those before it are being copied. Never fails. */
  tell(batch: object, copies: CopiesOf): void {
    this.#told.push({ batch, copies })
    if (this.isBusy) this.#advance()
  }

  /**
   * The batch is to be written now. True: it is being copied, with those behind it that can be. False: nothing is, and it
   * is to be written as any other. Throws where something else was to come.
   */
  reached(batch: object, copies: CopiesOf): boolean {
    if (this.isBusy) {
      if (this.#copying[0]!.batch !== batch) throw new Error('another batch was to come next')
      return true
    }
    if (this.#told.shift()?.batch !== batch) this.#told = []
    this.#told.unshift({ batch, copies })
    this.#advance()
    if (this.isBusy) this.#unused = 0
    else {
      this.#told.shift()
      if (++this.#unused === UNUSED) for (const worker of this.#idle.splice(0)) worker.end()
    }
    return this.isBusy
  }

  /** Commits the next of what was begun, with `ending` behind its rows. Where it rejects nothing is known of that. */
  async commit(ending: string): Promise<void> {
    const { worker, copied } = this.#copying[0]!
    await copied
    await worker.query(ending)
    this.#copying.shift()
    this.#idle.push(worker)
    if (this.isBusy) this.#advance()
  }

  /** In order: behind one that cannot be copied beside others none is. */
  #advance(): void {
    while (!this.#given && this.#copying.length < this.#options.most && this.#told.length > 0) {
      const { batch, copies } = this.#told[0]!
      const parts = copies()
      if (parts === undefined) return
      this.#told.shift()
      const worker = this.#idle.pop() ?? new Worker(this.#options.connect)
      const copied = worker.run([BEGIN, ...parts])
      copied.catch(() => {})
      this.#copying.push({ batch, worker, copied })
    }
  }

  /** Nothing that was begun will be committed; nor will anything be begun again. */
  async giveUp(through: Queryable): Promise<void> {
    this.close()
    if (this.#cut.length > 0) await terminate(through, this.#cut)
    this.#cut = []
  }

  /** Cuts all connections. */
  close(): void {
    this.#given = true
    const workers = [...this.#copying.map(({ worker }) => worker), ...this.#idle]
    this.#copying = []
    this.#told = []
    this.#idle.length = 0
    this.#cut.push(...workers.map((worker) => worker.destroy()).filter((backend) => backend !== undefined))
  }
}

/** One connection, made when it is needed first. */
class Worker {
  readonly #connected: Promise<WriteSession>
  #session: Session | undefined
  #backend: Backend | undefined
  #destroyed = false

  constructor(connect: () => Promise<WriteSession>) {
    this.#connected = connect().then((one) => {
      this.#session = one.session
      this.#backend = one.backend
      if (this.#destroyed) one.session.destroy()
      return one
    })
    this.#connected.catch(() => {})
  }

  async run(parts: readonly ScriptPart[]): Promise<void> {
    const { session } = await this.#connected
    await runScript(session, parts)
  }

  async query(sql: string): Promise<void> {
    await this.#session!.query(sql)
  }

  /** Between two transactions. */
  end(): void {
    void this.#session?.close()
  }

  destroy(): Backend | undefined {
    this.#destroyed = true
    this.#session?.destroy()
    return this.#backend
  }
}
