import * as z from 'zod'
import { setting } from '../../core/setting.js'
import { TailraceError } from '../../core/tailraceError.js'
import { type DestinationOptions, parseDestination } from '../../destination/options.js'
import { destinationSettings } from '../../destination/settings.js'
import { LetterFile } from '../deadLetters/letterFile.js'
import { type SettingProblem, sinkType } from '../sinkType.js'
import { WithExportedLetters } from './exportedLetters.js'
import { PostgresSink } from './postgresSink.js'

const { onRejected: _, ...ofDestination } = destinationSettings

/** Those of a `PostgresDestination`; what becomes of a row that it rejects is the pipeline's `on_error`. */
const postgresSettings = {
  ...ofDestination,
  source: setting(z.string().min(1).optional(), {
    description:
      'A name for what is written from: the checkpoint has a row under it. Two pipelines, or sinks, into one database need two names. Default: the name of the pipeline.',
    example: 'shop',
  }),
}

type PostgresSettings = z.infer<z.ZodObject<typeof postgresSettings>>

/** Which setting is to blame for an error that does not name one. */
const BLAMED: Readonly<Record<string, string>> = { TABLE_PATTERN_INVALID: 'keys' }

export const postgresSinkType = sinkType({
  settings: postgresSettings,
  problems: (settings) => problemsOf({ ...settings, source: settings.source ?? '-' }),
  claims: (settings, { pipeline }) => {
    const { url, checkpointSchema, source } = optionsOf(settings, pipeline)
    return JSON.stringify([url, checkpointSchema, source])
  },
  ownLetters: (settings, { pipeline }) => {
    const destination = optionsOf(settings, pipeline)
    const { url, checkpointSchema: schema, source } = destination
    return { place: { kind: 'table', url, schema, source }, destination }
  },
  create: (settings, { pipeline, sink }, deadLetters) => {
    const options = optionsOf(settings, pipeline)
    if (deadLetters === undefined) return new PostgresSink(options)
    const putsAside = new PostgresSink({ ...options, onRejected: 'dead-letter' })
    const { file } = deadLetters
    return file === undefined
      ? putsAside
      : new WithExportedLetters(putsAside, new LetterFile(file, `${pipeline}.${sink}`), options)
  },
})

function optionsOf(settings: PostgresSettings, pipeline: string) {
  return { ...settings, source: settings.source ?? pipeline } satisfies DestinationOptions
}

function problemsOf(options: DestinationOptions): readonly SettingProblem[] {
  try {
    parseDestination(options)
    return []
  } catch (error) {
    if (!(error instanceof TailraceError)) throw error
    // Of the connection `problem` says what, without the text, which may hold a password.
    const { name, problem } = error.details as { readonly name?: string; readonly problem?: string }
    return [{ name: name ?? BLAMED[error.code] ?? 'url', problem: problem ?? error.message }]
  }
}
