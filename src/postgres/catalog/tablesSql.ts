/** One row of {@link MEMBERS_SQL}. OIDs come as text: they are unsigned, and drivers differ in how they read them. */
export interface MemberRow {
  readonly root: string
  readonly oid: string
  readonly schema: string
  readonly name: string
  readonly kind: string
  readonly persistence: string
  readonly identity: string
  readonly rows: number | null
  readonly pages: number
  readonly owner: string
  /** JSON: `[["OID","schema","name"], …]`, the nearest first; null for what is no partition. */
  readonly ancestors: string | null
  readonly has_children: boolean
  readonly row_security: boolean
  readonly schema_usable: boolean
  readonly readable: boolean
}

/**
 * The tables $1 (an oid[]) and all their partitions through all levels, partitions that are being detached left out.
 * Only catalogs are read (pg_partition_tree and pg_relation_size would take locks, and wait for a migration's).
 */
export const MEMBERS_SQL = `
WITH RECURSIVE wanted (oid) AS (
  SELECT w.oid FROM pg_catalog.unnest($1::pg_catalog.oid[]) AS w (oid)
), member (root, oid) AS (
  SELECT w.oid, w.oid FROM wanted w
  UNION ALL
  SELECT m.root, i.inhrelid
    FROM member m
    JOIN pg_catalog.pg_class above ON above.oid = m.oid AND above.relkind = 'p'
    JOIN pg_catalog.pg_inherits i ON i.inhparent = m.oid AND NOT i.inhdetachpending
), ancestor (oid, above, height) AS (
  SELECT c.oid, i.inhparent, 1
    FROM wanted w
    JOIN pg_catalog.pg_class c ON c.oid = w.oid AND c.relispartition
    JOIN pg_catalog.pg_inherits i ON i.inhrelid = c.oid
  UNION ALL
  SELECT a.oid, i.inhparent, a.height + 1
    FROM ancestor a
    JOIN pg_catalog.pg_class c ON c.oid = a.above AND c.relispartition
    JOIN pg_catalog.pg_inherits i ON i.inhrelid = c.oid
)
SELECT m.root::pg_catalog.text AS root,
       c.oid::pg_catalog.text AS oid,
       n.nspname AS schema,
       c.relname AS name,
       c.relkind AS kind,
       c.relpersistence AS persistence,
       c.relreplident AS identity,
       CASE WHEN c.reltuples >= 0 THEN c.reltuples::pg_catalog.float8 END AS rows,
       c.relpages AS pages,
       pg_catalog.pg_get_userbyid(c.relowner) AS owner,
       (SELECT pg_catalog.json_agg(
                 pg_catalog.json_build_array(above.oid::pg_catalog.text, s.nspname, above.relname) ORDER BY a.height
               )::pg_catalog.text
          FROM ancestor a
          JOIN pg_catalog.pg_class above ON above.oid = a.above
          JOIN pg_catalog.pg_namespace s ON s.oid = above.relnamespace
         WHERE a.oid = c.oid) AS ancestors,
       c.relkind = 'r' AND EXISTS (SELECT FROM pg_catalog.pg_inherits i WHERE i.inhparent = c.oid) AS has_children,
       pg_catalog.row_security_active(c.oid) AS row_security,
       pg_catalog.has_schema_privilege(n.oid, 'USAGE') AS schema_usable,
       pg_catalog.has_table_privilege(c.oid, 'SELECT') AS readable
  FROM member m
  JOIN pg_catalog.pg_class c ON c.oid = m.oid
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 ORDER BY m.root, n.nspname, c.relname`

export interface ColumnRow {
  readonly table: string
  readonly number: number
  readonly name: string
  readonly type: string
  readonly typmod: number
  readonly type_name: string
  readonly not_null: boolean
  readonly generated: string
  readonly readable: boolean
  readonly missing: string | null
  readonly is_computed: boolean
}

/**
 * Of the column `a`: what the rows have that are older than it, and whether that may be something else in each. The server
 * keeps it until the table is rewritten, which sends nothing; without it a default may have been computed for them.
 */
export const OLDER_ROWS_SQL = `
       (a.attmissingval::pg_catalog.text::pg_catalog.text[])[1] AS missing,
       a.attgenerated <> '' OR a.attidentity <> '' OR (a.atthasdef AND NOT a.atthasmissing) AS is_computed`

/** The columns of the tables $1 (an oid[]). A NOT NULL constraint of PostgreSQL 18 may be NOT VALID: then rows lie. */
export const COLUMNS_SQL = `
SELECT a.attrelid::pg_catalog.text AS table,
       a.attnum AS number,
       a.attname AS name,
       a.atttypid::pg_catalog.text AS type,
       a.atttypmod AS typmod,
       pg_catalog.format_type(a.atttypid, a.atttypmod) AS type_name,
       a.attnotnull AND NOT EXISTS (
         SELECT FROM pg_catalog.pg_constraint n
          WHERE n.conrelid = a.attrelid AND n.contype = 'n' AND n.conkey[1] = a.attnum AND NOT n.convalidated
       ) AS not_null,
       a.attgenerated AS generated,
       pg_catalog.has_column_privilege(a.attrelid, a.attnum, 'SELECT') AS readable,
       ${OLDER_ROWS_SQL}
  FROM pg_catalog.pg_attribute a
 WHERE a.attrelid = ANY ($1::pg_catalog.oid[]) AND a.attnum > 0 AND NOT a.attisdropped
 ORDER BY a.attrelid, a.attnum`

export interface IndexRow {
  readonly table: string
  readonly name: string
  readonly is_primary: boolean
  readonly is_identity: boolean
  readonly is_immediate: boolean
  readonly is_valid: boolean
  readonly is_whole: boolean
  readonly is_usual: boolean
  readonly columns: string[]
}

/** The unique indexes of the tables $1 (an oid[]); `is_whole`: neither partial nor over expressions; `is_usual`: its columns' own collations and default operators. */
export const UNIQUE_INDEXES_SQL = `
SELECT x.indrelid::pg_catalog.text AS table,
       c.relname AS name,
       x.indisprimary AS is_primary,
       x.indisreplident AS is_identity,
       x.indimmediate AS is_immediate,
       x.indisvalid AS is_valid,
       x.indpred IS NULL AND x.indexprs IS NULL AS is_whole,
       NOT EXISTS (
         SELECT FROM ROWS FROM (
                  pg_catalog.unnest(x.indkey), pg_catalog.unnest(x.indclass), pg_catalog.unnest(x.indcollation)
                ) WITH ORDINALITY AS k (attnum, opclass, collid, place)
           JOIN pg_catalog.pg_attribute a ON a.attrelid = x.indrelid AND a.attnum = k.attnum
           JOIN pg_catalog.pg_opclass o ON o.oid = k.opclass
          WHERE k.place <= x.indnkeyatts AND (NOT o.opcdefault OR k.collid <> a.attcollation)
       ) AS is_usual,
       ARRAY(SELECT a.attname::pg_catalog.text
               FROM pg_catalog.unnest(x.indkey) WITH ORDINALITY AS k (attnum, place)
               JOIN pg_catalog.pg_attribute a ON a.attrelid = x.indrelid AND a.attnum = k.attnum
              WHERE k.place <= x.indnkeyatts
              ORDER BY k.place) AS columns
  FROM pg_catalog.pg_index x
  JOIN pg_catalog.pg_class c ON c.oid = x.indexrelid
 WHERE x.indrelid = ANY ($1::pg_catalog.oid[]) AND x.indisunique AND x.indislive
 ORDER BY x.indrelid, c.relname`
