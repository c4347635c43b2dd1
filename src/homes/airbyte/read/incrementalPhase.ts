import { POSITION_AHEAD, SLOT_AHEAD, SLOT_LOST, SLOT_MISSING } from '../../../core/errors.js'
import { parseConnectionString } from '../../../postgres/connectionString.js'
import { Session } from '../../../postgres/session.js'
import { dropSlot } from '../../../postgres/slot.js'
import type { StreamPosition } from '../../../source/position.js'
import { BatchLines } from './batchLines.js'
import { FoldedLines } from './foldedLines.js'
import { readIncremental } from './incremental.js'
import type { Joined } from './joinPositions.js'
import { expectRows, type Phase, recordLinesOf, streamsOf } from './phase.js'
import type { RunStream } from './plan.js'
import { ROWS_STAY } from './resume.js'
import { sourceOptions } from './sourceOptions.js'
import { modeOf, resetLine } from './stateMessages.js'

/** The rows of new streams and the changes of all, until the end; whatever happens, a STATE of what was written. */
export async function incrementalPhase(phase: Phase): Promise<void> {
  const streams = streamsOf(phase, 'incremental')
  if (streams.length === 0) return
  const { config, plan, tail, signal, output, reports, checkpoints } = phase
  let reached = plan.joined?.position
  const onReached = (position: StreamPosition | undefined) => {
    reached = position
  }
  const state = async (which: 'changed' | 'incremental') => {
    if (reached === undefined) return
    // Of the other types each STATE has those that are captured, and no others.
    const resets = config.state_type === 'stream' ? plan.removed.map(resetLine) : []
    await output.lines([Buffer.from(resets.join('') + checkpoints.lines(reached, which))])
  }
  try {
    await readOrBegin(phase, onReached)
  } catch (error) {
    await state('changed')
    return reports.fail(error, streams)
  }
  const over = signal.aborted
  for (const one of streams) reports.running(one)
  await state('incremental')
  for (const { lines, matched } of streams) {
    const scanning = reached === undefined || modeOf(reached, matched.facts.table.oid) === 'scanning'
    const complete = !over || (tail && !scanning)
    reports.status(complete ? 'COMPLETE' : 'INCOMPLETE', [lines.stream])
  }
}

/** From where the state is, or anew when that is lost and shall be. */
async function readOrBegin(phase: Phase, onReached: (position: StreamPosition | undefined) => void): Promise<void> {
  const { config, plan, output } = phase
  try {
    await readFrom(phase, plan.joined, onReached)
  } catch (error) {
    const lost = [SLOT_LOST, SLOT_MISSING, SLOT_AHEAD, POSITION_AHEAD].some((one) => one.is(error))
    if (!lost || config.on_lost_position !== 'resync') throw error
    output.log('WARN', `${(error as Error).message}: all streams are read anew. ${ROWS_STAY}`)
    // It holds nothing any more, or may stand beyond what comes, and is in the way of one of its name.
    if (SLOT_LOST.is(error) || POSITION_AHEAD.is(error)) await dropOurSlot(phase)
    onReached(undefined)
    await readFrom(phase, undefined, onReached)
  }
}

async function readFrom(
  phase: Phase,
  from: Joined | undefined,
  onReached: (position: StreamPosition) => void,
): Promise<void> {
  const { config, tail, signal, output, checkpoints, onEvent } = phase
  const streams = streamsOf(phase, 'incremental')
  const forAtMostMs = tail ? config.checkpoint_seconds * 1000 : undefined
  const records = recordLinesOf(phase, streams, from)
  if (!config.compact) {
    const begun = streams.filter((one) => !isKnown(one, from))
    expectRows(phase, records, begun)
  }
  const parts = { records, checkpoints, output, onReached }
  await readIncremental({
    options: {
      ...sourceOptions(config, streams, signal),
      position: from?.position,
      slot: config.slot_name,
      publication: config.publication_name,
      existingSlot: 'snapshot',
      strategy: 'incremental',
      onRedeliveryChange: 'repeat',
      startBatch: true,
      ...(!tail && { until: 'current' }),
    },
    incoming: from?.position,
    lines: config.compact
      ? new FoldedLines({ ...parts, atMost: config.compact_bytes, forAtMostMs })
      : new BatchLines(parts),
    onEvent: (event) => {
      if (event.type === 'large-transaction' && !config.compact) records.expect(Number.POSITIVE_INFINITY)
      onEvent(event)
    },
  })
}

/** Its rows were read, or some of them. */
function isKnown({ matched }: RunStream, from: Joined | undefined): boolean {
  return from?.position.origin.captured?.includes(matched.facts.table.oid) === true
}

async function dropOurSlot({ config }: Phase): Promise<void> {
  await using session = await Session.connect(parseConnectionString(config.source.url), {})
  await dropSlot(session, config.slot_name)
}
