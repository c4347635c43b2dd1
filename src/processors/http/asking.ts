import { DELETE, HEAD, HEAD_OPERATION, type RowBatch } from '../../core/rowBatch.js'
import type { Table } from '../../core/table.js'
import { UNCHANGED_COLUMN } from '../../core/tape.js'
import type { Compute, MadeValues, Outcome } from '../processor.js'
import { NotSent, ValueProblem } from '../sql/problem.js'
import type { Answers } from './answers.js'

export interface AskingOptions<Input> {
  /** What the rows are of afterwards. */
  readonly table: Table
  /** Indexes of the columns that an answer fills. */
  readonly targets: readonly number[]
  /** What is asked about a record that is no delete; null: nothing, since a value is NULL. May throw `NotSent` or `ValueProblem`. */
  readonly inputOf: (rows: RowBatch, index: number) => Input | null
  /** Of each target its value. May throw a `ValueProblem`. */
  readonly valuesOf: (text: string) => readonly (string | null)[]
  readonly answers: Answers<Input>
  readonly stopsAtFirst: boolean
}

const NOTHING: Outcome = { before: new Map(), after: new Map() }

/**
 * Fills columns with a server's answers. A delete is not asked about. Where what would be asked was not sent, since an
 * update left it as it was, so did its answer: the columns are unchanged, too.
 */
export function asking<Input>(options: AskingOptions<Input>): Compute {
  return { table: options.table, outcomes: (rows, indexes) => outcomesOf(options, rows, indexes) }
}

async function outcomesOf<Input>(
  { targets, inputOf, valuesOf, answers, stopsAtFirst }: AskingOptions<Input>,
  rows: RowBatch,
  indexes: readonly number[],
): Promise<readonly Outcome[]> {
  const filled = (values: readonly (string | null | typeof UNCHANGED_COLUMN)[]): Outcome => {
    return { before: new Map(), after: new Map(targets.map((column, i) => [column, values[i]!])) as MadeValues }
  }
  const outcomes: Outcome[] = []
  const asked: number[] = []
  const inputs: Input[] = []
  let failure: Error | undefined
  for (const [i, index] of indexes.entries()) {
    if (stopsAtFirst && failure !== undefined) outcomes[i] = { failure }
    else if (rows.heads[index * HEAD + HEAD_OPERATION] === DELETE) outcomes[i] = NOTHING
    else {
      try {
        const input = inputOf(rows, index)
        if (input === null) outcomes[i] = filled(targets.map(() => null))
        else if (asked.push(i)) inputs.push(input)
      } catch (error) {
        if (error instanceof NotSent) outcomes[i] = filled(targets.map(() => UNCHANGED_COLUMN))
        else if (error instanceof ValueProblem) {
          failure = error
          outcomes[i] = { failure }
        } else throw error
      }
    }
  }
  for (const [at, answer] of (await answers.of(inputs)).entries()) {
    outcomes[asked[at]!] = 'failure' in answer ? answer : filled(valuesOf(answer.text))
  }
  return outcomes
}
