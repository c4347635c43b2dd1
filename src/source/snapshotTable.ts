import { codecFor } from '../codec/codecFor.js'
import { type Column, Table } from '../core/table.js'
import type { PlannedTable } from './capturePlan.js'
import type { CompilerOptions } from './streamedTable.js'

/** The table in the shape in which the stream will send it, from the catalog alone. Its types must be loaded. */
export function compileCatalogTable({ table, plan, columns }: PlannedTable, { types, codecs }: CompilerOptions): Table {
  const published = table.columns.filter(({ name }) => columns.includes(name))
  const indexOf = (name: string) => published.findIndex((column) => column.name === name)
  const indexes = published.map((_, index) => index)
  return new Table({
    oid: table.oid,
    schema: table.schema,
    name: table.name,
    columns: published.map(({ name, typeOid, typmod, typeName, notNull, generated }): Column => {
      return { name, typeOid, typmod, typeName, notNull, generated: generated !== undefined }
    }),
    codecs: published.map(({ typeOid }) => codecFor(types.get(typeOid)!, codecs)),
    selected: indexes.filter((index) => plan.columns?.includes(published[index]!.name) ?? true),
    key: plan.key.map(indexOf),
    replicaIdentity: table.replicaIdentity === 'full' && plan.notWhole ? 'default' : table.replicaIdentity,
  })
}
