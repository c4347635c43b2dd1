import type { KeyColumn } from '../../postgres/catalog/keyColumns.js'
import { quoteIdentifier } from '../../postgres/identifier.js'

/** SQL that compares two rows of key columns, each given as SQL, in the order that an index on them has. */
export function compareSql(
  key: readonly KeyColumn[],
  left: readonly string[],
  operator: '<' | '<=' | '=' | '>',
  right: readonly string[],
): string {
  const [schema] = key.map(({ operators }) => operators)
  if (key.every(({ operators }) => operators === schema)) {
    return `ROW(${left.join(', ')}) ${qualified(operator, schema!)} ROW(${right.join(', ')})`
  }
  const one = (column: number, symbol: string) =>
    `${left[column]} ${qualified(symbol, key[column]!.operators)} ${right[column]}`
  if (operator === '=') return key.map((_, column) => one(column, '=')).join(' AND ')
  const strict = operator === '<=' ? '<' : operator
  const last = key.length - 1
  // A row takes one operator for all of its columns.
  const from = (column: number): string =>
    column === last
      ? one(column, operator)
      : `(${one(column, strict)} OR (${one(column, '=')} AND ${from(column + 1)}))`
  // An index is entered by this alone.
  return `${one(0, `${strict}=`)} AND ${from(0)}`
}

function qualified(operator: string, schema: string): string {
  return `OPERATOR(${quoteIdentifier(schema)}.${operator})`
}
