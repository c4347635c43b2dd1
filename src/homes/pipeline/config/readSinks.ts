import * as z from 'zod'
import { nearest } from '../../../core/nearest.js'
import { snakeCase } from '../../../core/setting.js'
import type { SinkPlace, SinkType } from '../../../sinks/sinkType.js'
import { sinkTypes } from '../../../sinks/sinkTypes.js'
import { type ConfigEntry, type ConfigMap, type ConfigNode, type Place, plainValue } from './configTree.js'
import type { RetryPolicy, SinkConfig } from './pipelineConfig.js'
import { readDeadLetters } from './readDeadLetters.js'
import { retrySettings, sinkSettings } from './settings.js'
import type { SettingsReader } from './settingsReader.js'
import { modulePath, moduleType, type SinkModules } from './sinkModules.js'

/** One sink as it stands in a file. */
export interface NamedSink {
  readonly name: string
  readonly path: string
  readonly place: Place
  readonly node: ConfigNode
}

/** What stands under one sink, read by its declarations. */
export interface SinkParts {
  readonly type: string
  /** Of a module; undefined: ours, of the name `type`. */
  readonly sinkType?: SinkType
  readonly onError: unknown
  readonly retry: RetryPolicy
  /** Where `dead_letter` is. */
  readonly map: ConfigMap
  /** Of its type; `settingsMap` and `settingsPath`: where they stand. */
  readonly given: Readonly<Record<string, unknown>>
  readonly settingsMap: ConfigMap
  readonly settingsPath: string
}

/** Reads what stands under a sink; undefined or `unusable`, and a problem, if it is none. */
export type ReadParts = (reader: SettingsReader, sink: NamedSink) => SinkParts | 'unusable' | undefined

/** What the sinks of one pipeline have in common. */
export type SinkSurroundings = Omit<SinkPlace, 'sink'>

const NAME = /^[A-Za-z0-9_-]{1,50}$/

/** What stands under `sinks:`, a map by name or a list; undefined, and problems, if it cannot be used. */
export function readSinks(
  reader: SettingsReader,
  node: ConfigNode | undefined,
  at: Place,
  surroundings: SinkSurroundings,
  modules: SinkModules,
): readonly SinkConfig[] | undefined {
  const named = namedSinks(reader, node, at, 'type')
  const read: ReadParts = (one, sink) => readModule(one, sink, modules) ?? readParts(one, sink)
  return named && readNamedSinks(reader, named, surroundings, read)
}

/** The sinks of a map by name, or of a list, in which one is called by its `name` or else by what stands under `typeKey`. */
export function namedSinks(
  reader: SettingsReader,
  node: ConfigNode | undefined,
  at: Place,
  typeKey: string,
): readonly NamedSink[] | undefined {
  if (node === undefined || node.kind === 'scalar') {
    reader.problem(node?.place ?? at, 'sinks', 'at least one sink is expected here, as a map by name or as a list')
    return undefined
  }
  const named =
    node.kind === 'map' ? node.entries.map(ofMap) : node.items.map((item, index) => ofList(item, index, typeKey))
  if (named.length === 0) reader.problem(node.place, 'sinks', 'at least one sink is expected here')
  return named
}

/** These sinks, each by `read`; undefined, and problems, if one cannot be used. */
export function readNamedSinks(
  reader: SettingsReader,
  named: readonly NamedSink[],
  surroundings: SinkSurroundings,
  read: ReadParts,
): readonly SinkConfig[] | undefined {
  const before = reader.problems.length
  const claimed = new Map<string, string>()
  const sinks: SinkConfig[] = []
  for (const one of named) {
    if (!NAME.test(one.name)) {
      reader.problem(one.place, one.path, 'a sink’s name has letters, digits, "_" and "-", 50 at most')
    }
    if (sinks.some(({ name }) => name === one.name)) {
      reader.problem(one.place, one.path, `two sinks are called ${one.name}`, 'Give each a name of its own')
    }
    const beforeOne = reader.problems.length
    const parts = read(reader, one)
    const sink =
      parts === undefined || parts === 'unusable'
        ? undefined
        : makeSink(reader, one, parts, { ...surroundings, sink: one.name }, claimed)
    if (sink !== undefined && reader.problems.length === beforeOne) sinks.push(sink)
  }
  return reader.problems.length > before || named.length === 0 ? undefined : sinks
}

function ofMap({ key, keyPlace, value }: ConfigEntry): NamedSink {
  return { name: key, path: `sinks.${key}`, place: keyPlace, node: value }
}

/** In a list a sink is called by its `name`, or by its type. */
function ofList(node: ConfigNode, index: number, typeKey: string): NamedSink {
  const text = (key: string) => {
    const value = node.kind === 'map' ? node.entries.find((entry) => entry.key === key)?.value : undefined
    return value?.kind === 'scalar' && value.value !== null ? String(value.value) : undefined
  }
  return { name: text('name') ?? text(typeKey) ?? String(index), path: `sinks[${index}]`, place: node.place, node }
}

function readParts(reader: SettingsReader, { path, place, node }: NamedSink): SinkParts | undefined {
  const map = reader.map(node, place, path)
  if (map === undefined) return undefined
  const type = readType(reader, map, { key: 'type', path, place })
  const retry = readRetry(reader, map, path)
  if (type === undefined) return undefined
  const shape: Record<string, z.ZodType> = { ...sinkSettings, ...sinkTypes.get(type)!.settings }
  const { onError, ...given } = reader.settings(map, shape, path, readElsewhere(path))
  return { type, onError, retry, map, given, settingsMap: map, settingsPath: path }
}

