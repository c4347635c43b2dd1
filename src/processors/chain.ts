import { PROCESSOR_FAILED } from '../core/processorErrors.js'
import type { ChunkRange } from '../core/record.js'
import type { RowBatch } from '../core/rowBatch.js'
import { TailraceError } from '../core/tailraceError.js'
import { sqlName } from '../postgres/identifier.js'
import type { TablePattern } from '../postgres/tablePattern.js'
import type { Batch } from '../source/batch.js'
import type { Processor } from './processor.js'
import type { Processed } from './rows/processed.js'
import type { SqlCondition } from './sql/expression.js'
import { NotSent, ValueProblem } from './sql/problem.js'
import { Step } from './step.js'

/** A processor as a pipeline's file has it. */
export interface ProcessorConfig {
  /** What it is called in messages. */
  readonly name: string
  readonly type: string
  readonly streams: readonly TablePattern[] | undefined
  readonly condition: SqlCondition | undefined
  readonly onError: 'stop' | 'skip'
  readonly hides: boolean
  readonly create: (log: (line: string) => void) => readonly Processor[]
}

/** What processors tell. */
export type ProcessorEvent =
  /** It works, but not as well as it could on this table. */
  | {
      readonly type: 'processor-notice'
      readonly processor: string
      readonly table: string
      readonly problem: string
      readonly hint: string
    }
  /** A record was left out, since the processor failed on it. */
  | {
      readonly type: 'processor-skipped'
      readonly processor: string
      readonly table: string
      readonly id: string
      readonly problem: string
    }
  /** Of a processor of type log: the record as a line of JSON. */
  | { readonly type: 'processor-record'; readonly processor: string; readonly record: string }

interface ChainStep {
  readonly step: Step
  readonly onError: ProcessorConfig['onError']
}

/** The processors of a pipeline, in order, as one function from batch to batch. */
export class ProcessorChain {
  readonly #steps: readonly ChainStep[]
  readonly #tell: (event: ProcessorEvent) => void

  constructor(processors: readonly ProcessorConfig[], tell: (event: ProcessorEvent) => void) {
    this.#tell = tell
    this.#steps = processors.flatMap(({ name, create, streams, condition, hides, onError }) => {
      const log = (record: string) => tell({ type: 'processor-record', processor: name, record })
      return create(log).map((processor) => {
        const step = new Step({
          ...{ name, processor, streams, condition, hides },
          notice: (table, notice) =>
            tell({ type: 'processor-notice', processor: name, table: sqlName(table), ...notice }),
        })
        return { step, onError }
      })
    })
  }

  /**
   * Stands at the same place, also where no row of it is left. Throws what a processor failed with, unless it skips. At once,
   * unless a processor has somebody else to wait for.
   */
  process(batch: Batch): Batch | Promise<Batch> {
    return this.#from(0, batch, batch.rows, undefined)
  }

  async close(): Promise<void> {
    for (const { step } of this.#steps) await step.close()
  }

  #from(first: number, batch: Batch, from: RowBatch, keptBefore: Int32Array | undefined): Batch | Promise<Batch> {
    let rows = from
    let kept = keptBefore
    for (let i = first; i < this.#steps.length; i++) {
      const { step, onError } = this.#steps[i]!
      const before = kept
      const done = step.process(rows, (index, error) =>
        this.#failed(batch, before === undefined ? index : before[index]!, step.name, onError, error),
      )
      if (done instanceof Promise) {
        return done.then((later) => this.#from(i + 1, batch, taken(later, rows, batch), composed(before, later.kept)))
      }
      rows = taken(done, rows, batch)
      kept = composed(before, done.kept)
    }
    let range: ChunkRange | undefined = batch.range
    for (const { step } of this.#steps) range = range && step.range(range)
    return rows === batch.rows && range === batch.range ? batch : batch.derive(rows, kept, range)
  }

  #failed(batch: Batch, index: number, processor: string, onError: ProcessorConfig['onError'], error: unknown): void {
    const { table, id } = batch.at(index)!
    const problem = problemOf(error)
    if (problem === undefined) throw error
    const facts = { processor, table: sqlName(table!), id, problem }
    if (onError === 'stop') throw PROCESSOR_FAILED(facts, { cause: error })
    this.#tell({ type: 'processor-skipped', ...facts })
  }
}

/** What a step made of `rows`, in their place: but the batch that came is still asked by whoever gave it. */
function taken(done: Processed, rows: RowBatch, { rows: came }: Batch): RowBatch {
  if (rows !== came) done.rows.replaces(rows, false)
  return done.rows
}

function composed(before: Int32Array | undefined, kept: Int32Array | undefined): Int32Array | undefined {
  return before === undefined || kept === undefined ? (kept ?? before) : kept.map((index) => before[index]!)
}

/** Undefined: not of the record, but our own fault, or the pipeline's end. */
function problemOf(error: unknown): string | undefined {
  if (error instanceof NotSent) {
    return `${error.message}: REPLICA IDENTITY FULL sends it, or toast: fetch of the source reads it`
  }
  // A text longer than one can be, or a stack deeper.
  if (error instanceof RangeError) return `it needs more than there is: ${error.message}`
  if (error instanceof ValueProblem || error instanceof TailraceError) return error.message
  return undefined
}
