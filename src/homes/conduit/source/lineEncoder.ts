import { availableParallelism } from 'node:os'
import type { AvroOptions } from '../../../codec/avro/index.js'
import { typeOf } from '../../../codec/codecFor.js'
import { packedLength, packRows } from '../../../core/packedRows.js'
import type { Table } from '../../../core/table.js'
import type { Batch } from '../../../source/batch.js'
import { PositionText } from '../../../source/positionText.js'
import { log } from '../plugin/log.js'
import { type LineJob, type LineJobDone, LineJobs, type PlainTable } from './lineJobs.js'
import type { LineRecordsMade } from './lineRecords.js'
import { packing } from './packedPosition.js'
import type { TableSchemas } from './payloadFormat.js'
import { RecordThread } from './recordThread.js'

/** The thread is begun where at least so many bytes of rows come: to load it takes as long as 4 MB. */
const LARGE_BYTES = 16 * 1024 * 1024
/** So many rows have as much. */
const LARGE_ROWS = 200_000
/** A batch that takes more is not copied. */
const LARGEST_JOB = 4 * 1024 * 1024
/** Records take three to five times what their rows do. */
const FIRST_OUTPUT = 2 * 1024 * 1024
/** What is larger is not kept for the next job. */
const KEPT_BYTES = 6 * 1024 * 1024
/** As many pieces of memory are kept as are in use at a time. */
const MOST_KEPT = 6
/** Records that take no more are copied: they may wait for others a while, and would hold the memory of many. */
const SMALL_BYTES = 64 * 1024
/** Nothing comes for so long: the thread ends, and no memory is kept. */
const IDLE_MS = 10_000

interface Memory {
  readonly input: ArrayBuffer
  readonly output: ArrayBuffer
}

/** Records of a batch's first rows. */
export interface EncodedLines extends LineRecordsMade {
  readonly bytes: Buffer
  /** Nobody reads them any more: their memory is for others. */
  release(): void
}

/** Of a batch whose records are all to be made elsewhere. */
const NONE_MADE: EncodedLines = {
  ...{ count: 0, ends: new Int32Array(0), checks: new Int32Array(0), bytes: Buffer.alloc(0) },
  release: () => {},
}

/** Makes records of rows of snapshots as the server sent them: where many come, in a thread. */
export class LineEncoder {
  readonly #avro: AvroOptions
  #program: string | undefined
  readonly #positions = new PositionText(packing)
  #memory: Memory[] = []
  /** Batches that were given to it, and did not come back. */
  #pending = 0
  #here: Place
  #thread: (Place & { readonly thread: RecordThread }) | undefined
  #bytes = 0
  #idle: NodeJS.Timeout | undefined
  #closed = false

  /** `program`: of the thread; undefined: all is done here. */
  constructor(avro: AvroOptions, program: string | undefined, processors = availableParallelism()) {
    this.#avro = avro
    this.#program = processors > 1 ? program : undefined
    const jobs = new LineJobs(avro)
    this.#here = new Place(async (job) => jobs.do(job))
  }

  /** So many rows are to come. */
  expect(rows: number): void {
    if (rows >= LARGE_ROWS) this.#begin()
  }

  /** Whether it can make records of the batch's rows: nobody has looked into them, and their positions differ in number and key alone. */
  static takes(batch: Batch): boolean {
    return LineEncoder.takesSuch(batch) && packedLength(batch.rows) <= LARGEST_JOB
  }

  /** Whether it can, or could if there were less of them. */
  static takesSuch({ rows, steps }: Batch): boolean {
    if (!rows.areLines || rows.count === 0 || rows.tables.length !== 1 || steps === undefined) return false
    return steps.stretch === undefined || steps.stretch.columns !== undefined
  }

