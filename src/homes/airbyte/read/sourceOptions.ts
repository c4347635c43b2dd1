import { quoteQualified } from '../../../postgres/identifier.js'
import type { SourceOptions } from '../../../source/options.js'
import type { AirbyteConfig } from '../config/readConfig.js'
import { METADATA } from '../recordFormat.js'
import { isOwnKey } from './matchStreams.js'
import type { RunStream } from './plan.js'

/** What every source of a run is made of: these streams' tables, with the keys and columns that the client wants. Pure. */
export function sourceOptions(
  { source: { exclude: _, ...source }, record_format: format }: AirbyteConfig,
  streams: readonly RunStream[],
  signal: AbortSignal,
): SourceOptions {
  const keys: Record<string, readonly string[]> = {}
  const columns: Record<string, readonly string[]> = {}
  const tables = streams.map(({ matched: { stream, facts } }) => {
    const { schema, name } = facts.table
    const table = quoteQualified(schema, name)
    if (stream.mode === 'incremental' && !isOwnKey(stream.key, facts)) keys[table] = stream.key!
    // A record has one field of a name: its own.
    const written = facts.planned.columns.filter((column) => !Object.hasOwn(METADATA[format], column))
    const wanted = written.filter((column) => stream.fields?.has(column) ?? true)
    if (wanted.length > 0 && wanted.length < facts.planned.columns.length) columns[table] = wanted
    return table
  })
  return { ...source, tables, keys, columns, signal }
}
