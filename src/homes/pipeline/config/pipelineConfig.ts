import { open } from 'node:fs/promises'
import { basename, dirname, extname, resolve } from 'node:path'
import {
  formatProblem,
  PIPELINE_INVALID,
  PIPELINE_UNREADABLE,
  type PipelineProblem,
} from '../../../core/pipelineErrors.js'
import type { DestinationOptions } from '../../../destination/options.js'
import type { ProcessorConfig } from '../../../processors/chain.js'
import type { LetterPlace } from '../../../sinks/deadLetters/letterPlace.js'
import type { Sink } from '../../../sinks/sink.js'
import type { SourceOptions } from '../../../source/options.js'
import { blinkProcessors } from './blink/processors.js'
import { isBlinkFile, readBlink } from './blink/readBlink.js'
import type { ConfigMap, ConfigNode } from './configTree.js'
import type { Environment } from './environment.js'
import { namePart } from './namePart.js'
import { type HttpSettings, readHttp } from './readHttp.js'
import { loadForProcessors, readProcessors } from './readProcessors.js'
import { readSinks } from './readSinks.js'
import { databaseOf, readSource } from './readSource.js'
import { pipelineSettings } from './settings.js'
import { SettingsReader } from './settingsReader.js'
import { loadSinkModules, type SinkModules } from './sinkModules.js'
import { parseYaml } from './yamlFile.js'

/** A file of this size is no pipeline. */
const MAX_FILE_BYTES = 1024 * 1024
/** Who has so many mends one of them, and looks again. */
const MAX_PROBLEMS = 200

export interface PipelineConfig {
  readonly name: string
  readonly statePath: string
  readonly bufferBytes: number
  readonly source: SourceOptions
  /** What is made of the records on their way, in order; undefined or none: they pass as they came. */
  readonly processors?: readonly ProcessorConfig[]
  readonly sinks: readonly SinkConfig[]
  /** What of the file has no effect, or another one than its author may think. */
  readonly notices?: readonly PipelineProblem[] | undefined
  /** Looks at the server before anything is made there; may reject. */
  readonly preflight?: Preflight | undefined
  /** What it says of the HTTP interface of its process. */
  readonly http?: HttpSettings | undefined
}

/** What the server says to what a file declares of it. */
export type Preflight = (signal: AbortSignal) => Promise<{
  /** To be run in place of the pipeline's. */
  readonly source: SourceOptions
  readonly warnings: readonly string[]
}>

/** What a file has, whatever its shape; undefined where there are problems. */
export interface PipelineParts extends Pick<PipelineConfig, 'notices' | 'preflight' | 'http'> {
  readonly name: string
  readonly state: string | undefined
  readonly bufferBytes: number | undefined
  readonly source: SourceOptions | undefined
  readonly processors: readonly ProcessorConfig[] | undefined
  readonly sinks: readonly SinkConfig[] | undefined
}

/** Where a file is. */
export interface FilePlace {
  readonly folder: string
  /** Its name without the ending. */
  readonly file: string
  /** By what stands as `type`. */
  readonly sinkModules: SinkModules
  readonly environment: Environment
}

export interface SinkConfig {
  readonly name: string
  readonly type: string
  readonly onError: 'stop' | 'retry' | 'dead-letter'
  readonly retry: RetryPolicy
  /** What no other sink may have, such as a file. May hold a password. */
  readonly claims?: readonly string[] | undefined
  /** Where it puts aside what it rejects, for people; undefined: nowhere. */
  readonly deadLetters?: string | undefined
  readonly create: () => Sink
  readonly letters: SinkLetters
}

/** Where a sink's dead letters are, whatever its policy is now. */
export interface SinkLetters {
  readonly place: LetterPlace
  /** How they are written again by a sink that keeps them itself. */
  readonly own: DestinationOptions | undefined
  /** What a record is in what the sink writes, where it writes text. */
  readonly format: string | undefined
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
    text = await readText(path)
  } catch (cause) {
    throw PIPELINE_UNREADABLE({ path, problem: (cause as Error).message }, { cause })
  }
  const { root } = parseYaml(text, environment)
  if (root?.kind !== 'map') return parsePipeline(path, text, environment)
  const isBlink = isBlinkFile(root)
  const sinkModules = isBlink ? undefined : await loadSinkModules(partOf(root, 'sinks'), dirname(resolve(path)))
  // At last: a pipeline that begins to run meanwhile lets go of it.
  await loadForProcessors(isBlink ? blinkProcessors(root) : partOf(root, 'processors'))
  return parsePipeline(path, text, environment, sinkModules)
}

