import { Worker } from 'node:worker_threads'
import { FORM_OTHER } from '../../codec/json/form.js'
import { type Deferred, deferred } from '../../core/deferred.js'
import { ENCODER_FAILED } from '../../core/errors.js'
import { packedLength, packRows } from '../../core/packedRows.js'
import type { RowBatch } from '../../core/rowBatch.js'
import type { Table } from '../../core/table.js'
import type { EncodedJob, EncodeJob, PlainTable } from './encoderWorker.js'

/** Lines take two to three times what their rows do. */
const FIRST_OUTPUT = 1024 * 1024
/** What is larger is not kept for the next job. */
const KEPT_BYTES = 4 * 1024 * 1024
/** A batch that takes more is not given to the thread: its memory would be held several times. */
const LARGEST_JOB = 4 * 1024 * 1024

/** Memory that a job takes along. */
interface Memory {
  readonly input: ArrayBuffer
  readonly output: ArrayBuffer
}

export interface EncoderThreadOptions {
  /** The thread's own file. */
  readonly entry: URL
  /** What it is told when it begins. */
  readonly data: unknown
  /** It is loaded: a job begins at once from now on. */
  readonly onReady?: (() => void) | undefined
}

export interface Encoded<Told> {
  readonly lines: readonly Uint8Array[]
  /** What the thread says of them. */
  readonly told: Told
  /** The lines were used: their memory is wanted for others. */
  release(): void
}

/**
 * Makes lines of batches in a thread of its own, in the order in which they are given. Memory goes to and fro between
 * the threads, and none is made anew for a job. `Task`: what is told of a batch beside its rows; `Told`: what is told of
 * its lines.
 */
export class EncoderThread<Task = void, Told = void> implements AsyncDisposable {
  readonly #worker: Worker
  readonly #numbers = new WeakMap<Table, number>()
  #told = 0
  #memory: Memory[] = []
  #pending: Deferred<EncodedJob<Told>>[] = []
  #loaded = false
  #failure: { readonly error: Error } | undefined

  constructor({ entry, data, onReady = () => {} }: EncoderThreadOptions) {
    this.#worker = new Worker(entry, { workerData: data, name: 'tailrace encoder' })
    this.#worker.on('message', (message: EncodedJob<Told> | 'ready') => {
      if (message !== 'ready') return this.#pending.shift()?.resolve(message) // none is left once it has failed
      this.#loaded = true
      onReady()
    })
    this.#worker.on('error', (error) => this.#fail(error))
    this.#worker.on('messageerror', (error) => this.#fail(error))
    this.#worker.on('exit', (code) => this.#fail(new Error(`it ended with code ${code}`)))
  }

  /** Whether it can make the lines of this batch: its columns have fast forms, and there are only rows. */
  static takes(rows: RowBatch): boolean {
    if (rows.messages.length > 0 || packedLength(rows) > LARGEST_JOB) return false
    return rows.tables.every(({ codecs }) => codecs.every(({ form }) => form !== FORM_OTHER))
  }

  /** It is loaded, or has failed: a job would not wait for that. */
  get ready(): boolean {
    return this.#loaded || this.#failure !== undefined
  }

  /** Those that are not done yet. */
  get jobs(): number {
    return this.#pending.length
  }

  /** Rejects with ENCODER_FAILED. The batch may be forgotten at once. */
  async encode(rows: RowBatch, task: Task): Promise<Encoded<Told>> {
    if (this.#failure !== undefined) throw this.#failure.error
    const length = packedLength(rows)
    const { input, output } = this.#memory.pop() ?? { input: new ArrayBuffer(0), output: new ArrayBuffer(FIRST_OUTPUT) }
    const enough = input.byteLength >= length ? input : new ArrayBuffer(length + (length >> 2))
    const newTables: PlainTable[] = []
    const tables = rows.tables.map((table) => this.#numberOf(table, newTables))
    const job: EncodeJob<Task> = { newTables, tables, rows: packRows(rows, enough), task, input: enough, output }
    const answer = deferred<EncodedJob<Told>>()
    this.#pending.push(answer)
    this.#worker.postMessage(job, [enough, output])
    const { lines, told, ...memory } = await answer.promise
    return { lines, told, release: () => this.#keep(memory) }
  }

  /** Ends the thread; what it was to do is given up. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#fail(new Error('it was ended'))
    await this.#worker.terminate()
  }

  #numberOf(table: Table, newTables: PlainTable[]): number {
    const known = this.#numbers.get(table)
    if (known !== undefined) return known
    const { codecs, ...shape } = table
    newTables.push({ ...shape, forms: codecs.map(({ form }) => form) })
    this.#numbers.set(table, this.#told)
    return this.#told++
  }

  #keep({ input, output }: Memory): void {
    if (output.byteLength <= KEPT_BYTES) this.#memory.push({ input, output })
  }

  #fail(cause: Error): void {
    this.#failure ??= { error: ENCODER_FAILED({ problem: cause.message }, { cause }) }
    for (const answer of this.#pending.splice(0)) answer.reject(this.#failure.error)
  }
}
