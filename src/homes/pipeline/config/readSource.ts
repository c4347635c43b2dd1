import { SETTING_INVALID } from '../../../core/errors.js'
import { snakeCase } from '../../../core/setting.js'
import { TailraceError } from '../../../core/tailraceError.js'
import { parseConnectionString } from '../../../postgres/connectionString.js'
import { parseOptions, type SourceOptions } from '../../../source/options.js'
import { sourceSettings } from '../../../source/settings.js'
import type { ConfigMap, ConfigNode, Place } from './configTree.js'
import type { SettingsReader } from './settingsReader.js'

/** Which setting is to blame for an error that does not name one. */
const BLAMED: Readonly<Record<string, string>> = {
  CONNECTION_STRING_INVALID: 'url',
  CONNECTION_MISSING: 'url',
  TABLE_PATTERN_INVALID: 'tables',
}

/** What stands under `source:`, all settings of a `PostgresSource`; undefined, and problems, if it cannot be used. */
export function readSource(
  reader: SettingsReader,
  node: ConfigNode | undefined,
  at: Place,
  pipeline: string,
): SourceOptions | undefined {
  const map = reader.map(node, at, 'source')
  if (map === undefined) return undefined
  const before = reader.problems.length
  const given = reader.settings(map, sourceSettings, 'source')
  const broken = map.entries.some(({ value }) => value.kind === 'scalar' && value.broken)
  if (broken || reader.problems.length > before) return undefined
  const options = withDefaults(given as Partial<SourceOptions> & Pick<SourceOptions, 'tables'>, pipeline)
  try {
    parseOptions(options)
    return options
  } catch (error) {
    if (!(error instanceof TailraceError)) throw error
    tell(reader, map, error)
    return undefined
  }
}

/** A pipeline keeps positions, so it has a slot. */
export function withDefaults(
  given: Partial<SourceOptions> & Pick<SourceOptions, 'tables'>,
  pipeline: string,
): SourceOptions {
  const { snapshot, cdcMode, slot, existingSlot } = given
  const makesSlot = snapshot !== 'only' && cdcMode !== 'long_polling'
  const usual = `tailrace_${pipeline.toLowerCase().replace(/[^a-z0-9_]/g, '_')}`.slice(0, 63)
  return {
    ...given,
    slot: slot ?? (makesSlot ? usual : undefined),
    // A run without a snapshot can begin wherever its slot stands.
    existingSlot: existingSlot ?? (snapshot === 'never' ? 'resume' : 'refuse'),
  }
}

/** The name of the database that is read. */
export function databaseOf(source: SourceOptions | undefined): string | undefined {
  return source && parseConnectionString(source.url).database
}

/** Of two settings that do not go together, or of a text that cannot be read: `problem` says what, without the text. */
function tell(reader: SettingsReader, map: ConfigMap, error: TailraceError): void {
  const { name, problem } = error.details as { name?: string; problem?: string }
  const ofSetting = error.code === SETTING_INVALID.code
  const setting = ofSetting ? snakeCase(name!) : (BLAMED[error.code] ?? 'tables')
  const entry = map.entries.find(({ key }) => key === setting)
  const secret = setting === 'url' || (entry?.value.kind === 'scalar' && entry.value.secret !== undefined)
  const text = ofSetting || secret ? (problem ?? error.message) : error.message
  reader.problem(entry?.value.place ?? map.place, `source.${setting}`, text)
}
