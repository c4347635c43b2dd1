import { Worker } from 'node:worker_threads'
import type { AvroOptions } from '../../../codec/avro/index.js'
import { type Deferred, deferred } from '../../../core/deferred.js'
import { ENCODER_FAILED } from '../../../core/errors.js'
import type { LineJob, LineJobDone } from './lineJobs.js'

/** Written in by scripts/build.mjs: the thread's program. The plugin is one file. */
declare const TAILRACE_RECORD_WORKER: string | undefined

/** Undefined: there is none, as where the plugin is not bundled. */
export const RECORD_WORKER = typeof TAILRACE_RECORD_WORKER === 'string' ? TAILRACE_RECORD_WORKER : undefined

/** Does `LineJob`s in a thread of its own, in the order in which they are given. */
export class RecordThread {
  readonly #worker: Worker
  readonly #pending: Deferred<LineJobDone>[] = []
  #failure: Error | undefined

  constructor(program: string, avro: AvroOptions) {
    this.#worker = new Worker(program, { eval: true, workerData: avro, name: 'tailrace records' })
    this.#worker.on('message', (done: LineJobDone) => this.#pending.shift()?.resolve(done)) // none is left once it has failed
    this.#worker.on('error', (error) => this.#fail(error))
    this.#worker.on('messageerror', (error) => this.#fail(error))
    this.#worker.on('exit', (code) => this.#fail(new Error(`it ended with code ${code}`)))
  }

  /** Rejects with ENCODER_FAILED. Its memory is the thread's until it comes back with the answer. */
  do(job: LineJob): Promise<LineJobDone> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure)
    const answer = deferred<LineJobDone>()
    this.#pending.push(answer)
    this.#worker.postMessage(job, [job.input, job.output])
    return answer.promise
  }

  /** What it was to do is given up. */
  async close(): Promise<void> {
    this.#fail(new Error('it was ended'))
    await this.#worker.terminate()
  }

  #fail(cause: Error): void {
    this.#failure ??= ENCODER_FAILED({ problem: cause.message }, { cause })
    for (const answer of this.#pending.splice(0)) answer.reject(this.#failure)
  }
}
