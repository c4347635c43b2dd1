import { codecFor } from '../codec/codecFor.js'
import { type Column, Table } from '../core/table.js'
import type { PlannedTable } from './capturePlan.js'
import type { CompilerOptions } from './streamedTable.js'

/** Everything about the tables' types that compiling them takes. */
export async function loadTypes(
  planned: readonly PlannedTable[],
  { types, definitions }: Pick<CompilerOptions, 'types' | 'definitions'>,
): Promise<void> {
  const oids = planned.flatMap(({ table }) => table.columns.map(({ typeOid }) => typeOid))
  await types.load(oids)
  await definitions.load(oids)
}

/** The table in the shape in which the stream will send it, from the catalog alone. Its types must be loaded: {@link loadTypes}. */
export function compileCatalogTable(
  { table, key, plan, columns }: PlannedTable,
  { types, definitions, codecs }: CompilerOptions,
): Table {
  const published = table.columns.filter(({ name }) => columns.includes(name))
  const indexOf = (name: string) => published.findIndex((column) => column.name === name)
  const indexes = published.map((_, index) => index)
  return new Table({
    oid: table.oid,
    schema: table.schema,
    name: table.name,
    columns: published.map(({ name, typeOid, typmod, typeName, notNull, generated, number, before }): Column => {
      const origin = { number, before, types: definitions.of(typeOid) }
      return { name, typeOid, typmod, typeName, notNull, generated: generated !== undefined, origin }
    }),
    codecs: published.map(({ typeOid }) => codecFor(types.get(typeOid)!, codecs)),
    selected: indexes.filter((index) => plan.columns?.includes(published[index]!.name) ?? true),
    key: plan.key.map(indexOf),
    replicaIdentity: table.replicaIdentity === 'full' && plan.notWhole ? 'default' : table.replicaIdentity,
    keyIsUnique: key.origin !== 'user' && key.origin !== 'none',
    present: table.columns.map(({ name, number, typeName, before }) => ({ name, number, typeName, before })),
  })
}
