import { resolve } from 'node:path'
import { TailraceError } from '../../../core/tailraceError.js'
import { parseConnectionString } from '../../../postgres/connectionString.js'
import { LetterFile } from '../../../sinks/deadLetters/letterFile.js'
import type { LetterPlace } from '../../../sinks/deadLetters/letterPlace.js'
import { LetterTable } from '../../../sinks/deadLetters/letterTable.js'
import { WithDeadLetters } from '../../../sinks/deadLetters/withDeadLetters.js'
import type { Sink } from '../../../sinks/sink.js'
import type { SinkPlace, SinkType } from '../../../sinks/sinkType.js'
import type { ConfigMap } from './configTree.js'
import { deadLetterSettings } from './settings.js'
import type { SettingsReader } from './settingsReader.js'

type Values = Readonly<Record<'file' | 'url' | 'schema', string | undefined>>

/** A sink's policy of putting records aside, as its `dead_letter` says. */
export interface PutAside {
  /** The file that only it may write to; undefined: none. */
  readonly claim: string | undefined
  /** Where those of a sink are that does not keep them itself. */
  readonly place: LetterPlace
  /** Where they are put, for people; undefined: none are. */
  readonly target: string | undefined
  create(sinkType: SinkType, settings: object): Sink
}

/** What stands under `dead_letter` of the sink `map`. */
export function readDeadLetters(
  reader: SettingsReader,
  map: ConfigMap,
  path: string,
  place: SinkPlace,
  { isOwn, onError }: { readonly isOwn: boolean; readonly onError: unknown },
): PutAside {
  const entry = map.entries.find(({ key }) => key === 'dead_letter')
  const given = entry && reader.map(entry.value, entry.keyPlace, `${path}.dead_letter`)
  const values = (
    given === undefined ? {} : reader.settings(given, deadLetterSettings, `${path}.dead_letter`)
  ) as Values
  const problem = (name: keyof Values, text: string) => {
    const at = given?.entries.find(({ key }) => key === name)?.keyPlace
    reader.problem(at ?? map.place, `${path}.dead_letter.${name}`, text)
  }
  const name = `${place.pipeline}.${place.sink}`
  const usual = resolve(place.folder, `${name}.dead-letters.ndjson`)
  if (onError !== 'dead-letter') {
    if (entry !== undefined) reader.problem(entry.keyPlace, `${path}.dead_letter`, 'it needs on_error: dead-letter')
    const create = (sinkType: SinkType, settings: object) => sinkType.create(settings, place)
    return { claim: undefined, target: undefined, place: { kind: 'file', path: usual }, create }
  }
  const { file, url, schema = deadLetterSettings.schema.parse(undefined) } = values
  if (isOwn && url !== undefined) problem('url', 'a postgres sink puts them into its own database, with each batch')
  else if (file !== undefined && url !== undefined) problem('url', 'either a file or a database, not both')
  else if (url !== undefined) {
    const wrong = problemOfUrl(url)
    if (wrong !== undefined) problem('url', wrong)
  }
  const claim = file === undefined ? (isOwn || url !== undefined ? undefined : usual) : resolve(place.folder, file)
  return {
    claim,
    place: claim === undefined ? { kind: 'table', url, schema, source: name } : { kind: 'file', path: claim },
    target: claim ?? (isOwn ? 'the table dead_letter of the sink’s own database' : `the table ${schema}.dead_letter`),
    create: (sinkType, settings) => {
      if (isOwn) return sinkType.create(settings, place, { file: claim })
      const store = claim === undefined ? new LetterTable({ url, schema, source: name }) : new LetterFile(claim, name)
      return new WithDeadLetters(sinkType.create(settings, place), store)
    },
  }
}

function problemOfUrl(url: string): string | undefined {
  try {
    parseConnectionString(url)
    return undefined
  } catch (error) {
    if (!(error instanceof TailraceError)) throw error
    // The text itself may hold a password.
    return String(error.details.problem ?? error.message)
  }
}
