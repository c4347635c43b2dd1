import { SETTING_INVALID } from '../../../../core/errors.js'
import { nearest } from '../../../../core/nearest.js'
import { snakeCase } from '../../../../core/setting.js'
import { TailraceError } from '../../../../core/tailraceError.js'
import { parseOptions, type SourceOptions } from '../../../../source/options.js'
import { type DeclaredStream, tablePattern } from '../../declared/declaredStream.js'
import { preflightOf } from '../../declared/preflight.js'
import type { ConfigEntry, ConfigMap } from '../configTree.js'
import type { Environment } from '../environment.js'
import type { Preflight } from '../pipelineConfig.js'
import { withDefaults } from '../readSource.js'
import type { SettingsReader } from '../settingsReader.js'
import { type BlinkConnection, connectionText } from './connectionText.js'
import type { Notices } from './notices.js'
import type { Service } from './readBlink.js'
import { besideSettings, blinkSourceSettings, cdcSettings, incrementalSettings } from './settings.js'
import { readStreams } from './streamSchema.js'

/** What drivers of Blink's become. */
const DRIVERS = { postgres_cdc: cdcSettings, postgres_incremental: incrementalSettings } as const
type Driver = keyof typeof DRIVERS

/** Blink's own prefix of slot names; alone it is that of every pipeline whose file names none. */
const SLOT_PREFIX = 'rs_'

export interface BlinkSource {
  readonly source: SourceOptions
  readonly streams: readonly DeclaredStream[]
  readonly lenient: boolean
  readonly preflight: Preflight
}

interface Surroundings extends Service {
  readonly entry: ConfigEntry | undefined
  readonly environment: Environment
}

/** What stands under `source`; undefined, and problems, if it cannot be used. */
export function readBlinkSource(
  reader: SettingsReader,
  notices: Notices,
  file: ConfigMap,
  { entry, name, streamSchema, environment }: Surroundings,
): BlinkSource | undefined {
  const before = reader.problems.length
  const map = reader.map(entry?.value, file.place, 'source')
  if (map === undefined) return undefined
  const { lenient = false } = reader.settings(map, blinkSourceSettings, 'source', ['driver', 'config', 'stream_schema'])
  const driver = readDriver(reader, map)
  const find = (key: string) => map.entries.find((one) => one.key === key)
  const config = reader.map(find('config')?.value, map.place, 'source.config')
  const values =
    driver && config ? reader.settings(config, { ...DRIVERS[driver], ...besideSettings }, 'source.config') : {}
  const schema = (values.schema as string | undefined) ?? cdcSettings.schema.parse(undefined)
  const declared = find('stream_schema') ?? streamSchema
  if (declared === undefined) {
    reader.problem(map.place, 'source.stream_schema', 'it is required, and missing')
    return undefined
  }
  const isOlder = declared === streamSchema
  if (!isOlder && streamSchema !== undefined) {
    notices.tell(streamSchema.keyPlace, 'service.stream_schema', 'it has no effect: that of source counts')
  }
  const path = isOlder ? 'service.stream_schema' : 'source.stream_schema'
  const streams = readStreams(declared.value, path, { reader, notices, schema, lenient: lenient as boolean })
  if (driver === undefined || config === undefined || reader.problems.length > before) return undefined
  const given = translate(driver, values as Values, streams, environment)
  const options = withDefaults(given, name)
  if (!isRunnable(reader, config, options)) return undefined
  tellNotices(notices, config, map, { driver, slot: options.slot, values, streams })
  const forsaken = driver === 'postgres_cdc' && values.slotName === undefined ? SLOT_PREFIX : undefined
  const preflight = preflightOf(options, { streams, lenient: lenient as boolean, forsaken })
  return { source: options, streams, lenient: lenient as boolean, preflight }
}

function readDriver(reader: SettingsReader, map: ConfigMap): Driver | undefined {
  const known = Object.keys(DRIVERS)
  const entry = map.entries.find(({ key }) => key === 'driver')
  if (entry === undefined) {
    reader.problem(map.place, 'source.driver', `it is required, and missing; one of ${known.join(', ')} is expected`)
    return undefined
  }
  const { value } = entry
  if (value.kind === 'scalar' && value.broken) return undefined
  const driver = value.kind === 'scalar' ? String(value.value) : ''
  if (known.includes(driver)) return driver as Driver
  const near = value.kind === 'scalar' && value.secret === undefined ? nearest(driver, known) : undefined
  const problem = `there is no source of driver ${driver}; one of ${known.join(', ')} is expected`
  reader.problem(value.place, 'source.driver', problem, near && `Did you mean ${near}?`)
  return undefined
}

type Values = BlinkConnection & {
  readonly schema?: string
  readonly slotName?: string
  readonly streamSnapshot?: boolean
  readonly snapshotBatchSize?: number
  readonly sslRequired?: boolean
} & Readonly<Record<string, unknown>>

const OWN = [
  'host',
  'port',
  'database',
  'user',
  'password',
  'schema',
  'slotName',
  'streamSnapshot',
  'snapshotBatchSize',
]
const IGNORED = ['snapshotMemorySafetyFactor', 'tables', 'tablesSchema']

