import { readFile, stat } from 'node:fs/promises'
import { setTimeout as pause } from 'node:timers/promises'
import { startTailrace, type TailraceProcess } from '../support/tailrace.js'
import { killWhenWritten } from './killWhenWritten.js'
import { describeMoment, type Moment } from './moments.js'

/** How far a run had come, by its state: `transaction` is in the middle of one. */
export type Phase = 'start' | 'snapshot' | 'snapshot end' | 'stream' | 'transaction'

/** A run that has nothing to wait for gets to its moment within this. */
const MOMENT_TIMEOUT_MS = 90_000
const LOOK_MS = 2
/** So long a request is waited for: most are begun by then. */
const SIGNAL_MS = 1500
const START_AGAIN_MS = 200
/**
 * What a run may stop with, when the network or the server is away: it tells that it was not there, and whoever runs it
 * starts it again.
 */
const AWAY = /\ntailrace: (CONNECTION_FAILED|CONNECTION_LOST|SERVER_UNAVAILABLE): /

export interface Watched {
  readonly args: readonly string[]
  readonly output: string
  readonly state: string
  /** Bytes that a whole snapshot writes at least. */
  readonly snapshotBytes: number
  /** Somebody else reads its slot just now, or did until a moment ago. */
  readonly isTaken: () => boolean
  /** Commits a transaction that takes long to read. */
  readonly huge: () => Promise<void>
  /** Asks it for something by `tailrace signal`. */
  readonly signal: () => Promise<void>
  /** Everything that a run said, when it is over. */
  readonly told: (stderr: string) => void
}

/** What it says while somebody else reads its slot. */
const TAKEN = /\ntailrace: SLOT_ACTIVE: /

/** `tailrace stream` as an operator would run it: started again when it stops because the server was not there. */
export class Supervised implements AsyncDisposable {
  readonly #watched: Watched
  #run: TailraceProcess
  /** What it said before is of the time before the last disturbance. */
  #mark = 0
  #disturbed: boolean
  #asked: Promise<void> | undefined
  /** Ends by itself, each with what it said last. */
  readonly ends: string[] = []

  /** `disturbed`: the network or the server may be away at this moment. */
  constructor(watched: Watched, disturbed: boolean) {
    this.#watched = watched
    this.#disturbed = disturbed
    this.#run = startTailrace(watched.args)
  }

  /** From now on the server may be away; what follows is counted anew. */
  disturb(): void {
    this.#disturbed = true
    this.#mark = this.#run.stderr.length
  }

  /** It does not run for so long, and does not know. */
  async sleep(forMs: number): Promise<void> {
    if (!this.#run.running) return
    this.#run.kill('SIGSTOP')
    await pause(forMs)
    this.#run.kill('SIGCONT')
  }

  /** Does not wait for the answer: the kill may come before. */
  async signal(): Promise<void> {
    const asked = this.#watched.signal()
    await Promise.race([asked, pause(SIGNAL_MS)])
    this.#asked = asked
  }

  /** A snapshot that is finished already has no moments any more: then those of the stream come instead. */
  async reach(moment: Moment): Promise<void> {
    const deadline = Date.now() + MOMENT_TIMEOUT_MS
    const reached = await this.#reached(moment)
    while (!(await reached())) {
      if (!this.#run.running) await this.#startAgain()
      else if (Date.now() > deadline) {
        throw new Error(`${describeMoment(moment)} does not come; tailrace said:\n${this.#run.stderr}`)
      } else await pause(LOOK_MS)
    }
    if (moment.in === 'huge transaction') await this.#watched.huge()
    if ('afterMs' in moment) await Promise.race([pause(moment.afterMs), this.#run.ended])
    if (moment.in === 'state') await this.#killAtState()
  }

  /** Ends it by SIGKILL, a SIGTERM so long before; tells how far it had come. */
  async kill(graceMs: number | undefined): Promise<Phase> {
    const run = this.#run
    if (graceMs !== undefined) {
      run.kill('SIGTERM')
      await Promise.race([pause(graceMs), run.ended])
      const { code, signal } = run.running ? { code: 0, signal: null } : await run.ended
      // Node has no handler for the signal in its first moments.
      if (code !== 0 && signal !== 'SIGTERM' && !this.#excused) this.#fail(`ended with code ${code} after SIGTERM`)
    } else if (!run.running && (await run.ended).signal !== 'SIGKILL' && !this.#excused) {
      this.#fail('ended by itself')
    }
    run.kill('SIGKILL')
    await run.ended
    this.#watched.told(run.stderr)
    return this.#phaseAtEnd()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#run[Symbol.asyncDispose]()
    await this.#asked
  }

  get #excused(): boolean {
    const said = `\n${this.#run.stderr}`
    return (this.#disturbed && AWAY.test(said)) || (this.#watched.isTaken() && TAKEN.test(said))
  }

  async #startAgain(): Promise<void> {
    const { code } = await this.#run.ended
    if (code === 0 || !this.#excused) this.#fail(`ended by itself with code ${code}`)
    this.#watched.told(this.#run.stderr)
    this.ends.push(this.#run.stderr.trimEnd().split('\n').at(-1)!)
    await pause(START_AGAIN_MS)
    this.#run = startTailrace(this.#watched.args)
    this.#mark = 0
  }

  #fail(what: string): never {
    this.#watched.told(this.#run.stderr)
    throw new Error(`tailrace ${what}, and said:\n${this.#run.stderr}`)
  }

  async #reached(moment: Moment): Promise<() => boolean | Promise<boolean>> {
    switch (moment.in) {
      case 'start':
        return () => true
      case 'snapshot': {
        const { output, snapshotBytes } = this.#watched
        // An interrupted one goes on: several kills shall find some of it.
        const wanted = (await bytesOf(output)) + (snapshotBytes * moment.share) / 4
        return async () => {
          const now = await bytesOf(output)
          return (now >= wanted && this.#phase !== 'start') || this.#phase === 'stream'
        }
      }
      case 'snapshot end':
        return () => this.#phase === 'snapshot end' || this.#phase === 'stream'
      case 'streaming':
        return () => this.#run.stderr.slice(this.#mark).includes('streaming from')
      case 'huge transaction':
      case 'state':
      case 'stream':
        return () => this.#phase === 'stream'
    }
  }

  async #killAtState(): Promise<void> {
    const run = this.#run
    await using _ = killWhenWritten(`${this.#watched.state}.tmp`, run.pid)
    await Promise.race([run.ended, pause(MOMENT_TIMEOUT_MS, undefined, { ref: false })])
    if (run.running) this.#fail('does not write its state')
  }

  /** By what it has said since the last disturbance. */
  get #phase(): Phase {
    const said = this.#run.stderr.slice(this.#mark)
    const streams = said.includes('streaming from')
    // Rows may be read while the stream goes on.
    const ends = said.lastIndexOf('snapshot finished')
    if (said.lastIndexOf('snapshot of ') > ends) return 'snapshot'
    if (streams) return 'stream'
    return ends >= 0 ? 'snapshot end' : 'start'
  }

  async #phaseAtEnd(): Promise<Phase> {
    const phase = this.#phase
    if (phase !== 'stream') return phase
    const { position } = JSON.parse(await readFile(this.#watched.state, 'utf8')) as {
      position: { snapshot?: object; end?: string } | null
    }
    if (position === null || position.snapshot !== undefined) return 'snapshot end'
    return position.end === undefined ? 'transaction' : 'stream'
  }
}

export async function bytesOf(path: string): Promise<number> {
  return (await stat(path).catch(() => undefined))?.size ?? 0
}
