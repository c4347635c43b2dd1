import type { Batch } from '../../src/source/batch.js'

/**
 * Tells the empty batches by which the end of a run asks for acknowledgements, and then waits: they stand where the batch
 * before them did. For a consumer that gives none, or gives them late.
 */
export function asking(): (batch: Batch) => boolean {
  let last = ''
  return (batch) => {
    const before = last
    last = JSON.stringify(batch.position)
    return batch.length === 0 && last === before
  }
}
