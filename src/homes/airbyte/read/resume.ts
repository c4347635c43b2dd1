import { AIRBYTE_POSITION_TOO_OLD } from '../../../core/airbyteErrors.js'
import type { TailraceError } from '../../../core/tailraceError.js'
import type { ServerFacts } from '../../../postgres/catalog/server.js'
import { formatLsn, type Lsn } from '../../../postgres/lsn.js'
import { BEFORE_ROWS, StreamPosition } from '../../../source/position.js'
import { originOf } from '../../../source/start.js'
import type { StreamDescriptor } from '../protocol/messages.js'
import { describeStream } from './configuredCatalog.js'
import { type Joined, joinPositions } from './joinPositions.js'
import type { MatchedStream } from './matchStreams.js'
import { type SavedState, savedOf } from './savedState.js'

export interface ResumeFacts {
  readonly server: ServerFacts
  readonly slot: string
  /** Where the slot stands; undefined: there is none. */
  readonly confirmed: Lsn | undefined
  /** Read streams anew whose changes are gone, instead of refusing them. */
  readonly resync: boolean
}

export interface Resumed {
  readonly joined: Joined | undefined
  /** Those that go on, or begin. */
  readonly streams: readonly MatchedStream[]
  readonly refused: readonly { readonly stream: MatchedStream; readonly error: TailraceError }[]
  /** Were captured and are not wanted any more: their changes are nowhere from now on, so that they would be read anew. */
  readonly removed: readonly StreamDescriptor[]
  /** What is done otherwise than the state has it, for people. */
  readonly warnings: readonly string[]
}

/** What reading anew cannot tell. */
export const ROWS_STAY =
  'Rows that are gone by now stay at the destination, since no record tells of them: clear it there'

/** Where a run goes on, from what was saved of each stream. Pure. */
export function resume(state: SavedState, streams: readonly MatchedStream[], facts: ResumeFacts): Resumed {
  const { confirmed, slot } = facts
  const places: { readonly stream: MatchedStream; readonly position: StreamPosition }[] = []
  const wanted = new Set<object>()
  for (const stream of streams) {
    const saved = savedOf(state.streams, stream.stream.descriptor)
    if (saved === undefined) continue
    wanted.add(saved)
    places.push({ stream, position: toPosition(saved.at, stream.facts.table.oid, facts) })
  }
  const isOld = ({ position }: (typeof places)[number]) => confirmed !== undefined && position.resumeLsn < confirmed
  const old = places.filter(isOld)
  const warnings = facts.resync
    ? old.map(({ stream }) => `${nameOf(stream)} is read anew: its saved position is before the slot's. ${ROWS_STAY}`)
    : []
  // Where none can go on the source says so, for all.
  const someCan = old.length < places.length
  const refused =
    facts.resync || !someCan ? [] : old.map((one) => ({ stream: one.stream, error: tooOld(one, slot, confirmed!) }))
  const kept = facts.resync || someCan ? places.filter((one) => !isOld(one)) : places
  const left = state.streams.filter((one) => !wanted.has(one))
  const others = left.flatMap(({ at }) => (at instanceof StreamPosition && at.origin.slot === slot ? [at] : []))
  const removed = left.map(({ descriptor }) => descriptor)
  const tables = kept.map(({ stream, position }) => ({ oid: stream.facts.table.oid, position }))
  const joined = tables.length === 0 ? undefined : joinPositions(tables, others)
  for (const oid of joined?.outdated ?? []) {
    const stream = streams.find(({ facts: { table } }) => table.oid === oid)!
    warnings.push(`${nameOf(stream)} is read anew: its state is of a table or a slot that is gone. ${ROWS_STAY}`)
  }
  return {
    joined,
    streams: streams.filter((one) => !refused.some(({ stream }) => stream === one)),
    refused,
    removed,
    warnings,
  }
}

function toPosition(at: StreamPosition | Lsn, oid: number, { server, slot }: ResumeFacts): StreamPosition {
  if (at instanceof StreamPosition) return at
  const place = { lsn: at, seq: BEFORE_ROWS, sub: 0, end: at, fingerprint: 0, snapshot: undefined }
  return new StreamPosition(originOf(server, slot, 1, [oid]), place)
}

function tooOld(
  { stream, position }: { stream: MatchedStream; position: StreamPosition },
  slot: string,
  confirmed: Lsn,
) {
  return AIRBYTE_POSITION_TOO_OLD({
    stream: nameOf(stream),
    slot,
    confirmed: formatLsn(confirmed),
    position: formatLsn(position.resumeLsn),
  })
}

function nameOf({ stream }: MatchedStream): string {
  return describeStream(stream.descriptor)
}
