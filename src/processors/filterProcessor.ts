import type { Table } from '../core/table.js'
import { sqlName } from '../postgres/identifier.js'
import { unfit } from './describe.js'
import type { Plan, Processor, ProcessorNotice } from './processor.js'
import type { SqlCondition } from './sql/expression.js'
import { ExpressionProblem } from './sql/problem.js'

/** Lets the rows go on for which a condition is true. */
export class FilterProcessor implements Processor {
  readonly #name: string
  readonly #condition: SqlCondition

  constructor(name: string, condition: SqlCondition) {
    this.#name = name
    this.#condition = condition
  }

  plan(table: Table, notice: (notice: ProcessorNotice) => void): Plan {
    const { matches, columns } = matchesOf(this.#name, this.#condition, table)
    const byKey = table.key.length > 0 && [...columns].every((column) => table.key.includes(column))
    if (!byKey && table.replicaIdentity !== 'full' && table.key.length > 0) {
      notice({
        problem: `what a row of ${sqlName(table)} was before an update or delete is not told by the server: each update of a row that does not match goes on as a delete, each delete as it is, and an update of a row that matches stays one, though it may not have matched before`,
        hint: `For inserts and deletes just where rows cross the filter: ALTER TABLE ${sqlName(table)} REPLICA IDENTITY FULL;`,
      })
    }
    return { kind: 'judge', judge: { matches, byKey } }
  }
}

/** A condition for the rows of one table, or an error that says what it means by which character. */
export function matchesOf(processor: string, condition: SqlCondition, table: Table) {
  try {
    return condition.of(table)
  } catch (error) {
    if (!(error instanceof ExpressionProblem)) throw error
    throw unfit(processor, table, `${error.problem} (character ${error.at + 1} of ${JSON.stringify(condition.text)})`)
  }
}
