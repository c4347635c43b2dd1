import { REDELIVERY_CHANGED, STATE_MISMATCH } from '../../../core/errors.js'
import { SINKS_APART } from '../../../core/pipelineErrors.js'
import { HEAD_OPERATION, SNAPSHOT } from '../../../core/rowBatch.js'
import { formatLsn } from '../../../postgres/lsn.js'
import type { Batch } from '../../../source/batch.js'
import { comparePlaces, StreamPosition } from '../../../source/position.js'

/** Up to where a sink has everything, though the source begins before that. */
export interface Ahead {
  readonly position: StreamPosition
  /** Whether the position is of the run that gives the batches: only then rows of a snapshot can be compared. */
  readonly sameRun: boolean
}

/** Where sinks are compared by transactions alone: what is missing between two such places is known. */
export function isPlain({ place }: StreamPosition): boolean {
  return place.snapshot === undefined && place.polling === undefined
}

/** From where the source is to go on; undefined: from the beginning. `positions` by sink, undefined: it has had nothing. */
export function leastPosition(
  positions: ReadonlyMap<string, StreamPosition | undefined>,
  statePath: string,
): StreamPosition | undefined {
  let [least] = positions
  for (const one of positions) {
    const [sink, position] = one
    const [other, known] = least!
    if (position === undefined || known === undefined) {
      if (position === known) continue
      const [nothing, something] = position === undefined ? [sink, other] : [other, sink]
      const problem = `the sink ${nothing} has had nothing yet, and ${something} is in the middle of the stream`
      throw STATE_MISMATCH({ path: statePath, problem })
    }
    const order = comparePlaces(position.place, known.place)
    if (order !== 0 && !(isPlain(position) && isPlain(known))) throw SINKS_APART({ sinks: [other, sink] })
    if (order < 0) least = one
  }
  return least?.[1]
}

/** What of a batch follows `ahead`; undefined: nothing. */
export function beyond(batch: Batch, { position, sameRun }: Ahead): Batch | undefined {
  if (batch.length === 0) {
    return comparePlaces(StreamPosition.parse(batch.position).place, position.place) <= 0 ? undefined : batch
  }
  // A snapshot that no sink had whole is read anew for all of them.
  if (!sameRun && batch.rows.heads[HEAD_OPERATION] === SNAPSHOT) return batch
  let low = 0
  for (let high = batch.length; low < high; ) {
    const middle = (low + high) >> 1
    if (comparePlaces(positionAt(batch, middle).place, position.place) <= 0) low = middle + 1
    else high = middle
  }
  if (low > 0 && !sameRun) requireSameCount(positionAt(batch, low - 1), position)
  if (low === 0) return batch
  return low === batch.length ? undefined : batch.part(low, batch.length)
}

function positionAt(batch: Batch, index: number): StreamPosition {
  return StreamPosition.parse(batch.at(index)!.position)
}

/** The index counts alike only while the publication stayed the same: see design section 3, rule 2. */
function requireSameCount({ place: skipped }: StreamPosition, { place: known }: StreamPosition): void {
  const same = skipped.lsn === known.lsn && skipped.seq === known.seq && skipped.sub === known.sub
  if (!same || skipped.end !== undefined || known.end !== undefined) return
  if (skipped.fingerprint !== known.fingerprint) {
    throw REDELIVERY_CHANGED({ lsn: formatLsn(known.lsn), seq: known.seq + 1 })
  }
}
