import { availableParallelism } from 'node:os'
import type { AvroOptions } from '../../../codec/avro/index.js'
import { typeOf } from '../../../codec/codecFor.js'
import { packedLength, packRows } from '../../../core/packedRows.js'
import type { Table } from '../../../core/table.js'
import type { Batch } from '../../../source/batch.js'
import { PositionText } from '../../../source/positionText.js'
import { type LineJob, LineJobs, type PlainTable } from './lineJobs.js'
import type { LineRecordsMade } from './lineRecords.js'
import { packBeginning } from './packedPosition.js'
import type { TableSchemas } from './payloadFormat.js'
import { RecordThread } from './recordThread.js'

/** The thread is begun where at least so many bytes of rows come: to load it takes as long as 4 MB. */
const LARGE_BYTES = 16 * 1024 * 1024
/** So many rows have as much. */
const LARGE_ROWS = 200_000
/** A batch that takes more is not copied. */
const LARGEST_JOB = 4 * 1024 * 1024
/** Records take three to five times what their rows do. */
const FIRST_OUTPUT = 1536 * 1024
/** What is larger is not kept for the next job. */
const KEPT_BYTES = 6 * 1024 * 1024
/** Nothing comes for so long: the thread ends. */
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

/** Makes records of rows of snapshots as the server sent them: where many come, in a thread. */
export class LineEncoder {
  readonly #avro: AvroOptions
  readonly #program: string | undefined
  readonly #positions = new PositionText(packBeginning)
  readonly #memory: Memory[] = []
  readonly #here: Place
  #thread: (Place & { readonly thread: RecordThread }) | undefined
  #bytes = 0
  #jobs = 0
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
  static takes({ rows, steps }: Batch): boolean {
    if (!rows.areLines || rows.count === 0 || rows.tables.length !== 1 || steps === undefined) return false
    return (steps.stretch === undefined || steps.stretch.columns !== undefined) && packedLength(rows) <= LARGEST_JOB
  }

  /** Records of as many rows as can be made so. The rows stay as they are. Rejects with ENCODER_FAILED. */
  async encode(batch: Batch, schemas: TableSchemas): Promise<EncodedLines> {
    const { rows } = batch
    this.#bytes += rows.bytes
    if (this.#bytes >= LARGE_BYTES) this.#begin()
    clearTimeout(this.#idle)
    const length = packedLength(rows)
    const { input, output } = this.#memory.pop() ?? { input: new ArrayBuffer(0), output: new ArrayBuffer(FIRST_OUTPUT) }
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
    this.#jobs++
    const job = { rows: packRows(rows, enough), task, input: enough, output }
    const done = await place.do(rows.tables[0]!, schemas, job).finally(() => this.#jobs--)
    if (this.#jobs === 0 && this.#thread !== undefined) {
      this.#idle = setTimeout(() => void this.#end(), IDLE_MS).unref()
    }
    const release = () => {
      if (done.output.byteLength <= KEPT_BYTES) this.#memory.push({ input: done.input, output: done.output })
    }
    return { ...done.made, bytes: Buffer.from(done.output), release }
  }

  /** What it is making is given up. */
  async close(): Promise<void> {
    this.#closed = true
    await this.#end()
  }

  #begin(): void {
    if (this.#thread !== undefined || this.#program === undefined || this.#closed) return
    const thread = new RecordThread(this.#program, this.#avro)
    this.#thread = Object.assign(new Place((job) => thread.do(job)), { thread })
  }

  async #end(): Promise<void> {
    clearTimeout(this.#idle)
    const ended = this.#thread
    this.#thread = undefined
    this.#bytes = 0
    this.#memory.length = 0
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
