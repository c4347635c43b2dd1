import type * as z from 'zod'
import type { postgresSinkType } from '../../../../sinks/postgres/postgresSinkType.js'
import { sinkTypes } from '../../../../sinks/sinkTypes.js'
import type { ConfigMap } from '../configTree.js'
import {
  type NamedSink,
  namedSinks,
  readNamedSinks,
  readRetry,
  readType,
  type SinkParts,
  type SinkSurroundings,
} from '../readSinks.js'
import { sinkSettings } from '../settings.js'
import type { SettingsReader } from '../settingsReader.js'
import { type BlinkConnection, connectionText } from './connectionText.js'
import { postgresSinkSettings } from './settings.js'

const COMMON = ['driver', 'config', 'name', 'retry', 'dead_letter']

/** A record in each frame, and nobody who acknowledges it. */
const BLINK_WEBSOCKET = { acks: false, format: 'blink' }

/** Blink's one `sink`, or several under `sinks`. Of ours it has what every sink can have: on_error, retry, dead_letter. */
export function readBlinkSinks(reader: SettingsReader, file: ConfigMap, surroundings: SinkSurroundings) {
  const find = (key: string) => file.entries.find((one) => one.key === key)
  const [one, several] = [find('sink'), find('sinks')]
  if (one !== undefined && several !== undefined) {
    reader.problem(several.keyPlace, 'sinks', 'either sink, as Blink has it, or sinks, not both')
    return undefined
  }
  const named =
    one === undefined ? namedSinks(reader, several?.value, several?.keyPlace ?? file.place, 'driver') : [theOne(one)]
  return named && readNamedSinks(reader, named, surroundings, readBlinkParts)
}

/** It is called by its driver. */
function theOne({ value, keyPlace }: ConfigMap['entries'][number]): NamedSink {
  const driver = value.kind === 'map' ? value.entries.find(({ key }) => key === 'driver')?.value : undefined
  const name = driver?.kind === 'scalar' && driver.value !== null ? String(driver.value) : 'sink'
  return { name: name.replace(/[^A-Za-z0-9_-]/g, '_').slice(0, 50), path: 'sink', place: keyPlace, node: value }
}

function readBlinkParts(reader: SettingsReader, { path, place, node }: NamedSink): SinkParts | undefined {
  const map = reader.map(node, place, path)
  if (map === undefined) return undefined
  const type = readType(reader, map, { key: 'driver', path, place })
  const retry = readRetry(reader, map, path)
  const { onError } = reader.settings(map, sinkSettings, path, COMMON)
  const entry = map.entries.find(({ key }) => key === 'config')
  // Blink's own examples have sinks whose config is empty.
  const isEmpty = entry === undefined || (entry.value.kind === 'scalar' && entry.value.value === null)
  const config = isEmpty ? { ...map, entries: [] } : reader.map(entry.value, entry.keyPlace, `${path}.config`)
  if (type === undefined || config === undefined) return undefined
  const own: Readonly<Record<string, z.ZodType>> = sinkTypes.get(type)!.settings
  const isPostgres = type === 'postgres'
  const { url: _url, table: _table, ...beside } = own
  const values = reader.settings(config, isPostgres ? { ...beside, ...postgresSinkSettings } : own, `${path}.config`)
  const given = isPostgres ? toPostgres(values) : type === 'websocket' ? { ...BLINK_WEBSOCKET, ...values } : values
  return { type, onError, retry, map, given, settingsMap: config, settingsPath: `${path}.config` }
}

type PostgresSettings = z.input<z.ZodObject<(typeof postgresSinkType)['settings']>>

/** Tables are made where they are missing, as Blink does. */
function toPostgres(values: Readonly<Record<string, unknown>>): PostgresSettings {
  const {
    host,
    port = 5432,
    database,
    user,
    password,
    schema,
    streamPrefix,
    sslRequired,
    ...beside
  } = values as Readonly<Record<string, unknown>> &
    BlinkConnection & { readonly schema?: string; readonly streamPrefix?: string; readonly sslRequired?: boolean }
  return {
    autoCreate: true,
    ...beside,
    url: connectionText(
      { host, port, database, user, password },
      { sslmode: sslRequired === true ? 'require' : 'prefer' },
    ),
    table: `${part(schema ?? 'public')}.${part(`${streamPrefix ?? ''}{table}`)}`,
  }
}

/** A part that holds a dot stands in quotes. */
function part(name: string): string {
  return name.includes('.') ? `"${name}"` : name
}
