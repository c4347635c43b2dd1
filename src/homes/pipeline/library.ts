import { resolve } from 'node:path'
import type * as z from 'zod'
import { SETTING_INVALID } from '../../core/errors.js'
import { parseSettings } from '../../core/setting.js'
import { GuardedSink } from '../../sinks/custom/guardedSink.js'
import type { Sink } from '../../sinks/sink.js'
import type { SinkPlace } from '../../sinks/sinkType.js'
import { sinkTypes } from '../../sinks/sinkTypes.js'
import type { SourceEvent } from '../../source/events.js'
import { parseOptions, type SourceOptions } from '../../source/options.js'
import type { RetryPolicy, SinkConfig } from './config/pipelineConfig.js'
import { databaseOf, withDefaults } from './config/readSource.js'
import { pipelineSettings, retrySettings, sinkSettings } from './config/settings.js'
import type { PipelineEvent, PipelineSummary } from './run/events.js'
import { runPipeline as run } from './runPipeline.js'

/** What a pipeline does when a sink fails: as in docs/pipelines.md, but for dead letters. */
export interface SinkPolicy {
  /** `stop`: what passes by itself is tried again, any other error ends the pipeline. `retry`: all is. Default: `stop`. */
  readonly onError?: 'stop' | 'retry'
  /** `firstMs` (500) and `maxMs` (30,000) between two tries; `attempts` without any progress, 0 (the default): without end. */
  readonly retry?: Partial<RetryPolicy>
}

/**
 * A sink of a pipeline: one of your own; the same with a policy; or one of ours by its `type`, with its settings as
 * docs/pipelines.md has them, but in camelCase (`{ type: 'file', path: 'out.ndjson', rotateBytes: 1e8 }`).
 */
export type PipelineSink =
  | Sink
  | (SinkPolicy & { readonly sink: Sink | (() => Sink) })
  | (SinkPolicy & { readonly type: string; readonly [setting: string]: unknown })

export interface PipelineOptions {
  /** What it is called: letters, digits, `_` and `-`. Its slot is `tailrace_NAME` unless the source has one. */
  readonly name: string
  /** File that keeps how far each sink is. Default: `NAME.state`, in the working directory. */
  readonly state?: string
  /** How far a sink may be behind, in bytes received, before nothing more is read. Default: 16 MiB. */
  readonly bufferBytes?: number
  /** As for a `PostgresSource`; position and acknowledgements are the pipeline's. */
  readonly source: Omit<SourceOptions, 'position' | 'signal' | 'positionWithData' | 'startBatch'>
  /** By name; the state knows them by it. At least one. */
  readonly sinks: Readonly<Record<string, PipelineSink>>
  /** Ends the run: what was read has ten seconds to get to the sinks, the rest comes at the next start. */
  readonly signal?: AbortSignal
  /** Told of what goes on: of the sinks, and of the source as its `events()`. Must not throw. */
  readonly onEvent?: (event: PipelineEvent | SourceEvent) => void
}

/**
 * Runs a pipeline until its source ends or `signal` is aborted, and gives how it went. A record counts as delivered when
 * every sink has it durable; the same call later goes on where every sink was.
 *
 * Rejects with a `TailraceError`: SETTING_INVALID, SETTING_UNKNOWN and SINK_INVALID before anything is done, then the first
 * one of the source, or of a sink, that is not tried again.
 */
export async function runPipeline(options: PipelineOptions): Promise<PipelineSummary> {
  const { source: given, sinks, signal = new AbortController().signal, onEvent = () => {}, ...own } = options
  const { name, state, bufferBytes } = parseSettings(pipelineSettings, own)
  if (name === undefined) throw SETTING_INVALID({ name: 'name', value: undefined, problem: 'it is required' })
  const source = withDefaults(given as SourceOptions, name)
  parseOptions(source)
  const place = { folder: process.cwd(), pipeline: name, database: databaseOf(source) }
  const configs = Object.entries(sinks).map(([sink, one]) => sinkConfig(one, { ...place, sink }))
  if (configs.length === 0) throw SETTING_INVALID({ name: 'sinks', value: sinks, problem: 'at least one is expected' })
  const config = { name, statePath: resolve(state ?? `${name}.state`), bufferBytes, source, sinks: configs }
  const listener = {
    event: onEvent,
    tryingAgain: () => {},
    source: async (running: { events(): AsyncIterable<SourceEvent> }) => {
      for await (const event of running.events()) onEvent(event)
    },
  }
  return run(config, listener, signal)
}

function sinkConfig(given: PipelineSink, place: SinkPlace): SinkConfig {
  const { sink: name } = place
  const isPolicy = 'sink' in given || ('type' in given && !('write' in given))
  const { sink, type, onError, retry, ...settings } = (isPolicy ? given : { sink: given }) as Record<string, unknown>
  const policy = parseSettings(sinkSettings, onError === undefined ? {} : { onError })
  if (policy.onError === 'dead-letter') {
    throw SETTING_INVALID({ name: 'onError', value: onError, problem: 'stop or retry is expected here' })
  }
  // It puts none aside.
  const letters = {
    ...{
      place: { kind: 'file', path: resolve(place.folder, `${place.pipeline}.${name}.dead-letters.ndjson`) } as const,
    },
    ...{ own: undefined, format: undefined },
  }
  const own = { name, ...policy, letters, retry: parseSettings(retrySettings, (retry ?? {}) as object) }
  if (type !== undefined && sink === undefined)
    return { ...own, type: String(type), create: typed(type, settings, place) }
  parseSettings({}, settings)
  if (typeof sink === 'function') {
    return { ...own, type: 'own', create: () => GuardedSink.made(name, sink as () => unknown) }
  }
  // Opened again after it was closed, where a run begins anew.
  const guarded = new GuardedSink(name, sink)
  return { ...own, type: 'own', create: () => guarded }
}

function typed(type: unknown, given: object, place: SinkPlace): () => Sink {
  const sinkType = sinkTypes.get(String(type))
  if (sinkType === undefined) {
    throw SETTING_INVALID({
      name: 'type',
      value: type,
      problem: `one of ${[...sinkTypes.keys()].join(', ')} is expected`,
    })
  }
  const settings = parseSettings<Readonly<Record<string, z.ZodType>>>(sinkType.settings, given)
  const [problem] = sinkType.problems(settings)
  if (problem !== undefined) throw SETTING_INVALID({ name: problem.name, value: undefined, problem: problem.problem })
  return () => sinkType.create(settings, place)
}
