import { createHash } from 'node:crypto'
import { quoteIdentifier } from './identifier.js'
import type { Queryable } from './queryable.js'

/** What pgoutput judges the changes of the wanted tables by. */
export interface PublicationState {
  /** Undefined when there is none of that name. */
  readonly oid: string | undefined
  /** The transaction that wrote its options last: they may have been altered and altered back. */
  readonly writtenBy: string | undefined
  readonly owner: string | undefined
  /** Its options, in no particular form. */
  readonly options: string | undefined
  /** Of all that decides whether and as what the wanted tables are published: equal as long as nothing of it changes. */
  readonly digest: string
  /** The same for each wanted table that still exists, by OID, where it was asked for. */
  readonly tables: ReadonlyMap<string, PublishedAs> | undefined
}

export interface PublishedAs {
  readonly name: string
  /** `p` is permanent: of no other kind changes are sent. */
  readonly persistence: string
  /** The table and those above it, if it is a partition. */
  readonly line: string
  /** Memberships of these, each by the row that it is: one that was ended and begun is another. */
  readonly members: string
  /** Memberships of their schemas. */
  readonly schemas: string
}

/** By name of the publication. */
export type PublicationStates = ReadonlyMap<string, PublicationState>

interface Row {
  readonly name: string
  readonly oid: string | null
  readonly written_by: string | null
  readonly owner: string | null
  readonly options: string | null
  readonly digest: string
  readonly tables: readonly string[] | null
}

const SCHEMAS_15 = `ARRAY(
      SELECT s.oid
        FROM pg_catalog.pg_publication_namespace s
       WHERE s.pnpubid = p.oid
         AND s.pnnspid IN (SELECT k.relnamespace FROM pg_catalog.pg_class k WHERE k.oid = ANY (w.line))
       ORDER BY 1)`
const SCHEMAS_14 = `'{}'::pg_catalog.oid[]`

const PARTS = '\u0001'

/** The facts of each table stand in one text: a digest of them all is what a look usually brings. */
const stateSql = (schemas: string) => `
WITH wanted AS (
  SELECT c.oid,
         pg_catalog.format('%I.%I', n.nspname, c.relname) AS name,
         c.relpersistence,
         c.oid || ARRAY(SELECT a.relid::pg_catalog.oid
                          FROM pg_catalog.pg_partition_ancestors(c.oid) AS a (relid)
                         WHERE a.relid <> c.oid) AS line
    FROM pg_catalog.pg_class c
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
   WHERE c.oid = ANY ($2::pg_catalog.oid[])
)
SELECT n.name,
       p.oid::pg_catalog.text AS oid,
       p.xmin::pg_catalog.text AS written_by,
       p.pubowner::pg_catalog.text AS owner,
       (pg_catalog.to_jsonb(p) - 'oid' - 'pubname' - 'pubowner')::pg_catalog.text AS options,
       pg_catalog.md5(coalesce(pg_catalog.string_agg(t.text, ',' ORDER BY w.oid), '')) AS digest,
       CASE WHEN $3 THEN coalesce(pg_catalog.array_agg(w.name || '${PARTS}' || t.text), '{}') END AS tables
  FROM pg_catalog.unnest($1::pg_catalog.text[]) AS n (name)
  LEFT JOIN pg_catalog.pg_publication p ON p.pubname = n.name
  LEFT JOIN wanted w ON true
  LEFT JOIN LATERAL (
    SELECT pg_catalog.concat_ws('${PARTS}', w.oid, w.relpersistence, w.line::pg_catalog.text,
             ARRAY(SELECT r.prrelid || ':' || r.oid || ':' || r.xmin
                     FROM pg_catalog.pg_publication_rel r
                    WHERE r.prpubid = p.oid AND r.prrelid = ANY (w.line)
                    ORDER BY 1)::pg_catalog.text,
             ${schemas}::pg_catalog.text) AS text
  ) t ON w.oid IS NOT NULL
 GROUP BY n.name, p.oid, p.xmin, p.pubowner, pg_catalog.to_jsonb(p)`

/** Reads them in one statement, so of one moment. `tables`: OIDs of the wanted ones; `details`: each of them, too. */
export async function publicationStates(
  queryable: Queryable,
  { names, tables, serverVersion }: PublicationQuestion,
  details: boolean,
): Promise<PublicationStates> {
  const sql = stateSql(serverVersion >= 150000 ? SCHEMAS_15 : SCHEMAS_14)
  const rows = await queryable.query<Row>(sql, [names, tables, details])
  return new Map(
    rows.map((row) => [
      row.name,
      {
        oid: row.oid ?? undefined,
        writtenBy: row.written_by ?? undefined,
        owner: row.owner ?? undefined,
        options: row.options ?? undefined,
        digest: row.digest,
        tables: row.tables === null ? undefined : new Map(row.tables.filter((text) => text !== null).map(publishedAs)),
      },
    ]),
  )
}

