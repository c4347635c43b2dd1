import { nearest } from '../../../../core/nearest.js'
import type { ProcessorConfig } from '../../../../processors/chain.js'
import { processorTypes } from '../../../../processors/processorTypes.js'
import type { ConfigEntry, ConfigMap, ConfigNode } from '../configTree.js'
import { readProcessors } from '../readProcessors.js'
import type { SettingsReader } from '../settingsReader.js'
import { httpEntries, streamsOf } from './httpProcessor.js'

type Entries = readonly ConfigEntry[]

/** Drivers whose settings have other names in Blink, or mean something else there. */
const DRIVERS: ReadonlyMap<string, (entries: Entries) => Entries> = new Map([
  ['log', (entries: Entries) => entries.flatMap((entry) => (entry.key === 'stream' ? streamsOf(entry) : [entry]))],
  ['http', httpEntries],
  [
    'openai',
    (entries: Entries) => entries.flatMap((entry) => (entry.key === 'stream_name' ? streamsOf(entry) : [entry])),
  ],
])

/** Of ours, beside `driver` and `config`. */
const BESIDE = ['streams', 'if', 'on_error']

/** The list under `processors` as a file of ours has it; undefined: there is none. */
export function blinkProcessors({ entries }: ConfigMap): ConfigNode | undefined {
  const node = entries.find(({ key }) => key === 'processors')?.value
  if (node === undefined || (node.kind === 'scalar' && node.value === null)) return undefined
  return node.kind === 'list' ? { ...node, items: node.items.map(ofOurs) } : node
}

/** What stands under `processors`; undefined, and problems, if it cannot be used. */
export function readBlinkProcessors(
  reader: SettingsReader,
  file: ConfigMap,
  place: Parameters<typeof readProcessors>[2],
): readonly ProcessorConfig[] | undefined {
  const before = reader.problems.length
  const written = file.entries.find(({ key }) => key === 'processors')?.value
  const items = written?.kind === 'list' ? written.items : []
  for (const [index, item] of items.entries()) checkDriver(reader, item, index)
  return reader.problems.length > before ? undefined : readProcessors(reader, blinkProcessors(file), place)
}

/** `{driver, config: {…}}` → `{type, …}`. */
function ofOurs(item: ConfigNode): ConfigNode {
  if (item.kind !== 'map') return item
  const driver = item.entries.find(({ key }) => key === 'driver')?.value
  const translate = (driver?.kind === 'scalar' && DRIVERS.get(String(driver.value))) || ((entries: Entries) => entries)
  const entries = item.entries.flatMap((entry): readonly ConfigEntry[] => {
    if (entry.key === 'driver') return [{ ...entry, key: 'type' }]
    if (entry.key !== 'config') return [entry]
    return entry.value.kind === 'map' ? translate(entry.value.entries) : []
  })
  return { ...item, entries }
}

function checkDriver(reader: SettingsReader, item: ConfigNode, index: number): void {
  const path = `processors[${index}]`
  const map = reader.map(item, item.place, path)
  if (map === undefined) return
  for (const { key, keyPlace } of map.entries) {
    if (key !== 'driver' && key !== 'config' && !BESIDE.includes(key)) {
      reader.unknown(key, keyPlace, `${path}.${key}`, ['driver', 'config', ...BESIDE])
    }
  }
  const known = [...processorTypes.keys()]
  const value = map.entries.find(({ key }) => key === 'driver')?.value
  if (value?.kind === 'scalar' && (value.broken || processorTypes.has(String(value.value)))) return
  const driver = value?.kind === 'scalar' && value.secret === undefined ? String(value.value) : undefined
  const near = driver === undefined ? undefined : nearest(driver, known)
  const what = driver === undefined ? 'it is required, and missing' : `there is no processor of driver ${driver}`
  const problem = `${what}; one of ${known.join(', ')} is expected`
  reader.problem(value?.place ?? map.place, `${path}.driver`, problem, near && `Did you mean ${near}?`)
}
