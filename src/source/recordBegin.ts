import { RowBatch } from '../core/rowBatch.js'
import type { Batch } from './batch.js'
import type { StreamPosition } from './position.js'
import type { RunContext } from './runContext.js'

/**
 * The place from which rows are read, before any of them: a crash behind it leads back to it, and what became meanwhile of
 * rows that were handed out is told from there. Not so from an earlier one: whoever stores positions apart from what he
 * got has it durable before he gets a row.
 */
export async function* recordBegin(
  { options, acknowledgements, signal }: RunContext,
  position: StreamPosition,
): AsyncGenerator<Batch, void, void> {
  acknowledgements.ledger.offer(position, position.resumeLsn)
  yield acknowledgements.batch(new RowBatch(), position)
  if (!options.positionWithData && !options.startBatch) yield* acknowledgements.settle(signal)
}
