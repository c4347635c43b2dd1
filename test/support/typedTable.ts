import { codecFor } from '../../src/codec/codecFor.js'
import { type ReplicaIdentity, Table } from '../../src/core/table.js'
import type { PgType } from '../../src/postgres/catalog/types.js'

/** A table of these columns as the source makes one; `typmods`: of those that have one. */
export function typedTable(
  name: string,
  columns: Readonly<Record<string, PgType>>,
  options: {
    readonly key?: readonly number[]
    readonly replicaIdentity?: ReplicaIdentity
    readonly typmods?: Readonly<Record<string, number>>
  } = {},
): Table {
  const { key = [0], replicaIdentity = 'default', typmods = {} } = options
  const named = Object.entries(columns)
  return new Table({
    oid: 1,
    schema: 'public',
    name,
    columns: named.map(([column, type]) => {
      const typmod = typmods[column] ?? -1
      return { name: column, typeOid: type.oid, typmod, typeName: type.name, notNull: false, generated: false }
    }),
    codecs: named.map(([, type]) => codecFor(type)),
    selected: named.map((_, index) => index),
    key,
    replicaIdentity,
  })
}
