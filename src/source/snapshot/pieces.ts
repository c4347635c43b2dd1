import type { Queryable } from '../../postgres/queryable.js'
import type { Relation } from './units.js'

/** Pages `from` to `to` (not included). */
export type Pages = readonly [from: number, to: number]

/** What is read of one relation, in whatever snapshots. */
export interface PagesRead {
  /** The file that its rows lie in: a rewrite puts them into another one. */
  readonly file: string
  /** All rows on `pages` were read whose transaction is before this one (64 bits). */
  readonly since: bigint
  readonly pages: readonly Pages[]
}

/** A piece of a relation of which all rows were handed on. */
export interface Piece {
  /** OID of the captured table, and of the relation: itself or one of its leaves. */
  readonly table: number
  readonly relation: number
  readonly read: PagesRead
}

/**
 * @internal Of `snapshot: 'only'`: tables are read in pieces that are told of, so that another run can go on. Each row that this
 * one sees was read by the earlier one, or is read now: on pages that were not read, or since it was changed since.
 */
export interface PieceReading {
  /** What earlier runs have read, by OID of the relation. */
  readonly read: ReadonlyMap<number, PagesRead>
}

/** So many transactions later 32 bits, of which a row has no more, do not tell before from behind: all is read once more. */
const MOST_TRANSACTIONS = 1_000_000_000n

export interface FileNow {
  readonly file: string
  /** The oldest transaction that may not be visible in the snapshot. */
  readonly oldest: bigint
}

/** In a reader's snapshot, under its lock. */
export async function filesNow(reader: Queryable, relations: readonly Relation[]): Promise<Map<number, FileNow>> {
  const rows = await reader.query<{ oid: string; file: string | null; oldest: string }>(
    `SELECT r.oid::pg_catalog.text AS oid, pg_catalog.pg_relation_filepath(r.oid) AS file,
            pg_catalog.pg_snapshot_xmin(pg_catalog.pg_current_snapshot())::pg_catalog.text AS oldest
       FROM pg_catalog.unnest($1::pg_catalog.oid[]) AS r (oid)`,
    [relations.map(({ oid }) => oid)],
  )
  return new Map(rows.map(({ oid, file, oldest }) => [Number(oid), { file: file ?? '', oldest: BigInt(oldest) }]))
}

/**
 * What still counts of what was read; nothing of it where the rows were moved since, or too long ago, or are in no file here
 * (a foreign partition). Pure.
 */
export function stillRead(read: PagesRead | undefined, { file, oldest }: FileNow): PagesRead {
  const counts = file !== '' && read?.file === file && oldest >= read.since && oldest - read.since < MOST_TRANSACTIONS
  return counts ? read : { file, since: oldest, pages: [] }
}

/** With these pages too: in order, and joined where they meet. Pure. */
export function withPages(known: readonly Pages[], more: readonly Pages[]): readonly Pages[] {
  const sorted = [...known, ...more].sort(([a], [b]) => a - b)
  const joined: [number, number][] = []
  for (const [from, to] of sorted) {
    const last = joined.at(-1)
    if (last !== undefined && from <= last[1]) last[1] = Math.max(last[1], to)
    else joined.push([from, to])
  }
  return joined
}

/** What is left up to page `end`; a table that is empty is one piece. Pure. */
export function pagesLeft(read: readonly Pages[], end: number): readonly Pages[] {
  const left: Pages[] = []
  let at = 0
  for (const [from, to] of read) {
    if (from > at) left.push([at, Math.min(from, end)])
    at = Math.max(at, to)
  }
  if (at < end || read.length === 0) left.push([at, end])
  return left.filter(([from, to]) => from < to || end === 0)
}
