import { AIRBYTE_STREAM_TWICE, AIRBYTE_STREAM_UNKNOWN } from '../../../core/airbyteErrors.js'
import { nearest } from '../../../core/nearest.js'
import type { TailraceError } from '../../../core/tailraceError.js'
import type { Relation } from '../../../postgres/catalog/relations.js'
import type { Queryable } from '../../../postgres/queryable.js'
import type { AirbyteConfig } from '../config/readConfig.js'
import { type DatabaseFacts, factsOf, type TableFacts } from '../discover/tableFacts.js'
import type { StreamDescriptor } from '../protocol/messages.js'
import { type ConfiguredStream, describeStream } from './configuredCatalog.js'

/** A stream and the table that it is. */
export interface MatchedStream {
  readonly stream: ConfiguredStream
  readonly facts: TableFacts
}

export interface Matched {
  readonly streams: readonly MatchedStream[]
  readonly refused: readonly { readonly descriptor: StreamDescriptor; readonly error: TailraceError }[]
}

const CAPTURABLE: readonly Relation['kind'][] = ['ordinary', 'partitioned']

/** The tables of the streams; what cannot be read as it is wanted keeps no other from being read. */
export async function matchStreams(
  queryable: Queryable,
  database: DatabaseFacts,
  config: AirbyteConfig,
  streams: readonly ConfiguredStream[],
): Promise<Matched> {
  const tables = database.relations.filter(
    ({ kind, persistence }) => CAPTURABLE.includes(kind) && persistence === 'permanent',
  )
  const refused: Matched['refused'][number][] = []
  const found = new Map<ConfiguredStream, Relation>()
  const streamOf = new Map<number, ConfiguredStream>()
  for (const stream of streams) {
    const relation = find(tables, stream.descriptor)
    const other = relation && streamOf.get(relation.oid)
    if (other !== undefined) refused.push({ descriptor: stream.descriptor, error: twice(stream, other) })
    else if (relation !== undefined) {
      found.set(stream, relation)
      streamOf.set(relation.oid, stream)
    } else refused.push({ descriptor: stream.descriptor, error: unknown(stream.descriptor, tables) })
  }
  const facts = await factsOf(queryable, database, config, [...new Set(found.values())])
  const byOid = new Map(facts.map((one) => [one.table.oid, one]))
  const matched: MatchedStream[] = []
  for (const [stream, { oid }] of found) {
    const one = byOid.get(oid)
    const error = one === undefined ? unknown(stream.descriptor, tables) : problemOf(stream, one)
    if (error !== undefined) refused.push({ descriptor: stream.descriptor, error })
    else matched.push({ stream, facts: one! })
  }
  return { streams: matched, refused }
}

/** Why the stream cannot be read as it is wanted. */
function problemOf({ mode, key }: ConfiguredStream, facts: TableFacts): TailraceError | undefined {
  const { unreadable, refusal, keyProblem } = facts
  // A full refresh asks nothing of the replica identity, and has no use for a key.
  if (unreadable !== undefined || mode === 'full_refresh') return unreadable
  return refusal ?? (isOwnKey(key, facts) ? undefined : keyProblem(key!))
}

/** Whether the client's key is the one that the table has anyway. */
export function isOwnKey(key: readonly string[] | undefined, { planned }: TableFacts): boolean {
  const own = planned.key.columns
  return key === undefined || (key.length === own.length && key.every((name, index) => name === own[index]))
}

/** Case and all; without a namespace the only one of its name, else that of schema public. */
function find(tables: readonly Relation[], { name, namespace }: StreamDescriptor): Relation | undefined {
  const named = tables.filter((one) => one.name === name && (namespace === undefined || one.schema === namespace))
  return named.length === 1 ? named[0] : named.find(({ schema }) => schema === 'public')
}

function twice({ descriptor }: ConfiguredStream, other: ConfiguredStream): TailraceError {
  return AIRBYTE_STREAM_TWICE({ stream: describeStream(descriptor), other: describeStream(other.descriptor) })
}

function unknown(descriptor: StreamDescriptor, tables: readonly Relation[]): TailraceError {
  const stream = describeStream(descriptor)
  const near = nearest(
    stream,
    tables.map(({ schema, name }) => (descriptor.namespace === undefined ? name : `${schema}.${name}`)),
  )
  return AIRBYTE_STREAM_UNKNOWN({ stream, problem: 'there is no such table', near })
}
