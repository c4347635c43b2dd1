import { sleep } from '../../core/abort.js'
import { backoffMs } from '../../core/backoff.js'
import { SLOT_LOST, SLOT_MISSING, SNAPSHOT_INTERRUPTED } from '../../core/errors.js'
import { SINK_REWOUND } from '../../core/pipelineErrors.js'
import { isTransient } from '../../postgres/serverError.js'
import { removeUnfinished } from '../../sinks/files/stateFile.js'
import { StateLock } from '../../sinks/files/stateLock.js'
import type { PipelineConfig } from './config/pipelineConfig.js'
import type { PipelineSummary, SinkSummary } from './run/events.js'
import { PipelineRun, type RunListener } from './run/pipelineRun.js'
import { TableCounts } from './run/tableCounts.js'

const RETRY = { firstMs: 500, maxMs: 30_000 }

export interface PipelineListener extends RunListener {
  /** Nobody else runs this pipeline now; what it gives is let go of at the end. */
  locked?(): Promise<AsyncDisposable | undefined>
  /** The source failed in a way that may pass, and all begins again where it was recorded. */
  tryingAgain(error: Error): void
}

/**
 * Runs a pipeline until its source ends or `signal` is aborted; gives how it went. Rejects with the first error of the
 * source, or of a sink, that is not tried again: the same call later goes on where every sink was.
 */
export async function runPipeline(
  given: PipelineConfig,
  listener: PipelineListener,
  signal: AbortSignal,
): Promise<PipelineSummary> {
  await using lock = await StateLock.take(given.statePath)
  await using held = await listener.locked?.()
  void [lock, held]
  await removeUnfinished(given.statePath)
  const config = await lookedOver(given, listener, signal)
  const started = performance.now()
  const counts = new TableCounts()
  listener.observer?.counts(counts)
  const sinks = new Map<string, SinkSummary>()
  let alone: readonly string[] | undefined
  for (let attempt = 1; ; attempt++) {
    const run = new PipelineRun(config, listener, counts, signal, alone)
    try {
      const wasAlone = alone !== undefined
      alone = await run.run()
      if (signal.aborted || (alone === undefined && !wasAlone)) break
      if (alone !== undefined) listener.event({ type: 'sinks-alone', sinks: alone })
    } catch (error) {
      const remade = config.source.onSlotLost === 'resnapshot' && (SLOT_LOST.is(error) || SLOT_MISSING.is(error))
      const passes = SNAPSHOT_INTERRUPTED.is(error) || (attempt > 1 && isTransient(error))
      const again = SINK_REWOUND.is(error) || ((remade || passes) && !run.failedSink)
      if (!again || signal.aborted) throw error
      alone = undefined
      listener.tryingAgain(error as Error)
      await sleep(backoffMs(attempt, RETRY), signal).catch(() => {})
      if (signal.aborted) break
    } finally {
      for (const one of run.summaries) sinks.set(one.name, sum(sinks.get(one.name), one))
    }
  }
  return { seconds: (performance.now() - started) / 1000, tables: counts.byTable, sinks: [...sinks.values()] }
}

/** As the server has it that is read. */
async function lookedOver(
  config: PipelineConfig,
  listener: PipelineListener,
  signal: AbortSignal,
): Promise<PipelineConfig> {
  if (config.preflight === undefined) return config
  const found = await config.preflight(signal).catch((error) => {
    if (!signal.aborted) throw error
  })
  if (found === undefined) return config
  const { source, warnings } = found
  for (const warning of warnings) listener.event({ type: 'declared-otherwise', warning })
  return { ...config, source }
}

function sum(before: SinkSummary | undefined, one: SinkSummary): SinkSummary {
  if (before === undefined) return one
  return {
    ...one,
    records: before.records + one.records,
    bytes: before.bytes + one.bytes,
    deadLetters: before.deadLetters + one.deadLetters,
    outages: before.outages &&
      one.outages && {
        count: before.outages.count + one.outages.count,
        seconds: before.outages.seconds + one.outages.seconds,
      },
  }
}
