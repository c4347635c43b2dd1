import type { UserType } from '../../core/userType.js'
import type { Queryable } from '../queryable.js'

/** OIDs from here on are not of the server's own types. */
const FIRST_NORMAL_OID = 16384

interface Row {
  readonly oid: string
  readonly schema: string
  readonly name: string
  readonly typtype: string
  readonly is_array: boolean
  readonly parts: string[]
  readonly type_name: string
  readonly extension: string | null
  readonly labels: string[]
  readonly base: string | null
  readonly not_null: boolean
  readonly collate: string | null
  readonly checks: string[]
  /** JSON: `[["name","type"], …]` */
  readonly fields: string | null
  readonly is_row_type: boolean
  /** JSON: of a range, and of the range that a multirange is of. */
  readonly range: string | null
}

interface RangeJson {
  readonly schema: string
  readonly name: string
  readonly subtype: string
  readonly multirange: { readonly schema: string; readonly name: string }
  readonly opclass: string | null
  readonly collation: string | null
  readonly difference: string | null
  readonly is_canonical: boolean
}

/** The types $1 (an oid[]) and all that they are made of, through all levels. */
const SQL = `
WITH RECURSIVE part (whole, oid) AS (
  SELECT NULL::pg_catalog.oid, w.oid FROM pg_catalog.unnest($1::pg_catalog.oid[]) AS w (oid)
  UNION
  SELECT t.oid, p.oid
    FROM part
    JOIN pg_catalog.pg_type t ON t.oid = part.oid
   CROSS JOIN LATERAL (
     SELECT t.typbasetype WHERE t.typtype = 'd'
     UNION ALL
     SELECT t.typelem WHERE t.typelem <> 0 AND t.typsubscript = 'pg_catalog.array_subscript_handler'::pg_catalog.regproc
     UNION ALL
     SELECT a.atttypid FROM pg_catalog.pg_attribute a
      WHERE t.typtype = 'c' AND a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped
     UNION ALL
     SELECT r.rngsubtype FROM pg_catalog.pg_range r WHERE r.rngtypid = t.oid
     UNION ALL
     SELECT r.rngtypid FROM pg_catalog.pg_range r WHERE r.rngmultitypid = t.oid
   ) AS p (oid)
)
SELECT t.oid::pg_catalog.text AS oid,
       n.nspname AS schema,
       t.typname AS name,
       t.typtype AS typtype,
       t.typsubscript = 'pg_catalog.array_subscript_handler'::pg_catalog.regproc AS is_array,
       ARRAY(SELECT p.oid::pg_catalog.text FROM part p WHERE p.whole = t.oid) AS parts,
       pg_catalog.format_type(t.oid, -1) AS type_name,
       (SELECT e.extname FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid
         WHERE d.classid = 'pg_catalog.pg_type'::pg_catalog.regclass AND d.objid = t.oid AND d.deptype = 'e'
           AND d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass) AS extension,
       ARRAY(SELECT l.enumlabel::pg_catalog.text FROM pg_catalog.pg_enum l
              WHERE l.enumtypid = t.oid ORDER BY l.enumsortorder) AS labels,
       CASE WHEN t.typtype = 'd' THEN pg_catalog.format_type(t.typbasetype, t.typtypmod) END AS base,
       t.typnotnull AS not_null,
       (SELECT pg_catalog.format('%I.%I', s.nspname, c.collname)
          FROM pg_catalog.pg_type b
          JOIN pg_catalog.pg_collation c ON c.oid = t.typcollation
          JOIN pg_catalog.pg_namespace s ON s.oid = c.collnamespace
         WHERE b.oid = t.typbasetype AND b.typcollation <> t.typcollation) AS collate,
       ARRAY(SELECT pg_catalog.pg_get_constraintdef(k.oid) FROM pg_catalog.pg_constraint k
              WHERE k.contypid = t.oid AND k.contype = 'c' AND k.convalidated ORDER BY k.conname) AS checks,
       CASE WHEN t.typtype = 'c' THEN (
         SELECT pg_catalog.json_agg(
                  pg_catalog.json_build_array(a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod)) ORDER BY a.attnum
                )::pg_catalog.text
           FROM pg_catalog.pg_attribute a
          WHERE a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped) END AS fields,
       EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.oid = t.typrelid AND c.relkind <> 'c') AS is_row_type,
       (SELECT pg_catalog.json_build_object(
                 'schema', rn.nspname, 'name', rt.typname, 'subtype', pg_catalog.format_type(r.rngsubtype, -1),
                 'multirange', pg_catalog.json_build_object('schema', mn.nspname, 'name', mt.typname),
                 'opclass', CASE WHEN NOT o.opcdefault THEN pg_catalog.format('%I.%I', o_n.nspname, o.opcname) END,
                 'collation', (SELECT pg_catalog.format('%I.%I', s.nspname, c.collname)
                                 FROM pg_catalog.pg_collation c JOIN pg_catalog.pg_namespace s ON s.oid = c.collnamespace
                                WHERE c.oid = r.rngcollation AND r.rngcollation <> b.typcollation),
                 'difference', (SELECT pg_catalog.format('%I.%I', s.nspname, f.proname)
                                  FROM pg_catalog.pg_proc f JOIN pg_catalog.pg_namespace s ON s.oid = f.pronamespace
                                 WHERE f.oid = r.rngsubdiff::pg_catalog.oid AND f.oid < ${FIRST_NORMAL_OID}),
                 'is_canonical', r.rngcanonical::pg_catalog.oid <> 0)::pg_catalog.text
          FROM pg_catalog.pg_range r
          JOIN pg_catalog.pg_type rt ON rt.oid = r.rngtypid
          JOIN pg_catalog.pg_namespace rn ON rn.oid = rt.typnamespace
          JOIN pg_catalog.pg_type mt ON mt.oid = r.rngmultitypid
          JOIN pg_catalog.pg_namespace mn ON mn.oid = mt.typnamespace
          JOIN pg_catalog.pg_type b ON b.oid = r.rngsubtype
          JOIN pg_catalog.pg_opclass o ON o.oid = r.rngsubopc
          JOIN pg_catalog.pg_namespace o_n ON o_n.oid = o.opcnamespace
         WHERE t.oid IN (r.rngtypid, r.rngmultitypid)) AS range
  FROM pg_catalog.pg_type t
  JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
 WHERE t.oid IN (SELECT part.oid FROM part)`

