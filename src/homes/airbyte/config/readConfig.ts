import { AIRBYTE_CONFIG_INVALID } from '../../../core/airbyteErrors.js'
import { nearest } from '../../../core/nearest.js'
import { factsOf, snakeCase } from '../../../core/setting.js'
import type { SourceOptions } from '../../../source/options.js'
import { type Fields, isFields } from '../readJson.js'
import { connectionOf } from './connection.js'
import { FOREIGN_KEYS } from './foreignKeys.js'
import { ALIASES, airbyteSettings, type OwnSettings, sharedSettings } from './settings.js'

/** A configuration, read: what is of the connector itself, and what its source is made of. */
export interface AirbyteConfig
  extends Omit<OwnSettings, 'connectionURI' | 'password' | 'ssl_mode' | 'schemas' | 'tables'> {
  /** Of every source: where to connect to, and what is the same for all streams. */
  readonly source: Omit<SourceOptions, 'tables'> & { readonly url: string }
  /** Which tables `discover` and `check` look at; undefined: all. */
  readonly tables: readonly string[] | undefined
  /** `tables` was given: each of them must be as a run needs it. */
  readonly tablesNamed: boolean
  /** What is passed over, for people. */
  readonly warnings: readonly string[]
}

/** Reads a configuration; AIRBYTE_CONFIG_INVALID has everything that is wrong with it, and no secret. */
export function readConfig(document: unknown): AirbyteConfig {
  if (!isFields(document)) throw AIRBYTE_CONFIG_INVALID({ problems: ['it is no JSON object'] })
  const problems: string[] = []
  const warnings: string[] = []
  const given = known(renamed(document, problems), warnings)
  const values: Record<string, unknown> = {}
  for (const [name, schema] of Object.entries(airbyteSettings)) {
    const value = given[name]
    const parsed = schema.safeParse(value)
    if (parsed.success) values[name] = parsed.data
    else {
      const shown = factsOf(schema)?.secret === true || typeof value === 'object' ? '' : ` is ${JSON.stringify(value)}`
      problems.push(`"${name}"${shown}: ${[...new Set(parsed.error.issues.map(({ message }) => message))].join(', ')}`)
    }
  }
  const place = connectionOf(given, problems, warnings)
  if (problems.length > 0) throw AIRBYTE_CONFIG_INVALID({ problems })
  const own = values as unknown as OwnSettings
  const shared = Object.keys(sharedSettings).map((name) => [name, values[snakeCase(name)]])
  return {
    ...own,
    source: {
      ...(Object.fromEntries(shared) as Omit<SourceOptions, 'tables'>),
      url: place,
      toast: own.toast,
      bytea: own.bytea,
    },
    tables: tablesOf(own),
    tablesNamed: own.tables !== undefined,
    warnings,
  }
}

/** `schemas` and `tables` as patterns: a schema's name stands for itself, whatever characters it has. */
function tablesOf({ schemas, tables }: OwnSettings): readonly string[] | undefined {
  if (tables !== undefined) return [tables]
  return schemas?.map((schema) => `"${schema.replaceAll('"', '""')}".*`)
}

/** With the names that other connectors have for the same; what is null, or internal to the client, is left out. */
function renamed(document: Fields, problems: string[]): Record<string, unknown> {
  const given = Object.fromEntries(
    Object.entries(document).filter(([name, value]) => value !== null && !name.startsWith('_')),
  )
  for (const [name, aliases] of Object.entries(ALIASES)) {
    for (const alias of aliases) {
      const value = at(given, alias)
      if (value === undefined || value === null || value === '') continue
      if (name === 'ssl_mode.mode') given.ssl_mode ??= { mode: value }
      else given[name] ??= value
    }
  }
  if (typeof given.ssl_mode === 'string') given.ssl_mode = { mode: given.ssl_mode }
  for (const name of ['schemas', 'exclude'] as const)
    if (typeof given[name] === 'string') given[name] = list(given[name])
  const behaviour = at(given, 'replication_method.invalid_cdc_cursor_position_behavior')
  if (behaviour === 'Re-sync data') given.on_lost_position ??= 'resync'
  const method = at(given, 'replication_method.method')
  if (method !== undefined && method !== 'CDC') {
    problems.push(`"replication_method.method" is ${JSON.stringify(method)}: only CDC is done`)
  }
  const plugin = at(given, 'replication_method.plugin')
  if (plugin !== undefined && plugin !== 'pgoutput') problems.push('"replication_method.plugin": only pgoutput is read')
  const auth = at(given, 'credentials.auth_type')
  if (auth !== undefined && auth !== 'UserPassword') {
    problems.push(`"credentials.auth_type" is ${JSON.stringify(auth)}: only UserPassword is done`)
  }
  const tunnel = at(given, 'tunnel_method.tunnel_method')
  if ((tunnel !== undefined && tunnel !== 'NO_TUNNEL') || given.networkTunnel !== undefined) {
    problems.push('an SSH tunnel is not made: open one beside the connector, and give its local end as host and port')
  }
  return given
}

function list(value: string): string[] {
  return value
    .split(',')
    .map((one) => one.trim())
    .filter((one) => one !== '')
}

function at(given: Fields, path: string): unknown {
  return path.split('.').reduce<unknown>((value, name) => (isFields(value) ? value[name] : undefined), given)
}

/** The protocol has unknown keys tolerated: they are told of. */
function known(given: Record<string, unknown>, warnings: string[]): Record<string, unknown> {
  const names = [...Object.keys(airbyteSettings), ...Object.keys(FOREIGN_KEYS)]
  for (const name of Object.keys(given)) {
    if (names.includes(name)) continue
    const near = nearest(name, names)
    warnings.push(`unknown key "${name}" is passed over${near === undefined ? '' : `: did you mean "${near}"?`}`)
  }
  return given
}
