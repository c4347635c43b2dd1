import { randomBytes } from 'node:crypto'
import { PUBLICATION_ON_STANDBY } from '../core/errors.js'
import type { TailraceError } from '../core/tailraceError.js'
import { quoteLiteral } from '../postgres/identifier.js'
import {
  alterPublication,
  createPublication,
  createPublicationSql,
  dropPublication,
  inspectPublication,
  type NewPublication,
  type Publication,
  type PublishedOperations,
  removeTablesSql,
} from '../postgres/publication.js'
import { checkPublication, publicationError } from '../postgres/publicationCheck.js'
import type { PublicationQuestion } from '../postgres/publicationState.js'
import type { Queryable } from '../postgres/queryable.js'
import type { PlannedTable } from './capturePlan.js'
import type { ControlSession } from './controlSession.js'
import type { SourceEvent } from './events.js'
import { type WatchedPublications, watchedPublications } from './publicationWatch.js'

/** Of runs with a slot that name none. */
export const DEFAULT_PUBLICATION = 'tailrace'

const TEMPORARY_PREFIX = 'tailrace_tmp'

/** A name for what a run without a slot makes: the session's pid in it tells later runs whether it is still there. */
export function temporaryName(pid: number): string {
  return `${TEMPORARY_PREFIX}_${pid}_${randomBytes(4).toString('hex')}`
}

/** Such a name: of a publication that goes with its run. */
export function isTemporaryName(name: string): boolean {
  return name.startsWith(`${TEMPORARY_PREFIX}_`)
}

/** Tables whose updates and deletes would fail with a publication of updates have one of inserts beside the other. */
export function publicationNames(name: string, planned: readonly PlannedTable[]): string[] {
  const inserts = planned.filter(({ key }) => key.insertsOnly)
  return [...(inserts.length < planned.length ? [name] : []), ...(inserts.length > 0 ? [`${name}_inserts`] : [])]
}

/** Of all publications that a run may have had, whatever its tables were. */
export function possibleNames(name: string): readonly string[] {
  return [name, `${name}_inserts`]
}

export interface PublicationWishes {
  readonly name: string
  /** Publications made for it are ours, to be altered without being asked; undefined for a temporary one. */
  readonly slot: string | undefined
  /** Who else they are made for. */
  readonly owner?: string | undefined
  readonly serverVersion: number
  /** May alter one that was there before. */
  readonly manage: boolean
  /** Called as soon as one is made: also when making the next one fails. */
  readonly onCreated: (name: string) => void
  /** Called before a missing one is made; throws where that would be wrong. */
  readonly onMissing: (name: string) => void
  readonly emit: (event: SourceEvent) => void
}

export interface PreparedPublications {
  readonly names: readonly string[]
  /** Of those: which were made, and which altered, just now. */
  readonly created: readonly string[]
  readonly altered: readonly string[]
  readonly publications: readonly Publication[]
  /** For whoever watches them from now on. */
  readonly watched: WatchedPublications
}

/** Makes the publications that are missing and checks those that are there: what they lack is an error with the SQL. */
export async function preparePublications(
  queryable: ControlSession,
  planned: readonly PlannedTable[],
  wishes: PublicationWishes,
): Promise<PreparedPublications> {
  const created: string[] = []
  const altered: string[] = []
  const publications: Publication[] = []
  const names = publicationNames(wishes.name, planned)
  for (const name of names) {
    const operations: PublishedOperations = name === wishes.name ? 'all' : 'inserts'
    const tables = planned.filter(({ key }) => key.insertsOnly === (operations === 'inserts')).map(({ table }) => table)
    let publication = await inspectPublication(queryable, name)
    if (publication === undefined) {
      wishes.onMissing(name)
      const comment = madeFor(wishes.slot, wishes.owner)
      const publicationToMake = { name, tables, operations, serverVersion: wishes.serverVersion, comment }
      const made = await createPublication(queryable, publicationToMake).catch((error) => {
        throw PUBLICATION_ON_STANDBY.is(error) ? lastingOnStandby(error, publicationToMake, wishes.name) : error
      })
      if (made || isTemporaryName(name)) {
        created.push(name)
        wishes.onCreated(name)
        wishes.emit({ type: 'publication-created', publication: name, tables: tables.length })
      } else publication = await inspectPublication(queryable, name)
    }
    if (publication !== undefined) {
      // Row filters and column lists are somebody's choice: they hold for the snapshot too.
      const findings = checkPublication(publication, { tables, operations }).filter(
        ({ kind }) => kind !== 'row filter' && kind !== 'column list',
      )
      const error = publicationError(name, findings)
      if (error !== undefined) {
        const mayAlter = wishes.manage || isOurs(publication, wishes.slot)
        if (!mayAlter || findings.some(({ alters }) => alters !== 'publication')) throw error
        for (const sql of new Set(findings.map((finding) => finding.sql))) await alterPublication(queryable, name, sql)
        altered.push(name)
      }
    }
    publication = (await inspectPublication(queryable, name))!
    publications.push(publication)
  }
  const watched = await watchPublications(queryable, planned, wishes)
  return { names, created, altered, publications, watched }
}