export interface PublicationQuestion {
  readonly names: readonly string[]
  /** OIDs of the captured tables. */
  readonly tables: readonly number[]
  /** As a number: 170010. */
  readonly serverVersion: number
}

function publishedAs(text: string): [string, PublishedAs] {
  const [name, oid, persistence, line, members, schemas] = text.split(PARTS) as [string, ...string[]]
  return [oid!, { name, persistence: persistence!, line: line!, members: members!, schemas: schemas! }]
}

/** Whether all is as it was, by the little that every look brings; owners may differ. */
export function sameStates(before: PublicationStates, now: PublicationStates): boolean {
  return [...before].every(([name, was]) => {
    const is = now.get(name)
    return is !== undefined && publicationProblem(was, is) === undefined && is.digest === was.digest
  })
}

/**
 * What was done to the publications between two looks that may have kept changes of the wanted tables from us; undefined
 * when nothing was. Both with details. A table that was dropped takes its membership along, and that is no harm.
 */
export function publicationChange(before: PublicationStates, now: PublicationStates): string | undefined {
  for (const [name, was] of before) {
    const is = now.get(name)!
    const change = publicationProblem(was, is) ?? tableProblem(was, is)
    if (change !== undefined) return `publication ${quoteIdentifier(name)} ${change}`
  }
  return undefined
}

function publicationProblem(was: PublicationState, is: PublicationState): string | undefined {
  if (is.oid === undefined) return was.oid === undefined ? undefined : 'was dropped'
  if (is.oid !== was.oid) return 'was dropped and made again'
  if (is.options !== was.options) return 'had its options altered'
  if (is.writtenBy !== was.writtenBy && is.owner === was.owner) return 'had its options altered, and altered back'
  return undefined
}

function tableProblem(was: PublicationState, is: PublicationState): string | undefined {
  for (const [oid, now] of is.tables ?? []) {
    const before = was.tables?.get(oid)
    if (before === undefined) continue
    if (now.persistence !== before.persistence) return `stopped sending ${now.name}, which was made unlogged`
    if (now.line !== before.line) return `sends ${now.name} as another table, since it was attached or detached`
    if (now.schemas !== before.schemas) return `had the schema of ${now.name} taken out of it, or the table left it`
    if (now.members === before.members) continue
    if (now.members === '{}') return `had ${now.name} taken out of it`
    return before.members === '{}' ? `had ${now.name} added` : `had ${now.name} taken out and added again`
  }
  return undefined
}

/**
 * The same for a position, across runs: `<publications> <tables> <digest>`, where the first are `oid:xmin` parted by commas
 * and the second a digest of the captured tables, since another choice of tables says nothing about the third.
 */
export function publicationMark(states: PublicationStates, tables: readonly number[]): string {
  const publications = [...states.values()].map(({ oid, writtenBy }) => `${oid}:${writtenBy}`).join(',')
  const chosen = [...tables].sort((a, b) => a - b).join(',')
  const digests = [...states].map(([name, { digest }]) => `${name}=${digest}`).join(',')
  return `${publications} ${short(chosen)} ${short(digests)}`
}

function short(text: string): string {
  return createHash('sha256').update(text).digest('base64url').slice(0, 12)
}

/** Whether two marks are of the same captured tables. */
export function sameTables(before: string, now: string): boolean {
  return before.split(' ')[1] === now.split(' ')[1]
}

/** What happened to the publications between two marks; undefined when nothing did. */
export async function markChange(queryable: Queryable, before: string, now: string): Promise<string | undefined> {
  const [publications, tables, digest] = before.split(' ')
  const [present, presentTables, presentDigest] = now.split(' ')
  const known = (publications ?? '').split(',').map((one) => one.split(':') as [oid: string, writtenBy: string])
  const oids = known.map(([oid]) => oid).filter((oid) => /^\d+$/.test(oid))
  const rows = await queryable.query<{ oid: string }>(
    'SELECT p.oid::pg_catalog.text AS oid FROM pg_catalog.pg_publication p WHERE p.oid = ANY ($1::pg_catalog.oid[])',
    [oids],
  )
  if (oids.some((oid) => rows.every((row) => row.oid !== oid)))
    return 'a publication was dropped, and may be made again'
  const altered = (present ?? '').split(',').some((one) => {
    const [oid, writtenBy] = one.split(':')
    const was = known.find(([other]) => other === oid)
    return was !== undefined && was[1] !== writtenBy
  })
  if (altered) return 'a publication was altered'
  const other = !(present ?? '').split(',').some((one) => (publications ?? '').split(',').includes(one))
  if (other) return 'another publication was named'
  const comparable = tables === presentTables && publications === present
  return comparable && digest !== presentDigest
    ? 'a captured table was taken out of a publication, or added'
    : undefined
}
