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

/** After something failed so many batches are written one after another; each further time twice as many, up to the most. */
const FIRST_REST = 16
const LONGEST_REST = 1024

/** After so many batches that went another way the first copy is over, and nobody needs the connections. */
const UNUSED = 16

export interface CopiesAheadOptions {
  /** How many batches are copied at a time. */
  readonly most: number
  readonly connect: () => Promise<WriteSession>
}

/** Undefined: what must not be copied beside others. */
type CopiesOf = () => readonly ScriptPart[] | undefined

/** A batch that is to come, and what would copy it. */
interface Told {
  readonly batch: object
  readonly copies: CopiesOf
}

/** A batch that is being copied in a transaction of its own, which nothing but {@link CopiesAhead.commit} commits. */
interface Copying extends Told {
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
  #told: Told[] = []
  /** Something failed, and may fail again: so many batches are to be written one after another. */
  #resting = 0
  /** The next time it will be so many. */
  #rest = FIRST_REST
  /** Batches committed since. */
  #committed = 0
  #isClosed = false
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
    if (this.#resting > 0) {
      this.#resting--
      return false
    }
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
    if (++this.#committed === this.#rest) this.#rest = FIRST_REST
    if (this.isBusy) this.#advance()
  }

  /** In order: behind one that cannot be copied beside others none is. */
  #advance(): void {
    while (!this.#isClosed && this.#copying.length < this.#options.most && this.#told.length > 0) {
      const { batch, copies } = this.#told[0]!
      const parts = copies()
      if (parts === undefined) return
      this.#told.shift()
      const worker = this.#idle.pop() ?? new Worker(this.#options.connect)
      const copied = worker.run([BEGIN, ...parts])
      copied.catch(() => {})
      this.#copying.push({ batch, copies, worker, copied })
    }
  }

  /**
   * Nothing that was begun will be committed. `batch`, which is to be written, and some behind it go another way: what failed
   * may be in them, or may last.
   */
  giveUp(batch: object): void {
    const [first, ...others] = [...this.#copying, ...this.#told]
    this.#told = first?.batch === batch ? others : []
    this.#resting = this.#rest
    this.#rest = Math.min(2 * this.#rest, LONGEST_REST)
    this.#committed = 0
    this.#cutAll()
  }

  /** Nor will the server do so, which may not know yet that they were cut. */
  async endCut(through: Queryable): Promise<void> {
    if (this.#cut.length > 0) await terminate(through, this.#cut)
    this.#cut = []
  }

  /** Cuts all connections. */
  close(): void {
    this.#isClosed = true
    this.#told = []
    this.#cutAll()
  }

  #cutAll(): void {
    const workers = [...this.#copying.map(({ worker }) => worker), ...this.#idle]
    this.#copying = []
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