/** What a publication is told by that we made for a slot. */
export function madeFor(slot: string | undefined, owner?: string): string {
  if (slot === undefined) return 'Made by tailrace for one run'
  return `Made by tailrace for slot ${slot}${owner === undefined ? '' : `, ${owner}`}`
}

/** One that nobody else reads by, as far as can be known. */
function isOurs({ name, comment }: Publication, slot: string | undefined): boolean {
  return (
    isTemporaryName(name) ||
    (slot !== undefined && (comment === madeFor(slot) || comment?.startsWith(`${madeFor(slot)}, `) === true))
  )
}

/** Tables that are captured no more leave the publications that are ours; gives their state for whoever watches them. */
export async function leavePublications(
  queryable: ControlSession,
  leaving: readonly number[],
  planned: readonly PlannedTable[],
  wishes: Pick<PublicationWishes, 'name' | 'slot' | 'serverVersion'>,
): Promise<WatchedPublications> {
  for (const name of possibleNames(wishes.name)) {
    const publication = await inspectPublication(queryable, name)
    if (publication === undefined || !isOurs(publication, wishes.slot)) continue
    const members = publication.tables.filter(({ oid }) => leaving.includes(oid))
    if (members.length > 0)
      await queryable.query(
        removeTablesSql(
          name,
          members.map((table) => ({ ...table, hasChildren: true })),
        ),
      )
  }
  return watchPublications(queryable, planned, wishes)
}

/** Somebody else has to make it: under a name of which the next run does not think that it is ours to drop. */
function lastingOnStandby(error: TailraceError, wanted: NewPublication, base: string): TailraceError {
  if (!isTemporaryName(base)) return error
  const name = wanted.name.replace(base, DEFAULT_PUBLICATION)
  return PUBLICATION_ON_STANDBY({ publication: name, sql: createPublicationSql({ ...wanted, name }) }, { cause: error })
}

/** The state of a run's publications that are there now, for whoever watches them. */
export function watchPublications(
  queryable: ControlSession,
  planned: readonly PlannedTable[],
  { name, serverVersion }: Pick<PublicationWishes, 'name' | 'serverVersion'>,
): Promise<WatchedPublications> {
  return watchedPublications(queryable, publicationQuestion(planned, { name, serverVersion }))
}

export function publicationQuestion(
  planned: readonly PlannedTable[],
  { name, serverVersion }: Pick<PublicationWishes, 'name' | 'serverVersion'>,
): PublicationQuestion {
  const tables = planned.map(({ table }) => table.oid)
  return { names: publicationNames(name, planned), tables, serverVersion }
}

export async function dropPublications(queryable: Queryable, names: readonly string[]): Promise<void> {
  for (const name of names) await dropPublication(queryable, name)
}

/** Publications of runs that were killed before they could drop them: their session is gone. */
export async function dropAbandonedPublications(queryable: Queryable): Promise<void> {
  const abandoned = await queryable.query<{ name: string }>(
    `SELECT p.pubname AS name
       FROM pg_catalog.pg_publication p
      WHERE p.pubname ~ ${quoteLiteral(`^${TEMPORARY_PREFIX}_[0-9]+_[0-9a-f]{8}(_inserts)?$`)}
        AND pg_catalog.pg_has_role(p.pubowner, 'USAGE')
        AND NOT EXISTS (
          SELECT FROM pg_catalog.pg_stat_activity a
           WHERE a.pid = pg_catalog.split_part(p.pubname, '_', 3)::pg_catalog.int4)`,
  )
  // Another run may drop it at the same moment.
  for (const { name } of abandoned) await dropPublication(queryable, name).catch(() => {})
}
