import { COLUMN_NOT_FOUND } from '../core/errors.js'
import { nearest } from '../core/nearest.js'
import type { TailraceError } from '../core/tailraceError.js'
import { type QualifiedName, quoteIdentifier, sqlName } from './identifier.js'
import { hasWildcard, type NamePattern, NameProblem, readings, readNamePattern } from './namePattern.js'
import { explainingProblems, namesOne, readTablePattern, type TablePattern } from './tablePattern.js'

/** One `--columns` or `--key`: a table and some of its columns, in the order written. */
export interface ColumnSelection {
  /** As it was written. */
  readonly text: string
  readonly table: TablePattern
  readonly columns: readonly NamePattern[]
}

/** Reads `orders:id,total`: the rules of table lists, and a part is quoted where it holds a colon, too. */
export function parseColumnSelection(text: string): ColumnSelection {
  return explainingProblems(text, readColumnSelection)
}

function readColumnSelection(text: string): ColumnSelection {
  const { pattern: table, next } = readTablePattern(text, 0, ':,')
  if (text[next] !== ':') throw new NameProblem('expected table:column,column', next)
  if (!namesOne(table)) throw new NameProblem('columns are chosen for one table, without *', 0)
  const columns: NamePattern[] = []
  for (let p = next; p < text.length; ) {
    const column = readNamePattern(text, p + 1, ':,')
    if (text[column.next] === ':') throw new NameProblem('a colon stands in a column list: quote the name', column.next)
    if (hasWildcard(column.part)) throw new NameProblem('columns are chosen by name, without *', p + 1)
    columns.push(column.part)
    p = column.next
  }
  return { text, table, columns }
}

/** The names of the table's columns that the selection means, each once, in the order written. */
export function resolveColumns(
  selection: ColumnSelection,
  table: QualifiedName & { readonly columns: readonly { readonly name: string }[] },
): string[] {
  const names = table.columns.map(({ name }) => name)
  const chosen = new Set<string>()
  for (const column of selection.columns) {
    const name = readings(column)
      .map(({ text }) => text)
      .find((text) => names.includes(text))
    if (name === undefined) throw columnNotFound(column.text, table, names)
    chosen.add(name)
  }
  return [...chosen]
}

/** With the name that may have been meant. */
export function columnNotFound(column: string, table: QualifiedName, names: readonly string[]): TailraceError {
  const near = nearest(column, names)
  return COLUMN_NOT_FOUND({
    table: sqlName(table),
    column,
    nearest: near === undefined ? undefined : quoteIdentifier(near),
    columns: names.map(quoteIdentifier).join(', '),
  })
}
