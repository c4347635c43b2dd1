import * as z from 'zod'
import { nearest } from '../../../core/nearest.js'
import { snakeCase } from '../../../core/setting.js'
import type { SinkPlace } from '../../../sinks/sinkType.js'
import { sinkTypes } from '../../../sinks/sinkTypes.js'
import type { ConfigEntry, ConfigMap, ConfigNode, Place } from './configTree.js'
import type { RetryPolicy, SinkConfig } from './pipelineConfig.js'
import { readDeadLetters } from './readDeadLetters.js'
import { retrySettings, sinkSettings } from './settings.js'
import type { SettingsReader } from './settingsReader.js'

interface NamedSink {
  readonly name: string
  readonly path: string
  readonly place: Place
  readonly node: ConfigNode
}

const NAME = /^[A-Za-z0-9_-]{1,50}$/

/** What stands under `sinks:`, a map by name or a list; undefined, and problems, if it cannot be used. */
export function readSinks(
  reader: SettingsReader,
  node: ConfigNode | undefined,
  at: Place,
  pipelinePlace: Omit<SinkPlace, 'sink'>,
): readonly SinkConfig[] | undefined {
  const before = reader.problems.length
  if (node === undefined || node.kind === 'scalar') {
    reader.problem(node?.place ?? at, 'sinks', 'at least one sink is expected here, as a map by name or as a list')
    return undefined
  }
  const named = node.kind === 'map' ? node.entries.map(ofMap) : node.items.map((item, index) => ofList(item, index))
  if (named.length === 0) reader.problem(node.place, 'sinks', 'at least one sink is expected here')
  const claimed = new Map<string, string>()
  const sinks: SinkConfig[] = []
  for (const one of named) {
    if (!NAME.test(one.name)) {
      reader.problem(one.place, one.path, 'a sink’s name has letters, digits, "_" and "-", 50 at most')
    }
    if (sinks.some(({ name }) => name === one.name)) {
      reader.problem(one.place, one.path, `two sinks are called ${one.name}`, 'Give each a name of its own')
    }
    const sink = readSink(reader, one, { ...pipelinePlace, sink: one.name }, claimed)
    if (sink !== undefined) sinks.push(sink)
  }
  return reader.problems.length > before ? undefined : sinks
}

function ofMap({ key, keyPlace, value }: ConfigEntry): NamedSink {
  return { name: key, path: `sinks.${key}`, place: keyPlace, node: value }
}

/** In a list a sink is called by its `name`, or by its type. */
function ofList(node: ConfigNode, index: number): NamedSink {
  const text = (key: string) => {
    const value = node.kind === 'map' ? node.entries.find((entry) => entry.key === key)?.value : undefined
    return value?.kind === 'scalar' && value.value !== null ? String(value.value) : undefined
  }
  return { name: text('name') ?? text('type') ?? String(index), path: `sinks[${index}]`, place: node.place, node }
}

function readSink(
  reader: SettingsReader,
  { name, path, place, node }: NamedSink,
  sinkPlace: SinkPlace,
  claimed: Map<string, string>,
): SinkConfig | undefined {
  const map = reader.map(node, place, path)
  if (map === undefined) return undefined
  const before = reader.problems.length
  const type = readType(reader, map, path, place)
  const retry = readRetry(reader, map, path)
  if (type === undefined) return undefined
  const sinkType = sinkTypes.get(type)!
  const shape: Record<string, z.ZodType> = { ...sinkSettings, ...sinkType.settings }
  const elsewhere = path.endsWith(']') ? ['type', 'name', 'retry', 'dead_letter'] : ['type', 'retry', 'dead_letter']
  const { onError, ...given } = reader.settings(map, shape, path, elsewhere)
  const putAside = readDeadLetters(reader, map, path, sinkPlace, { isOwn: sinkType.ownDeadLetters, onError })
  // Whatever is wrong was told; what can be said of the rest is said at the same time.
  const { data: settings } = z.object(sinkType.settings).safeParse(given)
  if (settings === undefined) return undefined
  for (const { name: setting, problem } of sinkType.problems(settings)) {
    const entry = map.entries.find(({ key }) => key === snakeCase(setting))
    reader.problem(entry?.value.place ?? map.place, `${path}.${snakeCase(setting)}`, problem)
  }
  for (const claim of [sinkType.claims(settings, sinkPlace), putAside?.claim]) {
    if (claim === undefined) continue
    const other = claimed.get(claim)
    if (other !== undefined) reader.problem(place, path, `it writes to the same as the sink ${other}`)
    claimed.set(claim, name)
  }
  if (reader.problems.length > before) return undefined
  return {
    name,
    type,
    onError: (onError as SinkConfig['onError'] | undefined) ?? sinkSettings.onError.parse(undefined),
    retry,
    create: () => putAside?.create(sinkType, settings) ?? sinkType.create(settings, sinkPlace),
  }
}

function readType(reader: SettingsReader, map: ConfigMap, path: string, place: Place): string | undefined {
  const known = [...sinkTypes.keys()]
  const entry = map.entries.find(({ key }) => key === 'type')
  if (entry === undefined) {
    reader.problem(place, `${path}.type`, `it is required, and missing; one of ${known.join(', ')} is expected`)
    return undefined
  }
  const { value } = entry
  if (value.kind === 'scalar' && value.broken) return undefined
  const type = value.kind === 'scalar' ? String(value.value) : ''
  if (sinkTypes.has(type)) return type
  const shown = value.kind === 'scalar' && value.secret === undefined
  const near = shown ? nearest(type, known) : undefined
  const problem = `${shown ? `there is no sink of type ${type}` : 'there is no such sink'}; one of ${known.join(', ')} is expected`
  reader.problem(value.place, `${path}.type`, problem, near && `Did you mean ${near}?`)
  return undefined
}

function readRetry(reader: SettingsReader, map: ConfigMap, path: string): RetryPolicy {
  const entry = map.entries.find(({ key }) => key === 'retry')
  const given = entry && reader.map(entry.value, entry.keyPlace, `${path}.retry`)
  const values = given === undefined ? {} : reader.settings(given, retrySettings, `${path}.retry`)
  const [firstMs, maxMs, attempts] = (['firstMs', 'maxMs', 'attempts'] as const).map(
    (name) => (values[name] as number | undefined) ?? retrySettings[name].parse(undefined),
  ) as [number, number, number]
  return { firstMs, maxMs, attempts }
}
