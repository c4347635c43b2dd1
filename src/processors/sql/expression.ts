import type { Table } from '../../core/table.js'
import type { Tuple } from '../rows/tuple.js'
import { ANY_TABLE, compile, condition, scopeOf } from './compile.js'
import { type AstNode, parseExpression, type SqlText } from './grammar.js'

/** A condition of a table's rows. */
export interface Matches {
  /** NULL is null. */
  readonly matches: (row: Tuple) => boolean | null
  /** Indexes of the columns that it may look at. */
  readonly columns: ReadonlySet<number>
}

/** A condition in SQL, as PostgreSQL reads it. */
export class SqlCondition {
  readonly text: string
  readonly #sql: SqlText
  readonly #tree: AstNode

  /** Throws an `ExpressionProblem` with whatever can be said without a table. The grammar must be loaded. */
  static parse(text: string): SqlCondition {
    const { tree, sql } = parseExpression(text)
    return new SqlCondition(sql, tree)
  }

  constructor(sql: SqlText, tree: AstNode) {
    this.text = sql.text
    this.#sql = sql
    this.#tree = tree
    condition(compile(tree, sql, ANY_TABLE))
  }

  /** Of the rows of one table; throws an `ExpressionProblem` where it has no meaning for them. */
  of(table: Table): Matches {
    const columns = new Set<number>()
    return { matches: condition(compile(this.#tree, this.#sql, scopeOf(table, columns))), columns }
  }
}
