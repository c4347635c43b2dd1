import { SqlCondition } from './expression.js'
import { type AstNode, clausesOf, type Fields, namesOf, parseSelect, placeIn, type SqlText } from './grammar.js'
import { ExpressionProblem } from './problem.js'

/** What a `SELECT … FROM … WHERE …` over one table says. */
export interface Query {
  /** As a table pattern. */
  readonly table: string
  /** Undefined: all. */
  readonly columns: readonly string[] | undefined
  readonly where: SqlCondition | undefined
}

/** Blink's word for any table that it reads. */
const STREAMS = ['stream', 'streams']

/** Reads a query, or throws an {@link ExpressionProblem}. The grammar must be loaded. */
export function parseQuery(written: string): Query {
  const text = withoutBackticks(written)
  const select = parseSelect(text)
  const sql: SqlText = { text, prefix: 0 }
  const other = clausesOf(select).find((clause) => !['targetList', 'fromClause', 'whereClause'].includes(clause))
  if (other !== undefined) throw new ExpressionProblem(`${CLAUSES[other] ?? other} is not supported here`, 0)
  const table = tableOf(select, sql)
  const { whereClause } = select
  return {
    table,
    columns: columnsOf(select, sql),
    where: whereClause === undefined ? undefined : new SqlCondition(sql, whereClause as AstNode),
  }
}

/** MySQL’s quotes, which Blink takes: of the same width, so that places stay. */
function withoutBackticks(text: string): string {
  return text.replace(/'(?:[^']|'')*'|`([^`"]*)`/g, (whole, name: string | undefined) =>
    name === undefined ? whole : `"${name}"`,
  )
}

function tableOf({ fromClause }: Fields, sql: SqlText): string {
  const [from, more] = (fromClause as readonly AstNode[] | undefined) ?? []
  const table = from?.RangeVar
  if (table === undefined || more !== undefined) throw new ExpressionProblem('FROM with one table is expected', 0)
  if (table.alias !== undefined)
    throw new ExpressionProblem('an alias is not supported here', placeIn(sql, table.location))
  const quoted = (name: unknown) => `"${String(name).replaceAll('"', '""')}"`
  const schema = table.schemaname
  if (schema === undefined) return quoted(table.relname)
  return `${STREAMS.includes(String(schema)) ? '*' : quoted(schema)}.${quoted(table.relname)}`
}

function columnsOf({ targetList }: Fields, sql: SqlText): string[] | undefined {
  const names: string[] = []
  for (const { ResTarget: target } of (targetList as readonly AstNode[] | undefined) ?? []) {
    const column = (target?.val as AstNode | undefined)?.ColumnRef
    const parts = column?.fields as readonly AstNode[] | undefined
    if (parts === undefined || target?.name !== undefined) {
      const at = placeIn(sql, target?.location)
      throw new ExpressionProblem('only names of columns, and *, can stand before FROM here', at)
    }
    if (parts.some((part) => part.A_Star !== undefined)) return undefined
    names.push(namesOf(parts).at(-1)!)
  }
  if (names.length === 0) throw new ExpressionProblem('names of columns, or *, are expected behind SELECT', 0)
  return names
}

const CLAUSES: Readonly<Record<string, string>> = {
  groupClause: 'GROUP BY',
  havingClause: 'HAVING',
  sortClause: 'ORDER BY',
  limitCount: 'LIMIT',
  limitOffset: 'OFFSET',
  distinctClause: 'DISTINCT',
  withClause: 'WITH',
  intoClause: 'INTO',
  lockingClause: 'FOR UPDATE',
  valuesLists: 'VALUES',
  windowClause: 'WINDOW',
  larg: 'UNION',
}