function translate(
  driver: Driver,
  values: Values,
  streams: readonly DeclaredStream[],
  environment: Environment,
): Partial<SourceOptions> & Pick<SourceOptions, 'tables'> {
  const incremental = driver === 'postgres_incremental'
  const { slotName, streamSnapshot, snapshotBatchSize, sslRequired, port = 5432 } = values
  const mine = new Set([...OWN, ...IGNORED, 'sslRequired'])
  const beside = Object.fromEntries(Object.entries(values).filter(([key]) => !mine.has(key)))
  const columns = streams.flatMap((stream) =>
    stream.columns === undefined ? [] : [[tablePattern(stream), stream.columns.map(({ name }) => name)] as const],
  )
  return {
    // A slot that nobody named may be that of another pipeline with the same id: it is not taken for ours.
    ...(slotName === undefined && { existingSlot: 'refuse' }),
    ...(beside as Partial<SourceOptions>),
    url: connectionText({ ...values, port }, tlsOf(driver, sslRequired === true, environment)),
    tables: streams.map(tablePattern),
    columns: Object.fromEntries(columns),
    snapshot: streamSnapshot === true ? 'initial' : 'never',
    ...(slotName !== undefined && { slot: `${SLOT_PREFIX}${slotName}` }),
    ...(snapshotBatchSize !== undefined && { snapshotChunkRows: snapshotBatchSize }),
    ...(incremental && { cdcMode: 'long_polling', cursors: cursorsOf(streams) }),
  }
}

/** Where Blink looks at a certificate it trusts the system's authorities. */
function tlsOf(
  driver: Driver,
  required: boolean,
  { PGSSLROOTCERT }: Environment,
): Parameters<typeof connectionText>[1] {
  if (!required) return { sslmode: 'prefer' }
  if (driver === 'postgres_cdc') return { sslmode: 'require' }
  return { sslmode: 'verify-full', ...(PGSSLROOTCERT === undefined && { sslrootcert: 'system' }) }
}

/** Blink asks for rows whose key is above the highest that it saw: there it is what grows. */
function cursorsOf(streams: readonly DeclaredStream[]): Record<string, string> {
  const cursors: Record<string, string> = {}
  for (const stream of streams) {
    const keys = (stream.columns ?? []).filter(({ isKey }) => isKey)
    if (keys.length === 1) cursors[tablePattern(stream)] = keys[0]!.name
  }
  return cursors
}

/** Names of Blink's for the settings that they become. */
const BLINK_NAMES: Readonly<Record<string, string>> = { slot: 'slot_name', snapshot: 'stream_snapshot', url: 'host' }

function isRunnable(reader: SettingsReader, config: ConfigMap, options: SourceOptions): boolean {
  try {
    parseOptions(options)
    return true
  } catch (error) {
    if (!(error instanceof TailraceError)) throw error
    const { name, problem } = error.details as { name?: string; problem?: string }
    const setting = error.code === SETTING_INVALID.code ? snakeCase(name!) : 'url'
    const key = BLINK_NAMES[setting] ?? setting
    const entry = config.entries.find((one) => one.key === key)
    reader.problem(entry?.value.place ?? config.place, `source.config.${key}`, problem ?? error.message)
    return false
  }
}

interface Told {
  readonly driver: Driver
  readonly slot: string | undefined
  readonly values: Readonly<Record<string, unknown>>
  readonly streams: readonly DeclaredStream[]
}

function tellNotices(notices: Notices, config: ConfigMap, map: ConfigMap, told: Told): void {
  const { driver, slot, values, streams } = told
  for (const name of IGNORED) {
    const entry = config.entries.find(({ key }) => key === snakeCase(name))
    const why = name === 'snapshotMemorySafetyFactor' ? 'as in Blink' : 'as in Blink: tables come from stream_schema'
    if (entry !== undefined) notices.tell(entry.keyPlace, `source.config.${entry.key}`, `it has no effect, ${why}`)
  }
  const batch = config.entries.find(({ key }) => key === 'snapshot_batch_size')
  if (batch !== undefined && driver === 'postgres_cdc') {
    const pages = 'it bounds the pages of a reading beside the stream; the first reading is one COPY a table'
    notices.tell(batch.keyPlace, 'source.config.snapshot_batch_size', pages)
  }
  if (driver === 'postgres_cdc' && values.slotName === undefined) {
    const named = `there is none: the slot is ${slot}, made once and kept with the pipeline’s state until somebody drops it`
    notices.tell(config.place, 'source.config.slot_name', named)
  }
  if (driver === 'postgres_incremental') {
    const whole = streams.filter((stream) => cursorsOf([stream])[tablePattern(stream)] === undefined)
    if (whole.length === 0) return
    const names = whole.map(({ name }) => name).join(', ')
    notices.tell(
      map.place,
      'source.stream_schema',
      `no single column with pk: true in ${names}: each poll reads it whole`,
    )
  }
}
