import { codecFor } from '../codec/codecFor.js'
import { Table } from '../core/table.js'
import type { ScalarType } from '../postgres/catalog/types.js'

const COLUMNS = [
  ['id', 20, 'int8', 'bigint'],
  ['version', 23, 'int4', 'integer'],
  ['note', 25, 'text', 'text'],
] as const

/** The same for sinks that make their own table. */
export const CONTRACT_TABLE_SQL =
  'CREATE TABLE public.contract (id bigint PRIMARY KEY, version integer NOT NULL, note text NOT NULL)'

/** What the records of the checks are rows of: {@link CONTRACT_TABLE_SQL}. */
export function contractTable(): Table {
  return new Table({
    oid: 16_999,
    schema: 'public',
    name: 'contract',
    columns: COLUMNS.map(([name, typeOid, , typeName]) => {
      return { name, typeOid, typmod: -1, typeName, notNull: true, generated: false }
    }),
    codecs: COLUMNS.map(([, oid, name]) => {
      const type: ScalarType = { kind: 'scalar', oid, schema: 'pg_catalog', name, variety: 'base', jsonCast: null }
      return codecFor(type)
    }),
    selected: COLUMNS.map((_, index) => index),
    key: [0],
    replicaIdentity: 'default',
    keyIsUnique: true,
  })
}
