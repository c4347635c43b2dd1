import { type CodecOptions, codecFor } from '../codec/codecFor.js'
import { type Column, type PresentColumn, Table } from '../core/table.js'
import { chooseKey as presentKey } from '../postgres/catalog/keyChoice.js'
import { describeTables } from '../postgres/catalog/tables.js'
import { OLDER_ROWS_SQL } from '../postgres/catalog/tablesSql.js'
import type { TypeDefinitions } from '../postgres/catalog/typeDefinitions.js'
import { compositesIn, type TypeCatalog } from '../postgres/catalog/types.js'
import type { Relation } from '../postgres/pgoutput/relation.js'
import type { Queryable } from '../postgres/queryable.js'

/** What the run decided about a table at its start, by column names, since a Relation message may come in any shape. */
export interface CapturePlan {
  /** The key's columns in order; empty when the table has none. */
  readonly key: readonly string[]
  /** The columns that consumers see; all when undefined. */
  readonly columns: readonly string[] | undefined
  /**
   * Of a partitioned table with REPLICA IDENTITY FULL: a partition has another one, or had when the run began. What comes
   * of it as a whole old row has NULLs that are lies. Of other tables each Relation message tells the truth by itself.
   */
  readonly notWhole: boolean
  /** No old row ever comes that the key would have to be in. */
  readonly insertsOnly: boolean
  /** Not the table's own replica identity but that of each partition carries the key. */
  readonly keyOfPartitions: boolean
}

export interface CompilerOptions {
  readonly types: TypeCatalog
  readonly definitions: TypeDefinitions
  /** One object for the whole run. What is to be done about a mismatch is for the stream's type watch to set. */
  readonly codecs: CodecOptions & { onShapeMismatch?: CodecOptions['onShapeMismatch'] }
}

/** The table that a Relation message describes, with what only the catalog knows: as it is now. */
export async function compileRelation(
  relation: Relation,
  plan: CapturePlan,
  queryable: Queryable,
  { types, definitions, codecs }: CompilerOptions,
): Promise<Table> {
  await loadTypes(types, relation)
  await definitions.load(relation.columns.map(({ typeOid }) => typeOid))
  const facts = await readColumnFacts(queryable, relation)
  return new Table({
    oid: relation.oid,
    schema: relation.schema,
    name: relation.name,
    columns: relation.columns.map(({ name, typeOid, typmod }, index): Column => {
      const { typeName, notNull, generated, number, missing, is_computed } = facts[index]!
      const before = is_computed || number === null ? undefined : missing
      const origin = { number: number ?? undefined, before, types: definitions.of(typeOid) }
      return { name, typeOid, typmod, typeName, notNull, generated, origin }
    }),
    codecs: relation.columns.map((column) => codecFor(types.get(column.typeOid)!, codecs)),
    selected: selectColumns(relation, plan),
    key: await chooseKey(relation, plan, queryable),
    replicaIdentity: relation.replicaIdentity === 'full' && plan.notWhole ? 'default' : relation.replicaIdentity,
    present: await readPresent(queryable, relation),
  })
}

/** A composite may have been altered since it was read: no message tells of that. */
async function loadTypes(types: TypeCatalog, { columns }: Relation): Promise<void> {
  const oids = columns.map((column) => column.typeOid)
  const read = await types.load(oids)
  await types.reload(oids.filter((oid) => !read.has(oid) && compositesIn(types.get(oid)!).length > 0))
}

interface ColumnFacts {
  readonly typeName: string
  readonly notNull: boolean
  readonly generated: boolean
  readonly number: number | null
  readonly missing: string | null
  readonly is_computed: boolean | null
}

// A column that was dropped or renamed since is not found by its name: then only its type is known.
const COLUMN_FACTS = `
  SELECT pg_catalog.format_type(wanted.type_oid::oid, wanted.typmod::int4) AS "typeName",
         coalesce(a.attnotnull, false) AS "notNull",
         coalesce(a.attgenerated <> '', false) AS "generated",
         a.attnum AS "number",
         ${OLDER_ROWS_SQL}
    FROM ROWS FROM (
           pg_catalog.unnest($2::text[]), pg_catalog.unnest($3::int8[]), pg_catalog.unnest($4::int8[])
         ) WITH ORDINALITY AS wanted (name, type_oid, typmod, place)
    LEFT JOIN pg_catalog.pg_attribute AS a
      ON a.attrelid = $1::int8::oid AND a.attname = wanted.name AND NOT a.attisdropped
   ORDER BY wanted.place`

function readColumnFacts(queryable: Queryable, { oid, columns }: Relation): Promise<ColumnFacts[]> {
  return queryable.query<ColumnFacts & object>(COLUMN_FACTS, [
    oid,
    columns.map((column) => column.name),
    columns.map((column) => column.typeOid),
    columns.map((column) => column.typmod),
  ])
}

interface PresentRow {
  readonly name: string
  readonly number: number
  readonly typeName: string
  readonly missing: string | null
  readonly is_computed: boolean
}

const PRESENT = `
  SELECT a.attname AS "name", a.attnum AS "number", pg_catalog.format_type(a.atttypid, a.atttypmod) AS "typeName",
         ${OLDER_ROWS_SQL}
    FROM pg_catalog.pg_attribute AS a
   WHERE a.attrelid = $1::int8::oid AND a.attnum > 0 AND NOT a.attisdropped
   ORDER BY a.attnum`

async function readPresent(queryable: Queryable, { oid }: Relation): Promise<PresentColumn[]> {
  const rows = await queryable.query<PresentRow>(PRESENT, [oid])
  return rows.map(({ name, number, typeName, missing, is_computed }) => {
    return { name, number, typeName, before: is_computed ? undefined : missing }
  })
}

/** The selected columns that the relation still has, and whatever the key needs. */
function selectColumns({ columns }: Relation, plan: CapturePlan): number[] {
  const indexes = columns.map((_, index) => index)
  if (plan.columns === undefined) return indexes
  return indexes.filter((index) => plan.columns!.includes(columns[index]!.name))
}

/**
 * The key chosen at the start, as long as the relation has it and sends it with every delete; else, since the table was
 * altered (a key column renamed, another primary key), the one that the catalog has now, or what its replica identity
 * has.
 */
async function chooseKey(relation: Relation, plan: CapturePlan, queryable: Queryable): Promise<number[]> {
  const { columns, replicaIdentity } = relation
  const indexesOf = (key: readonly string[]) => key.map((name) => columns.findIndex((column) => column.name === name))
  // Without an identity the server refuses updates and deletes: no old row comes here either.
  const insertsOnly = plan.insertsOnly || replicaIdentity === 'nothing'
  const carried = (index: number) => insertsOnly || replicaIdentity === 'full' || columns[index]!.partOfKey
  const planned = indexesOf(plan.key)
  if (planned.every((index) => index >= 0 && (plan.keyOfPartitions || carried(index)))) return planned
  const [table] = await describeTables(queryable, [relation.oid])
  const choice = table && presentKey(table, { insertsOnly })
  if (choice !== undefined && 'chosen' in choice) {
    const present = indexesOf(choice.chosen.columns)
    if (present.every((index) => index >= 0 && carried(index))) return present
  }
  // FULL flags every column, and a row is no key.
  if (replicaIdentity === 'full') return []
  return columns.flatMap((column, index) => (column.partOfKey ? [index] : []))
}