/**
 * Definitions of the types that are none of the server's own, by the OID of a column's type: what has to be there before
 * such a column can be made, parts before wholes. One query, none where all types are the server's. What it was is kept
 * until it is asked for again.
 */
export class TypeDefinitions {
  readonly #queryable: Queryable
  readonly #rows = new Map<string, Row>()

  constructor(queryable: Queryable) {
    this.#queryable = queryable
  }

  async load(oids: readonly number[]): Promise<void> {
    const wanted = [...new Set(oids)].filter((oid) => oid >= FIRST_NORMAL_OID)
    if (wanted.length === 0) return
    for (const row of await this.#queryable.query<Row>(SQL, [wanted])) this.#rows.set(row.oid, row)
  }

  of(oid: number): UserType[] {
    const seen = new Set<string>()
    const found: UserType[] = []
    const visit = (one: string) => {
      const row = this.#rows.get(one)
      if (row === undefined || seen.has(one)) return
      seen.add(one)
      // An extension brings what its types are made of.
      if (row.extension === null) for (const part of row.parts) visit(part)
      if (!row.is_array && Number(one) >= FIRST_NORMAL_OID) found.push(toDefinition(row))
    }
    visit(String(oid))
    return found
  }
}

const OTHERS: Readonly<Record<string, string>> = {
  b: 'base type',
  p: 'pseudo-type',
}

function toDefinition(row: Row): UserType {
  const { schema, name } = row
  if (row.extension !== null) {
    return { kind: 'extension', schema, name, extension: row.extension, typeName: row.type_name }
  }
  switch (row.typtype) {
    case 'e':
      return { kind: 'enum', schema, name, labels: row.labels }
    case 'd': {
      const collate = row.collate === null ? '' : ` COLLATE ${row.collate}`
      return { kind: 'domain', schema, name, base: row.base!, notNull: row.not_null, collate, checks: row.checks }
    }
    case 'c': {
      if (row.is_row_type) return { kind: 'other', schema, name, what: "table's row type" }
      const fields = (JSON.parse(row.fields ?? '[]') as [string, string][]).map(([field, typeName]) => {
        return { name: field, typeName }
      })
      return { kind: 'composite', schema, name, fields }
    }
    case 'r': {
      const range = JSON.parse(row.range!) as RangeJson
      // Only C can write such a function.
      if (range.is_canonical) return { kind: 'other', schema, name, what: 'range type with a canonical function' }
      return {
        kind: 'range',
        schema,
        name,
        subtype: range.subtype,
        multirange: range.multirange,
        options: optionsOf(range),
      }
    }
    case 'm': {
      const range = JSON.parse(row.range!) as RangeJson
      return { kind: 'multirange', schema, name, range: { schema: range.schema, name: range.name } }
    }
    default:
      return { kind: 'other', schema, name, what: OTHERS[row.typtype] ?? 'type' }
  }
}

/** A difference that is no function of the server's own is left out: it makes indexes better, and nothing else. */
function optionsOf({ opclass, collation, difference }: RangeJson): string[] {
  const given = { SUBTYPE_OPCLASS: opclass, COLLATION: collation, SUBTYPE_DIFF: difference }
  return Object.entries(given).flatMap(([name, value]) => (value === null ? [] : [`${name} = ${value}`]))
}
