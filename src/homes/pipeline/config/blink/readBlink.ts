import { shownTables } from '../../declared/shownTable.js'
import type { ConfigEntry, ConfigMap, ConfigNode } from '../configTree.js'
import { namePart } from '../namePart.js'
import type { FilePlace, PipelineParts } from '../pipelineConfig.js'
import { readHttp } from '../readHttp.js'
import { databaseOf } from '../readSource.js'
import { pipelineSettings } from '../settings.js'
import type { SettingsReader } from '../settingsReader.js'
import { Notices } from './notices.js'
import { readBlinkProcessors } from './processors.js'
import { withSecrets } from './secrets.js'
import { serviceSettings } from './settings.js'
import { readBlinkSinks } from './sinks.js'
import { readBlinkSource } from './source.js'

const TOP = ['service', 'source', 'processors', 'sink', 'sinks', 'secrets']
/** Of ours, beside Blink's. */
const { name: _, ...ofOurs } = pipelineSettings

/** Whether a file is written as Blink's are: ours have neither a service, nor drivers. */
export function isBlinkFile(root: ConfigNode): boolean {
  if (root.kind !== 'map') return false
  const has = (map: ConfigMap, ...names: string[]) => map.entries.some(({ key }) => names.includes(key))
  const source = root.entries.find(({ key }) => key === 'source')?.value
  return has(root, 'service', 'sink') || (source?.kind === 'map' && has(source, 'driver', 'stream_schema'))
}

/** A file of Blink's as a pipeline of ours; nothing but this folder knows of its shape. */
export function readBlink(reader: SettingsReader, file: ConfigMap, place: FilePlace): PipelineParts {
  const notices = new Notices()
  const map = withSecrets(reader, file, place)
  const values = reader.settings(map, ofOurs, '', TOP)
  const entry = (key: string) => map.entries.find((one) => one.key === key)
  const service = readService(reader, map, entry('service'), notices)
  const found = readBlinkSource(reader, notices, map, {
    ...service,
    entry: entry('source'),
    environment: place.environment,
  })
  const processors = readBlinkProcessors(reader, map, { codecs: found?.source, folder: place.folder })
  const surroundings = {
    folder: place.folder,
    pipeline: service.name,
    database: databaseOf(found?.source),
    shown: found && shownTables(found.streams, processors?.length ? 'keep' : found.lenient ? 'text' : 'refuse'),
  }
  return {
    name: service.name,
    state: values.state as string | undefined,
    bufferBytes: values.bufferBytes as number | undefined,
    source: found?.source,
    processors,
    sinks: readBlinkSinks(reader, map, surroundings),
    notices: notices.all,
    preflight: found?.preflight,
    http: readHttp(reader, map, values, place.folder),
  }
}

/** What stands under `service` that others need. */
export interface Service {
  readonly name: string
  /** Its older place. */
  readonly streamSchema: ConfigEntry | undefined
}

/** Without effect, and known. */
const SERVICE_MAPS = ['etcd', 'influx']

function readService(
  reader: SettingsReader,
  file: ConfigMap,
  entry: ConfigEntry | undefined,
  notices: Notices,
): Service {
  const map = reader.map(entry?.value, file.place, 'service')
  if (map === undefined) return { name: '', streamSchema: undefined }
  const values = reader.settings(map, serviceSettings, 'service', ['stream_schema', ...SERVICE_MAPS])
  const find = (key: string) => map.entries.find((one) => one.key === key)
  for (const [key, what] of WITHOUT_EFFECT) {
    const found = find(key)
    if (found !== undefined) notices.tell(found.keyPlace, `service.${key}`, what)
  }
  const id = values.pipelineId ?? values.id
  const given = find('pipeline_id') ?? find('id')
  if (given === undefined) reader.problem(map.place, 'service.pipeline_id', 'it is required, and missing')
  else if (id === 0) reader.problem(given.value.place, `service.${given.key}`, '0 is no id of a pipeline')
  if (values.pipelineId !== undefined && values.id !== undefined && String(values.pipelineId) !== String(values.id)) {
    notices.tell(find('id')!.keyPlace, 'service.id', 'it has no effect: pipeline_id is another one, and counts')
  }
  return { name: namePart(String(id ?? '')), streamSchema: find('stream_schema') }
}

const WITHOUT_EFFECT: readonly (readonly [string, string])[] = [
  ['reload_on_restart', 'it has no effect, as in Blink'],
  ['enable_etcd_registry', 'it has no effect: nothing is registered in etcd'],
  ['etcd', 'it has no effect: nothing is registered in etcd'],
  ['enable_influx', 'it has no effect: nothing is pushed to InfluxDB'],
  ['influx', 'it has no effect: nothing is pushed to InfluxDB'],
  ['offset_storage_uri', 'it has no effect: how far the pipeline is stands in its state file'],
]
