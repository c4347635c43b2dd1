import type { Lsn } from '../../../postgres/lsn.js'
import { comparePlaces, type Place, StreamPosition } from '../../../source/position.js'

/** Where one captured table was. */
export interface TablePlace {
  readonly oid: number
  readonly position: StreamPosition
}

export interface Joined {
  /** Where the source goes on: at the least of all places, with each table as far as its own position has it. */
  readonly position: StreamPosition
  /** Tables that had more already, by OID: what comes of them up to there is left out. */
  readonly ahead: ReadonlyMap<number, Place>
  /** Tables whose position is of an older slot: they are read anew. */
  readonly outdated: readonly number[]
}

/**
 * One position for tables of which each has its own. Changes of a table between the least place and its own come once
 * more and are left out; what its rows were read in judges the rest, as if it had been asked at once. Pure.
 *
 * `others`: positions of streams that are wanted no more, whose tables are to leave our publication.
 */
export function joinPositions(tables: readonly TablePlace[], others: readonly StreamPosition[]): Joined | undefined {
  const epoch = Math.max(...tables.map(({ position }) => position.origin.epoch))
  const current = tables.filter(({ oid, position: { origin } }) => {
    return origin.epoch === epoch && (origin.captured?.includes(oid) ?? true)
  })
  if (current.length === 0) return undefined
  const least = current.reduce((a, b) => (compare(b.position.place, a.position.place) < 0 ? b : a)).position
  const captured = current.map(({ oid }) => oid)
  const had = [...tables.map(({ position }) => position), ...others]
  const gone = new Set(had.flatMap(({ origin }) => [...(origin.captured ?? []), ...(origin.leaving ?? [])]))
  const leaving = [...gone].filter((oid) => !captured.includes(oid))
  const progress = current.flatMap(({ oid, position }) => {
    return position.place.snapshot?.tables?.filter((one) => one.oid === oid) ?? []
  })
  const unproved = new Map(
    current.flatMap(({ position }) => position.place.snapshot?.unproved ?? []).map((one) => [one.commitLsn, one]),
  )
  const known = current.map(({ position }) => position.place.snapshot).filter((one) => one !== undefined)
  const snapshot =
    progress.length === 0
      ? undefined
      : {
          id: known[0]!.id,
          rows: Math.max(...known.map(({ rows }) => rows)),
          tables: progress,
          unproved: [...unproved.values()],
        }
  const origin = { ...least.origin, captured, leaving: leaving.length > 0 ? leaving : undefined }
  const ahead = current.filter(({ position }) => compare(position.place, least.place) > 0)
  return {
    position: new StreamPosition(origin, { ...least.place, snapshot }),
    ahead: new Map(ahead.map(({ oid, position }) => [oid, position.place])),
    outdated: tables.filter((one) => !current.includes(one)).map(({ oid }) => oid),
  }
}

/** By their place in the stream alone. */
function compare(a: Place, b: Place): number {
  return comparePlaces({ ...a, snapshot: undefined }, { ...b, snapshot: undefined })
}

/** Whether a change of a transaction lies at or before a place. */
export function isWithin(place: Place, commitLsn: Lsn, seq: number, sub: number): boolean {
  if (place.end !== undefined && commitLsn < place.end) return true
  if (commitLsn !== place.lsn) return commitLsn < place.lsn
  return place.end === undefined && (seq !== place.seq ? seq < place.seq : sub <= place.sub)
}
