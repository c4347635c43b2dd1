import { STATE_MISMATCH } from '../../../core/errors.js'
import { SINKS_APART } from '../../../core/pipelineErrors.js'
import { HEAD_OPERATION, SNAPSHOT } from '../../../core/rowBatch.js'
import { formatLsn } from '../../../postgres/lsn.js'
import type { Batch } from '../../../source/batch.js'
import { BEFORE_ROWS, comparePlaces, StreamPosition } from '../../../source/position.js'
import { recordsUpTo } from '../../../source/recordsUpTo.js'

/** Up to where a sink has everything, though the source begins before that. */
export interface Ahead {
  readonly position: StreamPosition
  /** Whether the position is of the run that gives the batches: only then rows of a snapshot can be compared. */
  readonly sameRun: boolean
}

/** Where sinks are compared by transactions alone: what is missing between two such places is known. */
export function isPlain(position: StreamPosition): boolean {
  return position.isPlain
}

/** Nothing of a snapshot was read yet. */
export function isBeginning({ place: { snapshot, lsn, seq } }: StreamPosition): boolean {
  return snapshot?.rows === 0 && seq === BEFORE_ROWS && snapshot.id === formatLsn(lsn)
}

/** How a pipeline goes on. */
export interface Start {
  /** Where the source begins; undefined: from the beginning. */
  readonly least: StreamPosition | undefined
  /** Where what is read takes the place of all that the sinks have: none of them is ahead. */
  readonly anew?: true | undefined
  /** Sinks at one place that have to go on alone first, since what they lack cannot be told from what the others have. */
  readonly alone?: readonly string[] | undefined
}

/** `positions` by sink, undefined: it has had nothing. */
export function startOf(positions: ReadonlyMap<string, StreamPosition | undefined>, statePath: string): Start {
  const known = [...positions].flatMap(([sink, position]) => (position === undefined ? [] : [{ sink, position }]))
  const [first] = known
  if (first === undefined) return { least: undefined }
  if (known.length < positions.size) {
    const nothing = [...positions].find(([, position]) => position === undefined)![0]
    const problem = `the sink ${nothing} has had nothing yet, and ${first.sink} is in the middle of the stream`
    throw STATE_MISMATCH({ path: statePath, problem })
  }
  const all = known.map(({ position }) => position)
  const anew = all.find((one) => one.beginsAnew && !one.isNothing) ?? all.find((one) => one.beginsAnew)
  if (anew !== undefined) {
    const behind = known.find(({ position }) => !mayBeginAnew(position, anew))
    if (behind === undefined) return { least: anew, anew: true }
    throw SINKS_APART({ sinks: [known.find(({ position }) => position === anew)!.sink, behind.sink] })
  }
  const [least] = [...all].sort((a, b) => comparePlaces(a.place, b.place))
  const apart = known.filter(({ position }) => !isSame(position, least!))
  if (apart.length === 0 || all.every(isPlain)) return { least }
  if (all.some(({ place }) => place.polling !== undefined)) {
    throw SINKS_APART({ sinks: [known.find(({ position }) => position === least)!.sink, apart[0]!.sink] })
  }
  const unfinished = known.filter(({ position }) => !isPlain(position))
  const place = unfinished[0]!.position
  const alone = unfinished.filter(({ position }) => isSame(position, place))
  return { least: place, alone: alone.map(({ sink }) => sink) }
}

/** Two runs may have read as many rows of a snapshot by the same place of the stream, and others. */
function isSame(a: StreamPosition, b: StreamPosition): boolean {
  return comparePlaces(a.place, b.place) === 0 && (a.place.snapshot === undefined || String(a) === String(b))
}

/** `anew` drops the slot: whoever has nothing of that one goes on there, too, and where all rows come again whoever has others. */
function mayBeginAnew(position: StreamPosition, anew: StreamPosition): boolean {
  return (
    position.beginsAnew || isBeginning(position) || (!anew.isNothing && position.origin.epoch !== anew.origin.epoch)
  )
}

/** What of a batch follows `ahead`; undefined: nothing. */
export function beyond(batch: Batch, { position, sameRun }: Ahead): Batch | undefined {
  if (batch.length === 0) {
    return comparePlaces(StreamPosition.parse(batch.position).place, position.place) <= 0 ? undefined : batch
  }
  // A snapshot that no sink had whole is read anew for all of them.
  if (!sameRun && batch.rows.heads[HEAD_OPERATION] === SNAPSHOT) return batch
  const low = recordsUpTo(batch, position, { sameRun })
  if (low === 0) return batch
  return low === batch.length ? undefined : batch.part(low, batch.length)
}
