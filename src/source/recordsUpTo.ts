import { REDELIVERY_CHANGED } from '../core/errors.js'
import { formatLsn } from '../postgres/lsn.js'
import type { Batch } from './batch.js'
import { comparePlaces, type StreamPosition } from './position.js'

/** How many of a batch's records stand at or before a position of its history. Rejects a transaction that came with others. */
export function recordsUpTo<Tables extends object>(
  batch: Batch<Tables>,
  position: StreamPosition,
  { sameRun = false } = {},
): number {
  let low = 0
  for (let high = batch.length; low < high; ) {
    const middle = (low + high) >> 1
    if (comparePlaces(batch.ownPosition(middle).place, position.place) <= 0) low = middle + 1
    else high = middle
  }
  if (low > 0 && !sameRun) requireSameCount(batch.ownPosition(low - 1), position)
  return low
}

/** The index counts alike only while the publication stayed the same: see design section 3, rule 2. */
function requireSameCount({ place: skipped }: StreamPosition, { place: known }: StreamPosition): void {
  const same = skipped.lsn === known.lsn && skipped.seq === known.seq && skipped.sub === known.sub
  if (!same || skipped.end !== undefined || known.end !== undefined) return
  if (skipped.fingerprint !== known.fingerprint) {
    throw REDELIVERY_CHANGED({ lsn: formatLsn(known.lsn), seq: known.seq + 1 })
  }
}
