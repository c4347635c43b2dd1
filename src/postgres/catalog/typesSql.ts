/** One row of {@link TYPES_SQL}. OIDs come as text: they are unsigned, and drivers differ in how they read them. */
export interface TypeRow {
  readonly oid: string
  readonly schema: string
  readonly name: string
  /** pg_type.typtype: b base, c composite, d domain, e enum, m multirange, p pseudo, r range. */
  readonly typtype: string
  readonly base: string
  /** Of a true array, int2vector and oidvector included; null for all others, point and name among them. */
  readonly element: string | null
  /** The element's typdelim: that is what the array's text has between its elements. */
  readonly delimiter: string | null
  /** JSON: `[["name","type OID"], …]` in order, dropped columns left out; null for what is no composite. */
  readonly fields: string | null
  /** Function of the type's cast to json, when the server's to_json would use it. */
  readonly json_cast: string | null
  readonly is_hstore: boolean
}

/** JSON: `[["name","type OID"], …]` of the composite `t`. */
const FIELDS = `
    select coalesce(
      pg_catalog.json_agg(
        pg_catalog.json_build_array(a.attname::pg_catalog.text, a.atttypid::pg_catalog.text) order by a.attnum),
      '[]')::pg_catalog.text
    from pg_catalog.pg_attribute a
    where a.attrelid = t.typrelid and a.attnum > 0 and not a.attisdropped
  `

/** One row of {@link COMPOSITES_SQL}. */
export interface DefinitionRow {
  readonly oid: string
  readonly fields: string
}

/** The fields of the composites $1 (an oid[]) as they are now. */
export const COMPOSITES_SQL = `
select t.oid::pg_catalog.text as oid, (${FIELDS}) as fields
from pg_catalog.pg_type t
where t.oid = any ($1::pg_catalog.oid[]) and t.typtype = 'c'`

/**
 * The types $1 (an oid[]) and every type that their text forms are made of, in one round trip: a domain's base, an
 * array's element, a composite's fields, through all levels. Types that are gone have no row.
 *
 * `json_cast` follows json_categorize_type (src/backend/utils/adt/json.c, jsonfuncs.c from 16): only user types
 * (OID >= 16384), only casts with a function. Arrays, composites and domains never get so far there; their rows may
 * have one, and it means nothing.
 */
export const TYPES_SQL = `
with recursive wanted(oid) as (
  select w.oid from pg_catalog.unnest($1::pg_catalog.oid[]) as w(oid)
  union
  select part.oid
  from wanted
  join pg_catalog.pg_type t on t.oid = wanted.oid
  cross join lateral (
    select t.typbasetype where t.typtype = 'd'
    union all
    select t.typelem
    where t.typelem <> 0 and t.typsubscript = 'pg_catalog.array_subscript_handler'::pg_catalog.regproc
    union all
    select a.atttypid
    from pg_catalog.pg_attribute a
    where t.typtype = 'c' and a.attrelid = t.typrelid and a.attnum > 0 and not a.attisdropped
  ) part(oid)
)
select
  t.oid::pg_catalog.text as oid,
  n.nspname::pg_catalog.text as schema,
  t.typname::pg_catalog.text as name,
  t.typtype::pg_catalog.text as typtype,
  t.typbasetype::pg_catalog.text as base,
  e.oid::pg_catalog.text as element,
  e.typdelim::pg_catalog.text as delimiter,
  case when t.typtype = 'c' then (${FIELDS}) end as fields,
  case when t.oid >= 16384 then c.castfunc::pg_catalog.regproc::pg_catalog.text end as json_cast,
  coalesce(
    t.typname = 'hstore' and f.prosrc = 'hstore_to_json' and f.pronamespace = t.typnamespace and f.probin is not null,
    false) as is_hstore
from wanted
join pg_catalog.pg_type t on t.oid = wanted.oid
join pg_catalog.pg_namespace n on n.oid = t.typnamespace
left join pg_catalog.pg_type e
  on e.oid = t.typelem and t.typsubscript = 'pg_catalog.array_subscript_handler'::pg_catalog.regproc
left join pg_catalog.pg_cast c
  on c.castsource = t.oid and c.casttarget = 'pg_catalog.json'::pg_catalog.regtype and c.castmethod = 'f'
left join pg_catalog.pg_proc f on f.oid = c.castfunc`
