/** What is wrong with an expression, however the rows are; `at`: offset of the character where it begins. */
export class ExpressionProblem extends Error {
  readonly problem: string
  readonly at: number

  constructor(problem: string, at: number) {
    super(problem)
    this.problem = problem
    this.at = at
  }
}

/** What keeps an expression from having a value for one row, as the server says it. Never holds the row's values. */
export class ValueProblem extends Error {}

/** A column that the expression needs is unchanged, and the server did not send it. */
export class NotSent extends Error {
  readonly column: string

  constructor(column: string) {
    super(`the column ${column} is unchanged, and the server did not send it`)
    this.column = column
  }
}