function shortened(problems: readonly PipelineProblem[]): readonly PipelineProblem[] {
  const next = problems[MAX_PROBLEMS]
  if (next === undefined) return problems
  const rest = `and ${problems.length - MAX_PROBLEMS} more from here on`
  return [...problems.slice(0, MAX_PROBLEMS), { ...next, setting: '', problem: rest, hint: undefined }]
}

/** Never more of it than a pipeline can be. */
async function readText(path: string): Promise<string> {
  await using file = await open(path)
  const bytes = Buffer.alloc(MAX_FILE_BYTES + 1)
  let length = 0
  for (;;) {
    const { bytesRead } = await file.read(bytes, length, bytes.length - length)
    length += bytesRead
    if (length > MAX_FILE_BYTES) throw new Error('it is larger than a pipeline can be')
    if (bytesRead === 0) return bytes.toString('utf8', 0, length)
  }
}

/**
 * The same of a text that is in the file `path`; what {@link loadForProcessors} loads must be there, and the modules that it
 * names as types of sinks.
 */
export function parsePipeline(
  path: string,
  text: string,
  environment: Environment,
  sinkModules: SinkModules = new Map(),
): PipelineConfig {
  const { root, problems } = parseYaml(text, environment)
  const isBlink = root !== undefined && isBlinkFile(root)
  const reader = new SettingsReader({ textAsWritten: isBlink })
  const map = root === undefined ? undefined : reader.map(root, { line: 1, column: 1 }, '')
  const place = { folder: dirname(resolve(path)), file: basename(path, extname(path)), environment, sinkModules }
  const parts = map && (isBlink ? readBlink(reader, map, place) : readParts(reader, map, place))
  const found = [...problems, ...reader.problems].sort((a, b) => a.line - b.line || a.column - b.column)
  const { source, processors, sinks } = parts ?? {}
  if (
    found.length > 0 ||
    parts === undefined ||
    source === undefined ||
    processors === undefined ||
    sinks === undefined
  ) {
    throw PIPELINE_INVALID({
      mistake: formatProblem(path, found[0]!),
      more: found.length - 1,
      problems: shortened(found),
    })
  }
  const { name, state, bufferBytes, notices, preflight, http } = parts
  return {
    name,
    statePath: resolve(place.folder, state ?? `${place.file}.state`),
    bufferBytes: bufferBytes ?? pipelineSettings.bufferBytes.parse(undefined),
    source,
    processors,
    sinks,
    notices,
    preflight,
    http,
  }
}

function partOf({ entries }: ConfigMap, name: string): ConfigNode | undefined {
  return entries.find(({ key }) => key === name)?.value
}

function readParts(reader: SettingsReader, map: ConfigMap, { folder, file, sinkModules }: FilePlace): PipelineParts {
  const values = reader.settings(map, pipelineSettings, '', ['source', 'processors', 'sinks'])
  const name = (values.name as string | undefined) ?? namePart(file)
  const entry = (key: string) => map.entries.find((one) => one.key === key)
  const place = (key: string) => entry(key)?.keyPlace ?? map.place
  const source = readSource(reader, entry('source')?.value, place('source'), name)
  const surroundings = { folder, pipeline: name, database: databaseOf(source) }
  return {
    name,
    state: values.state as string | undefined,
    bufferBytes: values.bufferBytes as number | undefined,
    source,
    processors: readProcessors(reader, entry('processors')?.value, { codecs: source, folder }),
    sinks: readSinks(reader, entry('sinks')?.value, place('sinks'), surroundings, sinkModules),
    http: readHttp(reader, map, values, folder),
  }
}
