import { type IndexRow, UNIQUE_INDEXES_SQL } from '../../postgres/catalog/tablesSql.js'
import type { Queryable } from '../../postgres/queryable.js'
import type { Target } from '../target.js'
import type { LaneFacts } from './routing.js'

/** int8, int2, int4: a number has one text in all of them. */
const INTEGERS = new Set([20, 21, 23])

/**
 * A table with its partitions: which triggers fire in a session such as this one (foreign keys are such, too, and so is what
 * defers a unique constraint), and whether a change becomes another by rule.
 */
const FACTS_SQL = `
WITH RECURSIVE tree (oid) AS (
  SELECT $1::pg_catalog.int8::pg_catalog.oid
  UNION ALL
  SELECT i.inhrelid
    FROM tree t
    JOIN pg_catalog.pg_class c ON c.oid = t.oid AND c.relkind = 'p'
    JOIN pg_catalog.pg_inherits i ON i.inhparent = t.oid
), firing (internal, function) AS (
  SELECT g.tgisinternal, p.proname
    FROM tree t
    JOIN pg_catalog.pg_trigger g ON g.tgrelid = t.oid
    JOIN pg_catalog.pg_proc p ON p.oid = g.tgfoid
   WHERE g.tgenabled = 'A'
      OR g.tgenabled = CASE pg_catalog.current_setting('session_replication_role') WHEN 'replica' THEN 'R' ELSE 'O' END
)
SELECT ARRAY(SELECT t.oid::pg_catalog.text FROM tree t) AS oids,
       EXISTS (SELECT FROM firing) AS fires,
       EXISTS (SELECT FROM firing f WHERE NOT f.internal OR f.function ~ '^RI_FKey_(cascade|set)')
         OR EXISTS (SELECT FROM tree t JOIN pg_catalog.pg_rewrite r ON r.ev_class = t.oid WHERE r.ev_type <> '1')
         AS writes_others,
       EXISTS (SELECT FROM tree t JOIN pg_catalog.pg_index x ON x.indrelid = t.oid WHERE x.indisexclusion) AS excludes`

/** Looks up in the target's catalog whether rows of a target may be written over several connections at a time. */
export async function findLaneFacts(queryable: Queryable, target: Target): Promise<LaneFacts> {
  const [row] = await queryable.query<{ oids: string[]; fires: boolean; writes_others: boolean; excludes: boolean }>(
    FACTS_SQL,
    [target.facts.oid],
  )
  const indexes = await queryable.query<IndexRow>(UNIQUE_INDEXES_SQL, [row!.oids])
  const standsAlone = !row!.fires && !row!.excludes && isToldByBytes(target) && hasNoOther(indexes, target)
  return { standsAlone, writesOthers: row!.writes_others }
}

/** Keys that differ in their bytes are never equal to the target, nor are those of the source read as another type there. */
function isToldByBytes({ table, key, keyColumns, byBytes, hasArbiter }: Target): boolean {
  if (key.length === 0 || !byBytes || !hasArbiter) return false
  return keyColumns.every((column, i) => {
    const from = table.columns[key[i]!]!
    return from.typeName === column.typeName || (INTEGERS.has(from.typeOid) && INTEGERS.has(column.typeOid))
  })
}

/** Values of another unique column may change hands between two lanes. */
function hasNoOther(indexes: readonly IndexRow[], { keyColumns }: Target): boolean {
  return indexes.every(({ is_whole, is_usual, columns }) => {
    if (!is_whole || !is_usual || columns.length !== keyColumns.length) return false
    return keyColumns.every(({ name }) => columns.includes(name))
  })
}