function readElsewhere(path: string): readonly string[] {
  return path.endsWith(']') ? ['type', 'name', 'retry', 'dead_letter'] : ['type', 'retry', 'dead_letter']
}

/** A sink whose `type` is the path of a module; undefined: it is another one, or a problem was told. */
function readModule(
  reader: SettingsReader,
  { path, node }: NamedSink,
  modules: SinkModules,
): SinkParts | 'unusable' | undefined {
  if (node.kind !== 'map') return undefined
  const entry = (name: string) => node.entries.find(({ key }) => key === name)
  const type = entry('type')?.value
  const module = modulePath(type)
  if (module === undefined || type?.kind !== 'scalar') return undefined
  const sinkType = moduleType(reader, type, `${path}.type`, modules)
  const shape: Record<string, z.ZodType> = { ...sinkSettings, ...sinkType?.settings }
  const retry = readRetry(reader, node, path)
  const { onError, ...given } = reader.settings(node, shape, path, [...readElsewhere(path), 'settings'])
  const own = entry('settings')
  const settingsMap = own && reader.map(own.value, own.keyPlace, `${path}.settings`)
  if (sinkType === undefined || (own !== undefined && settingsMap === undefined)) return 'unusable'
  const settings = settingsMap === undefined ? {} : plainValue(settingsMap)
  return {
    ...{ type: module, sinkType, onError, retry, map: node, given: { ...given, settings } },
    ...{ settingsMap: settingsMap ?? node, settingsPath: `${path}.settings` },
  }
}

function makeSink(
  reader: SettingsReader,
  { name, path, place }: NamedSink,
  { type, sinkType = sinkTypes.get(type)!, onError, retry, map, given, settingsMap, settingsPath }: SinkParts,
  sinkPlace: SinkPlace,
  claimed: Map<string, string>,
): SinkConfig | undefined {
  const putAside = readDeadLetters(reader, map, path, sinkPlace, { isOwn: sinkType.ownDeadLetters, onError })
  // Whatever is wrong was told; what can be said of the rest is said at the same time.
  const { data: settings } = z.object(sinkType.settings).safeParse(given)
  if (settings === undefined) return undefined
  const problems = sinkType.problems(settings)
  for (const { name: setting, problem } of problems) {
    const written = sinkTypes.has(type) ? snakeCase(setting) : setting
    const entry = settingsMap.entries.find(({ key }) => key === written)
    const where = written === '' ? settingsPath : `${settingsPath}.${written}`
    reader.problem(entry?.value.place ?? settingsMap.place, where, problem)
  }
  // Of a module's, which relies upon what it has looked at.
  if (problems.length > 0) return undefined
  const claims = [sinkType.claims(settings, sinkPlace), putAside.claim].filter((claim) => claim !== undefined)
  for (const claim of claims) {
    const other = claimed.get(claim)
    if (other !== undefined) reader.problem(place, path, `it writes to the same as the sink ${other}`)
    claimed.set(claim, name)
  }
  const own = sinkType.ownLetters(settings, sinkPlace)
  return {
    name,
    type,
    onError: (onError as SinkConfig['onError'] | undefined) ?? sinkSettings.onError.parse(undefined),
    retry,
    claims,
    deadLetters: putAside.target,
    create: () => putAside.create(sinkType, settings),
    letters: {
      place: own?.place ?? putAside.place,
      own: own?.destination,
      format: (settings as { readonly format?: string }).format,
    },
  }
}

/** Which of our sinks stands under `key`; undefined, and a problem, if it is none. */
export function readType(
  reader: SettingsReader,
  map: ConfigMap,
  { key, path, place }: { readonly key: 'type' | 'driver'; readonly path: string; readonly place: Place },
): string | undefined {
  const known = [...sinkTypes.keys()]
  const entry = map.entries.find((one) => one.key === key)
  if (entry === undefined) {
    reader.problem(place, `${path}.${key}`, `it is required, and missing; one of ${known.join(', ')} is expected`)
    return undefined
  }
  const { value } = entry
  if (value.kind === 'scalar' && value.broken) return undefined
  const type = value.kind === 'scalar' ? String(value.value) : ''
  if (sinkTypes.has(type)) return type
  const shown = value.kind === 'scalar' && value.secret === undefined
  const near = shown ? nearest(type, known) : undefined
  const problem = `${shown ? `there is no sink of ${key} ${type}` : 'there is no such sink'}; one of ${known.join(', ')} is expected`
  reader.problem(value.place, `${path}.${key}`, problem, near && `Did you mean ${near}?`)
  return undefined
}

/** What stands under `retry`. */
export function readRetry(reader: SettingsReader, map: ConfigMap, path: string): RetryPolicy {
  const entry = map.entries.find(({ key }) => key === 'retry')
  const given = entry && reader.map(entry.value, entry.keyPlace, `${path}.retry`)
  const values = given === undefined ? {} : reader.settings(given, retrySettings, `${path}.retry`)
  const [firstMs, maxMs, attempts] = (['firstMs', 'maxMs', 'attempts'] as const).map(
    (name) => (values[name] as number | undefined) ?? retrySettings[name].parse(undefined),
  ) as [number, number, number]
  return { firstMs, maxMs, attempts }
}
