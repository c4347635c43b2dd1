import { resolve } from 'node:path'
import { TailraceError } from '../../../core/tailraceError.js'
import { parseConnectionString } from '../../../postgres/connectionString.js'
import { LetterFile } from '../../../sinks/deadLetters/letterFile.js'
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
  /** Where they are put, for people. */
  readonly target: string
  create(sinkType: SinkType, settings: object): Sink
}

/** What stands under `dead_letter` of the sink `map`; undefined: nothing is put aside, or a problem was told. */
export function readDeadLetters(
  reader: SettingsReader,
  map: ConfigMap,
  path: string,
  place: SinkPlace,
  { isOwn, onError }: { readonly isOwn: boolean; readonly onError: unknown },
): PutAside | undefined {
  const entry = map.entries.find(({ key }) => key === 'dead_letter')
  const given = entry && reader.map(entry.value, entry.keyPlace, `${path}.dead_letter`)
  const values = (
    given === undefined ? {} : reader.settings(given, deadLetterSettings, `${path}.dead_letter`)
  ) as Values
  const problem = (name: keyof Values, text: string) => {
    const at = given?.entries.find(({ key }) => key === name)?.keyPlace
    reader.problem(at ?? map.place, `${path}.dead_letter.${name}`, text)
  }
  if (onError !== 'dead-letter') {
    if (entry !== undefined) reader.problem(entry.keyPlace, `${path}.dead_letter`, 'it needs on_error: dead-letter')
    return undefined
  }
  const { file, url, schema = deadLetterSettings.schema.parse(undefined) } = values
  if (isOwn && url !== undefined) problem('url', 'a postgres sink puts them into its own database, with each batch')
  else if (file !== undefined && url !== undefined) problem('url', 'either a file or a database, not both')
  else if (url !== undefined) {
    const wrong = problemOfUrl(url)
    if (wrong !== undefined) problem('url', wrong)
  }
  const name = `${place.pipeline}.${place.sink}`
  const written = file ?? (isOwn || url !== undefined ? undefined : `${name}.dead-letters.ndjson`)
  const claim = written && resolve(place.folder, written)
  return {
    claim,
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
