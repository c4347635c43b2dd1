import { type CodecOptions, codecFor } from '../codec/codecFor.js'
import { nearest } from '../core/nearest.js'
import { PROCESSOR_UNFIT } from '../core/processorErrors.js'
import { type Column, type PresentColumn, Table } from '../core/table.js'
import type { ScalarType } from '../postgres/catalog/types.js'
import { sqlName } from '../postgres/identifier.js'
import type { SqlType } from './sql/types.js'

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
