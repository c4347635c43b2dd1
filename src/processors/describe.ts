import { type CodecOptions, codecFor } from '../codec/codecFor.js'
import { nearest } from '../core/nearest.js'
import { PROCESSOR_UNFIT } from '../core/processorErrors.js'
import { type Column, type ColumnCodec, type PresentColumn, Table } from '../core/table.js'
import type { ScalarType } from '../postgres/catalog/types.js'
import { sqlName } from '../postgres/identifier.js'
import { columnType, type SqlType } from './sql/types.js'

/** The same table with something else of it. */
export function tableWith(
  table: Table,
  change: Partial<Pick<Table, 'columns' | 'codecs' | 'selected' | 'present'>>,
): Table {
  const { oid, schema, name, columns, codecs, selected, key, replicaIdentity, present } = table
  return new Table({ oid, schema, name, columns, codecs, selected, key, replicaIdentity, present, ...change })
}

/** What is told of the columns that a table has by now, changed as its own columns were. */
export function presentWith(
  { present }: Table,
  change: (column: PresentColumn) => PresentColumn,
): readonly PresentColumn[] | undefined {
  return present?.map(change)
}

const OIDS: Partial<Record<SqlType, readonly [oid: number, name: string, typeName: string]>> = {
  bool: [16, 'bool', 'boolean'],
  int2: [21, 'int2', 'smallint'],
  int4: [23, 'int4', 'integer'],
  int8: [20, 'int8', 'bigint'],
  numeric: [1700, 'numeric', 'numeric'],
  float4: [700, 'float4', 'real'],
  float8: [701, 'float8', 'double precision'],
  text: [25, 'text', 'text'],
  bpchar: [1042, 'bpchar', 'character'],
  date: [1082, 'date', 'date'],
  timestamp: [1114, 'timestamp', 'timestamp without time zone'],
  timestamptz: [1184, 'timestamptz', 'timestamp with time zone'],
  uuid: [2950, 'uuid', 'uuid'],
  bytea: [17, 'bytea', 'bytea'],
  json: [114, 'json', 'json'],
}

const scalars = new Map<SqlType, ScalarType>()

/** A column of another type in the place of `column`, and the codec that it has then. */
export function columnOf(
  type: SqlType,
  column: Pick<Column, 'name'> & Partial<Column>,
  codecs: CodecOptions | undefined,
) {
  const [typeOid, name, typeName] = OIDS[type]!
  let scalar = scalars.get(type)
  if (scalar === undefined) {
    scalar = { kind: 'scalar', oid: typeOid, schema: 'pg_catalog', name, variety: 'base', jsonCast: null }
    scalars.set(type, scalar)
  }
  const { notNull = false, origin } = column
  const made: Column = {
    name: column.name,
    typeOid,
    typmod: -1,
    typeName,
    notNull,
    generated: false,
    // What older rows have is known of the values as they were, and only the rows themselves tell what became of it.
    origin: { number: origin?.number, before: undefined, types: [] },
  }
  return { column: made, codec: codecFor(scalar, codecs), typeName }
}

/** The same table with columns behind its own; where one of their names is taken, `twice` says so. */
export function withColumns(
  table: Table,
  added: readonly { readonly name: string; readonly type: SqlType }[],
  codecOptions: CodecOptions | undefined,
  twice: (name: string) => Error,
): Table {
  const columns: Column[] = [...table.columns]
  const codecs: ColumnCodec[] = [...table.codecs]
  for (const { name, type } of added) {
    if (columns.some((column) => column.name === name)) throw twice(name)
    const made = columnOf(type, { name }, codecOptions)
    columns.push(made.column)
    codecs.push(made.codec)
  }
  const indexes = added.map((_, index) => table.columns.length + index)
  return tableWith(table, { columns, codecs, selected: [...table.selected, ...indexes] })
}

/** The columns of type text that a processor fills, by their names: those that the table has are filled anew, others are added. */
export function withTargets(
  processor: string,
  table: Table,
  names: readonly string[],
  codecOptions: CodecOptions | undefined,
): { readonly table: Table; readonly indexes: readonly number[] } {
  const known = (name: string) => table.selected.find((column) => table.columns[column]!.name === name)
  for (const index of names.map(known)) {
    if (index === undefined) continue
    const { name, typeName } = table.columns[index]!
    if (table.key.includes(index))
      throw unfit(processor, table, `"${name}" belongs to the key, by which rows are found`)
    if (columnType(table, index) !== 'text')
      throw unfit(processor, table, `"${name}" is ${typeName}, and what is put there is text`)
  }
  const added = names.filter((name) => known(name) === undefined).map((name) => ({ name, type: 'text' as const }))
  const twice = (name: string) => unfit(processor, table, `it has a column "${name}" already, which goes no further`)
  const filled = withColumns(table, added, codecOptions, twice)
  const indexes = names.map((name) => filled.selected.find((column) => filled.columns[column]!.name === name)!)
  return { table: filled, indexes }
}

/** The index of a column that consumers see, or an error that says which there are. */
export function columnIndex(processor: string, table: Table, name: string): number {
  const index = table.selected.find((column) => table.columns[column]!.name === name)
  if (index !== undefined) return index
  const names = table.selected.map((column) => table.columns[column]!.name)
  const near = nearest(name, names)
  const hint = near === undefined ? `it has ${names.join(', ')}` : `did you mean ${near}?`
  throw unfit(processor, table, `it has no column "${name}": ${hint}`)
}

export function unfit(processor: string, table: Table, problem: string): Error {
  return PROCESSOR_UNFIT({ processor, table: sqlName(table), problem })
}
