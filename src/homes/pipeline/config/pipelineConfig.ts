import { readFile } from 'node:fs/promises'
import { basename, dirname, extname, resolve } from 'node:path'
import { formatProblem, PIPELINE_INVALID, PIPELINE_UNREADABLE } from '../../../core/pipelineErrors.js'
import type { ProcessorConfig } from '../../../processors/chain.js'
import type { Sink } from '../../../sinks/sink.js'
import type { SourceOptions } from '../../../source/options.js'
import type { Environment } from './environment.js'
import { loadForProcessors, readProcessors } from './readProcessors.js'
import { readSinks } from './readSinks.js'
import { readSource } from './readSource.js'
import { pipelineSettings } from './settings.js'
import { SettingsReader } from './settingsReader.js'
import { parseYaml } from './yamlFile.js'

/** A file of this size is no pipeline. */
const MAX_FILE_BYTES = 1024 * 1024

export interface PipelineConfig {
  readonly name: string
  readonly statePath: string
  readonly bufferBytes: number
  readonly source: SourceOptions
  /** What is made of the records on their way, in order; undefined or none: they pass as they came. */
  readonly processors?: readonly ProcessorConfig[]
  readonly sinks: readonly SinkConfig[]
}

export interface SinkConfig {
  readonly name: string
  readonly type: string
  readonly onError: 'stop' | 'retry' | 'dead-letter'
  readonly retry: RetryPolicy
  readonly create: () => Sink
}

export interface RetryPolicy {
  readonly firstMs: number
  readonly maxMs: number
  /** 0: without end. */
  readonly attempts: number
}

/** Reads a pipeline's file, or throws `PIPELINE_UNREADABLE`, or `PIPELINE_INVALID` with every mistake in it. */
export async function readPipeline(path: string, environment: Environment = process.env): Promise<PipelineConfig> {
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (cause) {
    throw PIPELINE_UNREADABLE({ path, problem: (cause as Error).message }, { cause })
  }
  if (text.length > MAX_FILE_BYTES) throw PIPELINE_UNREADABLE({ path, problem: 'it is larger than a pipeline can be' })
  const { root } = parseYaml(text, environment)
  await loadForProcessors(
    root?.kind === 'map' ? root.entries.find(({ key }) => key === 'processors')?.value : undefined,
  )
  return parsePipeline(path, text, environment)
}

/** The same of a text that is in the file `path`; what {@link loadForProcessors} loads must be there. */
export function parsePipeline(path: string, text: string, environment: Environment): PipelineConfig {
  const { root, problems } = parseYaml(text, environment)
  const reader = new SettingsReader()
  const start = { line: 1, column: 1 }
  const map = root === undefined ? undefined : reader.map(root, start, '')
  const folder = dirname(resolve(path))
  const file = basename(path, extname(path))
  const values = map && reader.settings(map, pipelineSettings, '', ['source', 'processors', 'sinks'])
  const name = (values?.name as string | undefined) ?? slotPart(file)
  const entry = (key: string) => map?.entries.find((one) => one.key === key)
  const place = (key: string) => entry(key)?.keyPlace ?? map?.place ?? start
  const source = map && readSource(reader, entry('source')?.value, place('source'), name)
  const processors = map && readProcessors(reader, entry('processors')?.value, { codecs: source, folder })
  const sinks = map && readSinks(reader, entry('sinks')?.value, place('sinks'), { folder, pipeline: name })
  const found = [...problems, ...reader.problems].sort((a, b) => a.line - b.line || a.column - b.column)
  if (found.length > 0 || source === undefined || processors === undefined || sinks === undefined) {
    throw PIPELINE_INVALID({ mistake: formatProblem(path, found[0]!), more: found.length - 1, problems: found })
  }
  return {
    name,
    statePath: resolve(folder, (values!.state as string | undefined) ?? `${file}.state`),
    bufferBytes: (values!.bufferBytes as number | undefined) ?? pipelineSettings.bufferBytes.parse(undefined),
    source,
    processors,
    sinks,
  }
}

function slotPart(file: string): string {
  return file.replace(/[^A-Za-z0-9_-]/g, '_').slice(0, 50)
}
