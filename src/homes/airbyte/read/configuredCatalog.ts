import { AIRBYTE_CATALOG_INVALID, AIRBYTE_KEY_INVALID, AIRBYTE_SYNC_MODE_INVALID } from '../../../core/airbyteErrors.js'
import type { TailraceError } from '../../../core/tailraceError.js'
import type { StreamDescriptor } from '../protocol/messages.js'
import { isFields } from '../readJson.js'
import { id, type Sync } from './refreshState.js'

/** A stream as the client wants it. */
export interface ConfiguredStream {
  readonly descriptor: StreamDescriptor
  readonly mode: 'full_refresh' | 'incremental'
  /** The client's own key; undefined: the table's. */
  readonly key: readonly string[] | undefined
  /** Columns that the client has in its schema; undefined: all. */
  readonly fields: ReadonlySet<string> | undefined
  /** Which sync this is. */
  readonly sync?: Sync | undefined
  /** `destination_sync_mode`: what becomes of records there. */
  readonly destination?: string | undefined
}

export interface ConfiguredCatalog {
  readonly streams: readonly ConfiguredStream[]
  /** Streams that cannot be read as they are wanted: the others go on. */
  readonly refused: readonly { readonly descriptor: StreamDescriptor; readonly error: TailraceError }[]
  /** Estuary's: the run has no end. */
  readonly tail: boolean
}

/** Reads a ConfiguredAirbyteCatalog; what is not known in it is passed over. */
export function readCatalog(document: unknown): ConfiguredCatalog {
  const wrong = (problem: string) => AIRBYTE_CATALOG_INVALID({ problem })
  if (!isFields(document) || !Array.isArray(document.streams)) throw wrong('it has no list of streams')
  if (document.streams.length === 0) throw wrong('it has no stream')
  const streams: ConfiguredStream[] = []
  const refused: ConfiguredCatalog['refused'][number][] = []
  for (const one of document.streams as readonly unknown[]) {
    const stream = isFields(one) ? one.stream : undefined
    if (!isFields(one) || !isFields(stream) || typeof stream.name !== 'string') throw wrong('a stream has no name')
    const { name, namespace } = stream
    const descriptor = { name, ...(typeof namespace === 'string' && namespace !== '' && { namespace }) }
    const shown = describeStream(descriptor)
    const { sync_mode: mode } = one
    if (mode !== 'full_refresh' && mode !== 'incremental') {
      refused.push({ descriptor, error: AIRBYTE_SYNC_MODE_INVALID({ stream: shown, mode: JSON.stringify(mode) }) })
      continue
    }
    const key = keyOf(one.primary_key)
    if (typeof key === 'string') {
      refused.push({ descriptor, error: AIRBYTE_KEY_INVALID({ stream: shown, element: key }) })
    } else {
      const sync = { sync: id(one.sync_id), generation: id(one.generation_id) }
      const { destination_sync_mode: given } = one
      const destination = typeof given === 'string' ? given : undefined
      streams.push({ descriptor, mode, key, fields: fieldsOf(stream.json_schema), sync, destination })
    }
  }
  return { streams, refused, tail: document.tail === true || document['estuary.dev/tail'] === true }
}

export function describeStream({ name, namespace }: StreamDescriptor): string {
  return namespace === undefined ? name : `${namespace}.${name}`
}

/** The columns; an element that is no path to one column as text. */
function keyOf(given: unknown): readonly string[] | string | undefined {
  if (!Array.isArray(given) || given.length === 0) return undefined
  const wrong = given.find((path) => !Array.isArray(path) || path.length !== 1 || typeof path[0] !== 'string')
  return wrong === undefined ? given.map(([column]: string[]) => column!) : JSON.stringify(wrong)
}

function fieldsOf(schema: unknown): ReadonlySet<string> | undefined {
  const properties = isFields(schema) ? schema.properties : undefined
  return isFields(properties) && Object.keys(properties).length > 0 ? new Set(Object.keys(properties)) : undefined
}
