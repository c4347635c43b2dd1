import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import { ValueProblem } from '../sql/problem.js'
import type { ThreadLimits, ThreadProgram } from './programs.js'

/** As the function gets it. */
export interface GivenRecord {
  readonly operation: string
  readonly schema: string
  readonly table: string
  readonly key: Record<string, unknown> | undefined
  readonly before: Record<string, unknown> | undefined
  readonly after: Record<string, unknown> | undefined
}

export type GivenOutcome =
  | { readonly drop: true }
  | { readonly failure: string }
  | { readonly before: Record<string, unknown>; readonly after: Record<string, unknown> }

type Answer =
  | { readonly ready: true }
  | { readonly failed: string }
  | { readonly ended: string }
  | { readonly outcomes: readonly GivenOutcome[] }

const START_MS = 10_000

/** The thread in which a user's function runs: one that ends, or hangs, fails the record that it had, and is begun anew. */
export class FunctionThread {
  readonly #program: ThreadProgram
  readonly #limits: ThreadLimits
  readonly #progress = new Int32Array(new SharedArrayBuffer(4))
  #worker: Worker | undefined
  #closed = false

  constructor(program: ThreadProgram, limits: ThreadLimits) {
    this.#program = program
    this.#limits = limits
  }

  /** Of each record what became of it. Rejects where the module cannot be loaded. */
  async run(records: readonly GivenRecord[]): Promise<GivenOutcome[]> {
    const worker = await this.#started()
    try {
      return await this.#answer(worker, records)
    } catch (error) {
      if (this.#closed || !(error instanceof ValueProblem)) throw error
      const at = Math.max(0, Atomics.load(this.#progress, 0))
      const others = [...records.slice(0, at), ...records.slice(at + 1)]
      const outcomes = others.length === 0 ? [] : await this.run(others)
      return [...outcomes.slice(0, at), { failure: error.message }, ...outcomes.slice(at)]
    }
  }

  /** Ends what is running, and rejects it. */
  async close(): Promise<void> {
    this.#closed = true
    await this.#end()
  }

  async #end(): Promise<void> {
    const worker = this.#worker
    this.#worker = undefined
    await worker?.terminate()
  }

  async #started(): Promise<Worker> {
    if (this.#worker !== undefined) return this.#worker
    const { source, data, heapMb } = this.#program
    const worker = new Worker(source, {
      eval: true,
      env: {},
      workerData: { ...data, progress: this.#progress.buffer },
      resourceLimits: { maxOldGenerationSizeMb: heapMb, stackSizeMb: 4 },
      // What it prints must not stand among the records on standard output.
      stdout: true,
      stderr: true,
    })
    this.#worker = worker
    worker.unref()
    // What it does beside its records may end it, too: then the next ones get another.
    worker.on('error', () => {})
    worker.on('exit', () => {
      if (this.#worker === worker) this.#worker = undefined
    })
    worker.stdout.pipe(process.stderr, { end: false })
    worker.stderr.pipe(process.stderr, { end: false })
    const answer = await this.#heard(worker, START_MS, 'it was not loaded within 10 s')
    if ('failed' in answer) {
      await this.#end()
      throw new ValueProblem(`the module cannot be used: ${answer.failed}`)
    }
    return worker
  }

  async #answer(worker: Worker, records: readonly GivenRecord[]): Promise<GivenOutcome[]> {
    Atomics.store(this.#progress, 0, 0)
    worker.postMessage(records)
    const { timeoutMs } = this.#limits
    const late = `it took longer than timeout_ms (${timeoutMs}) allows`
    const answer = await this.#heard(worker, timeoutMs + this.#program.graceMs, late)
    if ('ended' in answer) {
      await this.#end()
      throw new ValueProblem(answer.ended)
    }
    return 'outcomes' in answer ? [...answer.outcomes] : []
  }

  /** The next message; the record that is worked on must change at least every so often. */
  async #heard(worker: Worker, everyMs: number, late: string): Promise<Answer> {
    const ended = new AbortController()
    let record = Atomics.load(this.#progress, 0)
    let since = performance.now()
    try {
      return await new Promise<Answer>((resolve, reject) => {
        const fail = (problem: string) => reject(new ValueProblem(problem))
        const timer = setInterval(
          () => {
            const now = Atomics.load(this.#progress, 0)
            if (now !== record) since = performance.now()
            record = now
            if (performance.now() - since > everyMs) fail(late)
          },
          Math.max(5, everyMs / 5),
        )
        ended.signal.addEventListener('abort', () => clearInterval(timer), { once: true })
        const { signal } = ended
        once(worker, 'message', { signal }).then(([answer]) => resolve(answer as Answer), reject)
        once(worker, 'exit', { signal }).then(
          ([code]) => fail(`its thread ended with exit code ${code}`),
          (error: NodeJS.ErrnoException) => {
            if (error.name === 'AbortError') return
            const outOfMemory = error.code === 'ERR_WORKER_OUT_OF_MEMORY'
            fail(outOfMemory ? `it needed more memory than memory_mb (${this.#limits.memoryMb}) allows` : error.message)
          },
        )
      })
    } catch (error) {
      await this.#end()
      const { code, message } = error as NodeJS.ErrnoException
      if (code !== 'ERR_WORKER_OUT_OF_MEMORY') throw error instanceof ValueProblem ? error : new ValueProblem(message)
      throw new ValueProblem(`it needed more memory than memory_mb (${this.#limits.memoryMb}) allows`)
    } finally {
      ended.abort()
    }
  }
}