  /** Records of as many rows as can be made so: of none where the thread fails. The rows stay as they are. Rejects when it is closed. */
  async encode(batch: Batch, schemas: TableSchemas): Promise<EncodedLines> {
    const { rows } = batch
    this.#bytes += rows.bytes
    if (this.#bytes >= LARGE_BYTES) this.#begin()
    clearTimeout(this.#idle)
    const length = packedLength(rows)
    const kept = this.#memory
    const { input, output } = kept.pop() ?? { input: new ArrayBuffer(0), output: new ArrayBuffer(FIRST_OUTPUT) }
    const enough = input.byteLength >= length ? input : new ArrayBuffer(length + (length >> 2))
    const { base, stretch } = batch.steps!
    const task = {
      readMs: Date.now(),
      beginning: rows.count > 1 ? this.#positions.beginningOf(batch, 0) : new Uint8Array(0),
      before: base.rows,
      columns: stretch?.columns,
      last: batch.position.toString(),
    }
    const place = this.#thread ?? this.#here
    const job = { rows: packRows(rows, enough, true), task, input: enough, output }
    let done: LineJobDone
    this.#pending++
    try {
      done = await place.do(rows.tables[0]!, schemas, job)
    } catch (error) {
      if (place === this.#here || this.#closed) throw error
      if (place === this.#thread) this.#doWithout(error)
      return NONE_MADE
    } finally {
      this.#pending--
      this.#endWhenIdle()
    }
    const { made } = done
    const bytes = Buffer.from(done.output)
    const release = () => {
      const isKept = done.output.byteLength <= KEPT_BYTES && kept.length < MOST_KEPT
      if (isKept) kept.push({ input: done.input, output: done.output })
    }
    const used = made.ends[made.count - 1] ?? 0
    if (used > SMALL_BYTES) return { ...made, bytes, release }
    const copied = Buffer.from(bytes.subarray(0, used))
    release()
    return { ...made, bytes: copied, release: () => {} }
  }

  /** What it is making is given up. */
  async close(): Promise<void> {
    this.#closed = true
    await this.#end()
  }

  #begin(): void {
    if (this.#thread !== undefined || this.#program === undefined || this.#closed) return
    try {
      const thread = new RecordThread(this.#program, this.#avro)
      this.#thread = Object.assign(new Place((job) => thread.do(job)), { thread })
    } catch (error) {
      this.#doWithout(error)
    }
    this.#endWhenIdle()
  }

  /** There is no thread from now on: all that it did can be done here. */
  #doWithout(cause: unknown): void {
    const problem = cause instanceof Error ? cause.message : String(cause)
    log('warn', `records are made without a thread of their own from now on: ${problem}`)
    const failed = this.#thread
    this.#thread = undefined
    this.#program = undefined
    void failed?.thread.close()
  }

  #endWhenIdle(): void {
    clearTimeout(this.#idle)
    if (this.#pending === 0 && !this.#closed) this.#idle = setTimeout(() => void this.#end(), IDLE_MS).unref()
  }

  async #end(): Promise<void> {
    clearTimeout(this.#idle)
    const ended = this.#thread
    this.#thread = undefined
    this.#bytes = 0
    // What is given back later goes with the rest.
    this.#memory = []
    await ended?.thread.close()
  }
}

/** Where jobs are done, and what is known there. */
class Place {
  readonly #do: (job: LineJob) => ReturnType<RecordThread['do']>
  readonly #known = new WeakMap<Table, { readonly number: number; schemas: number }>()
  #tables = 0

  constructor(run: (job: LineJob) => ReturnType<RecordThread['do']>) {
    this.#do = run
  }

  do(table: Table, { registered }: TableSchemas, job: Pick<LineJob, 'rows' | 'task' | 'input' | 'output'>) {
    const before = this.#known.get(table)
    const known = before ?? { number: this.#tables++, schemas: 0 }
    const schemas = registered.slice(known.schemas)
    known.schemas = registered.length
    this.#known.set(table, known)
    return this.#do({ ...job, number: known.number, table: before === undefined ? plain(table) : undefined, schemas })
  }
}

function plain({ codecs, ...shape }: Table): PlainTable {
  return { ...shape, types: codecs.map(typeOf) }
}
