import type { AirbyteConfig } from '../config/readConfig.js'
import type { MessageOutput } from '../protocol/messageOutput.js'
import type { StreamDescriptor } from '../protocol/messages.js'
import { Checkpoints } from './checkpoints.js'
import { type ConfiguredCatalog, describeStream } from './configuredCatalog.js'
import { EventLog } from './eventLog.js'
import { fullRefreshPhase } from './fullRefreshPhase.js'
import { incrementalPhase } from './incrementalPhase.js'
import type { Phase } from './phase.js'
import { planRead, type ReadPlan } from './plan.js'
import type { SavedState } from './savedState.js'
import { StreamReports } from './streamReports.js'

export interface ReadInput {
  readonly config: AirbyteConfig
  readonly catalog: ConfiguredCatalog
  readonly state: SavedState
  readonly output: MessageOutput
  readonly signal: AbortSignal
  /** File of the thread that may write records. */
  readonly recordWorker?: URL | undefined
}

/** Reads all streams of a catalog; gives whether every one of them was read as it was wanted. */
export async function read(input: ReadInput): Promise<boolean> {
  const { config, catalog, state, output, signal: ended, recordWorker } = input
  const reports = new StreamReports(output)
  const signal = limited(ended, config.max_lifespan_seconds)
  const tail = config.tail || catalog.tail
  reports.status('STARTED', [...catalog.streams, ...catalog.refused])
  for (const { descriptor, error } of catalog.refused) reports.refuse(descriptor, error)
  let plan: ReadPlan
  try {
    plan = await planRead(config, catalog.streams, state, signal)
  } catch (error) {
    if (signal.aborted) return !reports.failed
    reports.status('INCOMPLETE', catalog.streams)
    throw error
  }
  for (const { descriptor, error } of plan.refused) reports.refuse(descriptor, error)
  for (const warning of plan.warnings) output.log('WARN', warning)
  for (const one of givenUp(plan, catalog.refused)) output.log('WARN', `${describeStream(one)} ${GIVEN_UP}`)
  output.send(...plan.estimates)
  const events = new EventLog(output)
  const phase: Phase = {
    config,
    plan,
    tail,
    signal,
    output,
    reports,
    checkpoints: new Checkpoints({
      type: config.state_type,
      everyMs: config.checkpoint_seconds * 1000,
      streams: plan.streams,
      from: plan.joined?.position,
    }),
    onEvent: (event) => events.tell(event),
    recordWorker,
  }
  phase.checkpoints.refreshed(plan.refreshes)
  const phases = [incrementalPhase, fullRefreshPhase]
  // What has no end comes last.
  for (const run of tail ? phases.reverse() : phases) if (!signal.aborted) await run(phase)
  return !reports.failed
}

const GIVEN_UP =
  'loses its state, since the others go on without it: all its rows are read when it can be captured again. Of those that are deleted until then no record tells: clear the stream at the destination then'

/** Streams that are in the catalog, and whose state is not in those of this run. */
function givenUp(
  { streams, refused, removed }: ReadPlan,
  unreadable: ConfiguredCatalog['refused'],
): StreamDescriptor[] {
  // Without any to go on there is no STATE.
  if (!streams.some(({ matched }) => matched.stream.mode === 'incremental')) return []
  const names = [...refused, ...unreadable].map(({ descriptor }) => describeStream(descriptor))
  return removed.filter((one) => names.includes(describeStream(one)))
}

function limited(signal: AbortSignal, lifespanSeconds: number): AbortSignal {
  if (lifespanSeconds <= 0) return signal
  return AbortSignal.any([signal, AbortSignal.timeout(Math.min(lifespanSeconds * 1000, 2 ** 31 - 1))])
}
