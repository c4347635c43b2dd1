import { acceptedFor } from '../../../codec/declared/declaredTypes.js'
import { nearest } from '../../../core/nearest.js'
import type { CatalogTable } from '../../../postgres/catalog/tables.js'
import type { PgType } from '../../../postgres/catalog/types.js'
import { quoteIdentifier, sqlName } from '../../../postgres/identifier.js'
import { type DeclaredColumn, type DeclaredStream, isOf, tablePattern } from './declaredStream.js'
import { isSameType } from './nativeType.js'
import { typeMismatch } from './typeMismatch.js'

export interface DeclaredCheck {
  /** Why nothing can be run. */
  readonly problems: readonly string[]
  readonly warnings: readonly string[]
  /** Declared keys of tables that have no primary key, as the source's setting takes them. */
  readonly keys: Readonly<Record<string, readonly string[]>>
}

/** What the catalog says to the streams that a file declares; `typeOf`: of a column, by its OID. Pure. */
export function checkDeclared(
  streams: readonly DeclaredStream[],
  tables: readonly CatalogTable[],
  typeOf: (oid: number) => PgType | undefined,
  lenient: boolean,
): DeclaredCheck {
  const problems: string[] = []
  const warnings: string[] = []
  const keys: Record<string, readonly string[]> = {}
  for (const stream of streams) {
    const table = tables.find((one) => isOf(stream, one))
    if (table === undefined) continue
    for (const column of stream.columns ?? []) {
      checkColumn(table, column, typeOf, { lenient, problems, warnings })
    }
    const declared = (stream.columns ?? []).filter(({ isKey }) => isKey).map(({ name }) => name)
    if (declared.length === 0) continue
    if (table.primaryKey === undefined) keys[tablePattern({ schema: table.schema, table: table.name })] = declared
    else if (!isSameSet(declared, table.primaryKey.columns)) {
      const [own, file] = [table.primaryKey.columns, declared].map((names) => names.map(quoteIdentifier).join(', '))
      warnings.push(
        `${sqlName(table)} has the primary key (${own}), and stream_schema says (${file}): the first counts`,
      )
    }
  }
  return { problems, warnings, keys }
}

interface Found {
  readonly lenient: boolean
  readonly problems: string[]
  readonly warnings: string[]
}

function checkColumn(
  table: CatalogTable,
  { name, type: declared, native }: DeclaredColumn,
  typeOf: (oid: number) => PgType | undefined,
  { lenient, problems, warnings }: Found,
): void {
  const column = table.columns.find((one) => one.name === name)
  if (column === undefined) {
    const names = table.columns.map((one) => one.name)
    const near = nearest(name, names)
    const hint =
      near === undefined ? `it has ${names.map(quoteIdentifier).join(', ')}` : `did you mean ${quoteIdentifier(near)}?`
    problems.push(`${sqlName(table)} has no column ${quoteIdentifier(name)}: ${hint}`)
    return
  }
  const type = typeOf(column.typeOid)
  if (type !== undefined && declared !== undefined && !acceptedFor(type).includes(declared)) {
    const mismatch = typeMismatch(table, name, type, declared)
    if (lenient) warnings.push(`${mismatch}; it is written as text`)
    else problems.push(mismatch)
  }
  if (native !== undefined && !isSameType(native, column.typeName)) {
    const said = `nativeConnectorType of column ${quoteIdentifier(name)} of ${sqlName(table)} is ${native}`
    warnings.push(`${said}, and the column is ${column.typeName}`)
  }
}

function isSameSet(some: readonly string[], others: readonly string[]): boolean {
  return some.length === others.length && some.every((one) => others.includes(one))
}
