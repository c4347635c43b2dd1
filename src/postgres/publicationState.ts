import { quoteIdentifier } from './identifier.js'
import type { Queryable } from './queryable.js'

/** What pgoutput judges by, as far as it touches the wanted tables: small enough to be read every second. */
export interface PublicationState {
  /** Undefined when there is none of that name. */
  readonly oid: string | undefined
  /** The transaction that wrote its options last: they may have been altered and altered back. */
  readonly writtenBy: string | undefined
  readonly owner: string | undefined
  /** Its options, in no particular form. */
  readonly options: string | undefined
  /** Of the wanted tables (by OID) that are members: which membership it is. One that was ended and begun is another. */
  readonly members: ReadonlyMap<string, string>
  /** Of the wanted tables' schemas those that are members, and which membership it is. */
  readonly schemas: ReadonlyMap<string, string>
}

/** By name of the publication. */
export interface PublicationStates {
  readonly publications: ReadonlyMap<string, PublicationState>
  /** Names of the wanted tables that still exist, by OID. */
  readonly tables: ReadonlyMap<string, string>
}

interface Row {
  readonly name: string
  readonly oid: string | null
  readonly written_by: string | null
  readonly owner: string | null
  readonly options: string | null
  readonly members: readonly string[]
  readonly schemas: readonly string[]
  readonly tables: readonly string[]
}

const SCHEMAS_15 = `ARRAY(
         SELECT s.pnnspid || ':' || s.oid
           FROM pg_catalog.pg_publication_namespace s
          WHERE s.pnpubid = p.oid AND s.pnnspid IN (SELECT w.relnamespace FROM wanted w))`
const SCHEMAS_14 = `'{}'::pg_catalog.text[]`

const stateSql = (schemas: string) => `
WITH wanted AS (
  SELECT c.oid, c.relnamespace, c.relname FROM pg_catalog.pg_class c WHERE c.oid = ANY ($2::pg_catalog.oid[])
)
SELECT n.name,
       p.oid::pg_catalog.text AS oid,
       p.xmin::pg_catalog.text AS written_by,
       p.pubowner::pg_catalog.text AS owner,
       (pg_catalog.to_jsonb(p) - 'oid' - 'pubname' - 'pubowner')::pg_catalog.text AS options,
       ARRAY(SELECT r.prrelid || ':' || r.oid || ':' || r.xmin
               FROM pg_catalog.pg_publication_rel r
              WHERE r.prpubid = p.oid AND r.prrelid IN (SELECT w.oid FROM wanted w)) AS members,
       ${schemas} AS schemas,
       ARRAY(SELECT w.oid || ':' || pg_catalog.format('%I.%I', w.relnamespace::pg_catalog.regnamespace::pg_catalog.text, w.relname)
               FROM wanted w) AS tables
  FROM pg_catalog.unnest($1::pg_catalog.text[]) AS n (name)
  LEFT JOIN pg_catalog.pg_publication p ON p.pubname = n.name`

/** Reads them in one statement, so of one moment. `tables`: OIDs of the wanted ones and of their ancestors. */
export async function publicationStates(
  queryable: Queryable,
  names: readonly string[],
  tables: readonly number[],
  serverVersion: number,
): Promise<PublicationStates> {
  const sql = stateSql(serverVersion >= 150000 ? SCHEMAS_15 : SCHEMAS_14)
  const rows = await queryable.query<Row>(sql, [names, tables])
  return {
    publications: new Map(
      rows.map((row) => [
        row.name,
        {
          oid: row.oid ?? undefined,
          writtenBy: row.written_by ?? undefined,
          owner: row.owner ?? undefined,
          options: row.options ?? undefined,
          members: byFirst(row.members),
          schemas: byFirst(row.schemas),
        },
      ]),
    ),
    tables: byFirst(rows[0]?.tables ?? []),
  }
}

/** Their OIDs, parted by blanks: one that is dropped and made again has another. */
export function publicationOids({ publications }: PublicationStates): string {
  return [...publications.values()].map(({ oid }) => oid).join(' ')
}

/** Name of a publication, of those with these OIDs, that is not there any more. */
export function missingPublication(oids: string, states: PublicationStates): string | undefined {
  const present = publicationOids(states).split(' ')
  return oids.split(' ').every((oid) => present.includes(oid)) ? undefined : [...states.publications.keys()].join(', ')
}

function byFirst(texts: readonly string[]): Map<string, string> {
  return new Map(texts.map((text) => [text.slice(0, text.indexOf(':')), text.slice(text.indexOf(':') + 1)]))
}

/**
 * What was done to the publications between two looks that may have kept changes of the wanted tables from us; undefined
 * when nothing was. A table that was dropped takes its membership along, and that is no harm.
 */
export function publicationChange(before: PublicationStates, now: PublicationStates): string | undefined {
  for (const [name, was] of before.publications) {
    const change = stateChange(was, now.publications.get(name)!, now.tables)
    if (change !== undefined) return `publication ${quoteIdentifier(name)} ${change}`
  }
  return undefined
}

function stateChange(
  was: PublicationState,
  is: PublicationState,
  tables: ReadonlyMap<string, string>,
): string | undefined {
  if (is.oid === undefined) return 'was dropped'
  if (is.oid !== was.oid) return 'was dropped and made again'
  if (is.options !== was.options) return 'had its options altered'
  if (is.writtenBy !== was.writtenBy && is.owner === was.owner) return 'had its options altered, and altered back'
  for (const [oid, table] of tables) {
    const [before, after] = [was.members.get(oid), is.members.get(oid)]
    if (before === after) continue
    if (after === undefined) return `had ${table} taken out of it`
    return before === undefined ? `had ${table} added` : `had ${table} taken out and added again`
  }
  for (const [oid, membership] of was.schemas) {
    if (is.schemas.get(oid) !== membership) return 'had the schema of a captured table taken out of it'
  }
  return undefined
}
