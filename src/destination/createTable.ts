import { TARGET_NOT_MADE } from '../core/destinationErrors.js'
import type { Table } from '../core/table.js'
import type { TailraceError } from '../core/tailraceError.js'
import { type QualifiedName, quoteIdentifier, sqlName } from '../postgres/identifier.js'
import type { Queryable } from '../postgres/queryable.js'
import { isTransient, sqlstateOf } from '../postgres/serverError.js'
import { serverText } from './failure.js'
import { addedColumns, requireFree } from './modes.js'
import type { ParsedDestination } from './options.js'
import { keyOf, wantedColumns } from './target.js'
import { planTypes } from './targetTypes.js'

/** So that two writers that begin at once do not make a table or type both: any number, the same for all. */
const MAKING_LOCK = 7_461_696_973
/** A schema, table or type is there after all: another writer made it. */
const IS_THERE = /^(42P06|42P07|42710|23505)$/

type Made = Pick<ParsedDestination, 'keys' | 'mode'>

/** Statements that note that the key is built later, of columns with these numbers; undefined: it is not. */
export type Noting = (columns: readonly number[]) => Promise<string[] | undefined>

/**
 * Makes the table `name` for rows of `table`: its selected columns and those of the key, which becomes the primary key, at
 * once or (`noting`) later. With the types that are missing, all or nothing; within a transaction that is open it is
 * part of that. A history has neither key nor NOT NULL. Partitioned tables become plain ones, generated columns and defaults plain columns.
 */
export async function createTable(
  queryable: Queryable,
  name: QualifiedName,
  table: Table,
  made: Made,
  noting: Noting,
): Promise<void> {
  const make = async () => {
    const { statements, told } = await statementsFor(queryable, name, table, made, noting)
    await execute(queryable, sqlName(name), 'made', statements, told)
  }
  await make().catch((error) => {
    // Once more, with what is there now; within a transaction this fails for good.
    if (!IS_THERE.test(String((error as TailraceError).details?.sqlstate))) throw error
    return make()
  })
}

async function statementsFor(
  queryable: Queryable,
  name: QualifiedName,
  table: Table,
  { keys, mode }: Made,
  noting: Noting,
): Promise<{ readonly statements: string[]; readonly told: string[] }> {
  const isHistory = mode.kind === 'history'
  const key = isHistory ? [] : keyOf(table, keys)
  requireFree(table, mode)
  const indexes = wantedColumns(table, keys)
  const wanted = indexes.map((index) => table.columns[index]!)
  const types = await planTypes(queryable, wanted, sqlName(name))
  const columns = wanted.map((column, i) => {
    const notNull = (column.notNull && !isHistory) || key.includes(indexes[i]!) ? ' NOT NULL' : ''
    return `${quoteIdentifier(column.name)} ${types.translate(column.typeName)}${notNull}`
  })
  const added = addedColumns(mode).map((column) => `${quoteIdentifier(column.name)} ${column.type}`)
  const names = key.map((index) => quoteIdentifier(table.columns[index]!.name))
  // A column's number in a new table is its place there.
  const later = key.length === 0 ? undefined : await noting(key.map((index) => indexes.indexOf(index) + 1))
  const before = [...(await schemasMissing(queryable, [name.schema, ...types.schemas])), ...types.statements]
  const create = (constraints: readonly string[]) =>
    `CREATE TABLE IF NOT EXISTS ${sqlName(name)} (${[...columns, ...added, ...constraints].join(', ')})`
  const told = [...before, create(key.length === 0 ? [] : [`PRIMARY KEY (${names.join(', ')})`])]
  return { statements: later === undefined ? told : [...before, ...later, create([])], told }
}

/** Statements that make those of these schemas that are missing: even IF NOT EXISTS wants the right to create them. */
export async function schemasMissing(queryable: Queryable, wanted: readonly string[]): Promise<string[]> {
  const schemas = [...new Set(wanted)]
  if (schemas.length === 0) return []
  const there = await queryable.query<{ schema: string }>(
    'SELECT nspname AS schema FROM pg_catalog.pg_namespace WHERE nspname = ANY ($1::pg_catalog.text[])',
    [schemas],
  )
  const missing = schemas.filter((schema) => !there.some((row) => row.schema === schema))
  return missing.map((schema) => `CREATE SCHEMA IF NOT EXISTS ${quoteIdentifier(schema)}`)
}

/** Statements that make or alter a target's table, all or nothing; says with which SQL it failed: `told`, which anybody can run. */
export async function execute(
  queryable: Queryable,
  table: string,
  action: 'made' | 'altered',
  statements: readonly string[],
  told = statements,
): Promise<void> {
  try {
    // One message is one transaction, if none is open.
    await queryable.query([`SELECT pg_catalog.pg_advisory_xact_lock(${MAKING_LOCK})`, ...statements].join(';\n'))
  } catch (error) {
    const sqlstate = sqlstateOf(error)
    if (sqlstate === undefined || isTransient(error)) throw error
    const sql = `${told.join('; ')};`
    throw TARGET_NOT_MADE(
      { table, action, problem: serverText(error as TailraceError), sqlstate, sql },
      { cause: error },
    )
  }
}
