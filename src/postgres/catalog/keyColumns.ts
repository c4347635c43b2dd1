import { quoteIdentifier } from '../identifier.js'
import type { Queryable } from '../queryable.js'
import { hasOneText } from './oneText.js'
import { LESS, operatorSchema } from './operatorSchema.js'

/** What is needed to compare a key column's values as the server does, from their text forms. */
export interface KeyColumn {
  readonly name: string
  /** OID of its type; of a domain that of its base type. */
  readonly typeOid: number
  /** As SQL has it in a cast; without typmod, which could cut a value. */
  readonly typeName: string
  /** ` COLLATE …` of the column; empty for a type without. */
  readonly collate: string
  /** Its order is that of the bytes. */
  readonly byBytes: boolean
  /**
   * Schema of the operators by which its index is ordered: an extension's are not found with an empty search_path, and
   * what is found instead, as text's for a citext, has another order.
   */
  readonly operators: string
  /** Two values may be equal though their texts differ, as 1.0 and 1.00. Absent: no. */
  readonly alike?: boolean | undefined
}

const NUMERIC = 1700

interface Row {
  readonly relation: string
  readonly name: string
  readonly type: string
  readonly type_name: string
  readonly schema: string | null
  readonly collation: string | null
  readonly by_bytes: boolean
  readonly operators: string | null
  readonly kind: string
  readonly typmod: number
  readonly deterministic: boolean
}

// The database's own collation (OID 100) has no locale in pg_collation. `collprovider` d, c, i, b; b has "C" as ucs_basic's order.
// The server compares bytes in its own encoding, we in UTF-8.
const SQL = `
WITH RECURSIVE base (relation, number, oid) AS (
  SELECT a.attrelid, a.attnum, a.atttypid
    FROM ROWS FROM (pg_catalog.unnest($1::pg_catalog.oid[]), pg_catalog.unnest($2::pg_catalog.text[])) AS w (relation, name)
    JOIN pg_catalog.pg_attribute a
      ON a.attrelid = w.relation AND a.attname = w.name::pg_catalog.name AND NOT a.attisdropped
  UNION ALL
  SELECT b.relation, b.number, t.typbasetype FROM base b JOIN pg_catalog.pg_type t ON t.oid = b.oid AND t.typtype = 'd'
)
SELECT b.relation::pg_catalog.text AS relation,
       a.attname AS name,
       t.oid::pg_catalog.text AS type,
       pg_catalog.format_type(t.oid, -1) AS type_name,
       n.nspname AS schema,
       c.collname AS collation,
       d.encoding = pg_catalog.pg_char_to_encoding('UTF8') AND
       CASE WHEN c.oid = 100 THEN d.datcollate IN ('C', 'POSIX') AND coalesce(pg_catalog.to_jsonb(d) ->> 'datlocprovider', 'c') = 'c'
            ELSE coalesce(c.collprovider = 'c' AND c.collcollate IN ('C', 'POSIX'), false) END AS by_bytes,
       ${operatorSchema('t.oid', LESS)} AS operators,
       t.typtype::pg_catalog.text AS kind,
       a.atttypmod AS typmod,
       coalesce(c.collisdeterministic, true) AS deterministic
  FROM base b
  JOIN pg_catalog.pg_type t ON t.oid = b.oid AND t.typtype <> 'd'
  JOIN pg_catalog.pg_attribute a ON a.attrelid = b.relation AND a.attnum = b.number
  JOIN pg_catalog.pg_database d ON d.datname = pg_catalog.current_database()
  LEFT JOIN pg_catalog.pg_collation c ON c.oid = a.attcollation
  LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.collnamespace`

/** The columns `names` of a table, in that order; one that is gone is missing. */
export async function keyColumns(queryable: Queryable, oid: number, names: readonly string[]): Promise<KeyColumn[]> {
  const [columns] = await keyColumnsOf(queryable, [{ oid, key: names }])
  return columns!
}

/** The same of each of several tables, in one query. */
export async function keyColumnsOf(
  queryable: Queryable,
  tables: readonly { readonly oid: number; readonly key: readonly string[] }[],
): Promise<KeyColumn[][]> {
  const wanted = tables.flatMap(({ oid, key }) => key.map((name) => ({ oid, name })))
  if (wanted.length === 0) return tables.map(() => [])
  const found = await queryable.query<Row>(SQL, [wanted.map(({ oid }) => oid), wanted.map(({ name }) => name)])
  const rows = new Map(found.map((row) => [`${row.relation} ${row.name}`, row]))
  return tables.map(({ oid, key }) =>
    key.flatMap((name) => {
      const row = rows.get(`${oid} ${name}`)
      return row === undefined ? [] : [keyColumn(row)]
    }),
  )
}

function keyColumn(row: Row): KeyColumn {
  const { schema, collation, kind, typmod, deterministic } = row
  const typeOid = Number(row.type)
  // With a scale all have its digits.
  const oneText = kind === 'e' || hasOneText(typeOid, typmod) || (typeOid === NUMERIC && typmod > 0)
  const collated = schema !== null && collation !== null
  return {
    name: row.name,
    typeOid,
    typeName: row.type_name,
    collate: collated ? ` COLLATE ${quoteIdentifier(schema)}.${quoteIdentifier(collation)}` : '',
    byBytes: row.by_bytes,
    operators: row.operators ?? 'pg_catalog',
    alike: !deterministic || !oneText,
  }
}
