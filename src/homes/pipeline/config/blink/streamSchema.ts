import { DECLARED_TYPES } from '../../../../codec/declared/declaredTypes.js'
import { nearest } from '../../../../core/nearest.js'
import type { DeclaredColumn, DeclaredStream } from '../../declared/declaredStream.js'
import type { ConfigMap, ConfigNode, Place } from '../configTree.js'
import type { SettingsReader } from '../settingsReader.js'
import type { Notices } from './notices.js'
import { columnSettings } from './settings.js'

/** How the streams of a file are read. */
export interface StreamsReader {
  readonly reader: SettingsReader
  readonly notices: Notices
  /** Of streams that are written without one. */
  readonly schema: string
  /** A type that is not known is text. */
  readonly lenient: boolean
}

/** What stands under `stream_schema`, a list; problems where it cannot be used. */
export function readStreams(node: ConfigNode, path: string, given: StreamsReader): DeclaredStream[] {
  const { reader } = given
  if (node.kind !== 'list' || node.items.length === 0) {
    reader.problem(node.place, path, 'a list of streams is expected here, each with its name and columns')
    return []
  }
  const streams = node.items.map((item, index) => readStream(item, `${path}[${index}]`, given))
  const known = new Set<string>()
  for (const [index, stream] of streams.entries()) {
    if (stream === undefined) continue
    const name = `${stream.schema}.${stream.table}`
    if (known.has(name)) {
      reader.problem(
        node.items[index]!.place,
        `${path}[${index}].stream`,
        `the stream ${stream.name} stands here twice`,
      )
    }
    known.add(name)
  }
  return streams.filter((stream) => stream !== undefined)
}

function readStream(node: ConfigNode, path: string, given: StreamsReader): DeclaredStream | undefined {
  const { reader } = given
  const map = reader.map(node, node.place, path)
  if (map === undefined) return undefined
  const name = readName(reader, map, path)
  for (const { key, keyPlace } of map.entries) {
    if (!STREAM_KEYS.includes(key)) reader.unknown(key, keyPlace, `${path}.${key}`, STREAM_KEYS)
  }
  const columns = map.entries.find(({ key }) => key === 'columns')
  const read = columns && readColumns(columns.value, columns.keyPlace, { ...given, path, stream: name ?? '' })
  if (name === undefined) return undefined
  const dot = name.indexOf('.')
  const [schema, table] = dot < 0 ? [given.schema, name] : [name.slice(0, dot), name.slice(dot + 1)]
  if (schema === '' || table === '') {
    reader.problem(map.place, `${path}.stream`, `${name} is no name of a table: table, or schema.table`)
    return undefined
  }
  return { name, schema, table, columns: read }
}

const STREAM_KEYS = ['stream', 'columns']

function readName(reader: SettingsReader, map: ConfigMap, path: string): string | undefined {
  const entry = map.entries.find(({ key }) => key === 'stream')
  if (entry === undefined) reader.problem(map.place, `${path}.stream`, 'it is required, and missing')
  else if (entry.value.kind !== 'scalar' || entry.value.value === null) {
    if (entry.value.kind !== 'scalar' || !entry.value.broken) {
      reader.problem(entry.keyPlace, `${path}.stream`, 'the name of a table is expected here')
    }
  } else return entry.value.written ?? String(entry.value.value)
  return undefined
}

interface OfStream extends StreamsReader {
  readonly path: string
  readonly stream: string
}

function readColumns(node: ConfigNode, at: Place, given: OfStream): DeclaredColumn[] {
  const { reader, path } = given
  if (node.kind !== 'list' || node.items.length === 0) {
    reader.problem(at, `${path}.columns`, 'a list of columns is expected here; without one all columns are read')
    return []
  }
  const columns: DeclaredColumn[] = []
  for (const [index, item] of node.items.entries()) {
    const column = readColumn(item, `${path}.columns[${index}]`, given)
    if (column === undefined) continue
    if (columns.some(({ name }) => name === column.name)) {
      reader.problem(item.place, `${path}.columns[${index}].name`, `the column ${column.name} stands here twice`)
    }
    columns.push(column)
  }
  return columns
}

function readColumn(node: ConfigNode, path: string, given: OfStream): DeclaredColumn | undefined {
  const { reader, notices } = given
  const map = reader.map(node, node.place, path)
  if (map === undefined) return undefined
  const values = reader.settings(map, columnSettings, path, [], (name) => name)
  const nested = map.entries.find(({ key }) => key === 'columns')
  if (nested !== undefined) notices.tell(nested.keyPlace, `${path}.columns`, NESTED)
  const name = values.name as string | undefined
  if (name === undefined) return undefined
  return {
    name,
    type: readType(map, values.databrewType as string | undefined, `${path}.databrewType`, name, given),
    native: values.nativeConnectorType as string | undefined,
    isKey: values.pk === true,
  }
}

const NESTED = 'it has no effect: what a JSON column holds is not declared'

function readType(
  map: ConfigMap,
  type: string | undefined,
  path: string,
  column: string,
  { reader, notices, stream, lenient }: OfStream,
): string | undefined {
  if (type === undefined || (DECLARED_TYPES as readonly string[]).includes(type)) return type
  const { place } = map.entries.find(({ key }) => key === 'databrewType')!.value
  const problem = `column ${column} of stream ${stream}: there is no type ${type}`
  if (lenient) {
    notices.tell(place, path, `${problem}; it is written as text`)
    return 'String'
  }
  const longer = DECLARED_TYPES.filter((one) => one.toLowerCase().startsWith(type.toLowerCase()))
  const near = longer.length > 0 ? longer.join(' or ') : nearest(type, DECLARED_TYPES)
  const known = `Known are: ${DECLARED_TYPES.join(', ')}`
  reader.problem(place, path, problem, near === undefined ? known : `Did you mean ${near}? ${known}`)
  return undefined
}
