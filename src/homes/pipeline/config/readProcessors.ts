import * as z from 'zod'
import { nearest } from '../../../core/nearest.js'
import { snakeCase } from '../../../core/setting.js'
import { TailraceError } from '../../../core/tailraceError.js'
import { parseTablePatterns, type TablePattern } from '../../../postgres/tablePattern.js'
import type { ProcessorConfig } from '../../../processors/chain.js'
import type { ProcessorPlace } from '../../../processors/processorType.js'
import { processorTypes } from '../../../processors/processorTypes.js'
import { SqlCondition } from '../../../processors/sql/expression.js'
import { loadGrammar } from '../../../processors/sql/grammar.js'
import { problemOf } from '../../../processors/sql/problemOf.js'
import type { ConfigMap, ConfigNode } from './configTree.js'
import { processorSettings } from './settings.js'
import type { SettingsReader } from './settingsReader.js'

/** Whether SQL stands in what is under `processors:`: then {@link loadGrammar} must have resolved before it is read. */
function hasSql(node: ConfigNode | undefined): boolean {
  if (node?.kind !== 'list') return false
  return node.items.some((item) => {
    if (item.kind !== 'map') return false
    const type = item.entries.find(({ key }) => key === 'type')?.value
    const named = type?.kind === 'scalar' ? processorTypes.get(String(type.value)) : undefined
    return named?.needsGrammar === true || item.entries.some(({ key }) => key === 'if')
  })
}

/** To be waited for before {@link readProcessors}: loads PostgreSQL's grammar where it is needed. */
export async function loadForProcessors(node: ConfigNode | undefined): Promise<void> {
  if (hasSql(node)) await loadGrammar()
}

/** What stands under `processors:`, a list; undefined, and problems, if it cannot be used. */
export function readProcessors(
  reader: SettingsReader,
  node: ConfigNode | undefined,
  place: Pick<ProcessorPlace, 'codecs' | 'folder'>,
): readonly ProcessorConfig[] | undefined {
  if (node === undefined) return []
  if (node.kind !== 'list') {
    reader.problem(node.place, 'processors', 'a list of processors is expected here, each with its type')
    return undefined
  }
  const before = reader.problems.length
  const read = node.items.map((item, index) => readProcessor(reader, item, index, place))
  return reader.problems.length > before ? undefined : read.filter((one) => one !== undefined)
}

function readProcessor(
  reader: SettingsReader,
  node: ConfigNode,
  index: number,
  place: Pick<ProcessorPlace, 'codecs' | 'folder'>,
): ProcessorConfig | undefined {
  const path = `processors[${index}]`
  const map = reader.map(node, node.place, path)
  const type = map && readType(reader, map, path)
  if (map === undefined || type === undefined) return undefined
  const before = reader.problems.length
  const processorType = processorTypes.get(type)!
  const own: Record<string, z.ZodType> = { ...processorType.settings }
  const {
    streams,
    if: condition,
    onError,
    ...given
  } = reader.settings(map, { ...processorSettings, ...own }, path, ['type'])
  const { data: settings } = z.object(own).safeParse(given)
  if (settings === undefined || reader.problems.length > before) return undefined
  const tell = (name: string, problem: string, at?: number) => {
    const entry = map.entries.find(({ key }) => key === snakeCase(name))
    const where = at === undefined ? '' : ` (character ${at + 1})`
    reader.problem(entry?.value.place ?? map.place, `${path}.${snakeCase(name)}`, `${problem}${where}`)
  }
  for (const { name, problem, at } of processorType.problems(settings)) tell(name, problem, at)
  const asked = condition as string | undefined
  if (asked !== undefined) {
    for (const { problem, at } of problemOf('if', () => SqlCondition.parse(asked))) tell('if', problem, at)
  }
  if (reader.problems.length > before) return undefined
  const itself = processorType.streams(settings)
  if (itself !== undefined && streams !== undefined) tell('streams', 'the query says which table it is for')
  const patterns = readStreams(itself ?? (streams as string | readonly string[] | undefined), (problem) =>
    tell('streams', problem),
  )
  if (reader.problems.length > before) return undefined
  const name = `${type} (${path})`
  const policy = (onError as ProcessorConfig['onError'] | undefined) ?? processorSettings.onError.parse(undefined)
  return {
    name,
    type,
    streams: patterns,
    condition: asked === undefined ? undefined : SqlCondition.parse(asked),
    onError: policy,
    hides: processorType.hides,
    create: (log) => processorType.create(settings, { ...place, name, log, onError: policy }),
  }
}

function readStreams(
  lists: string | readonly string[] | undefined,
  tell: (problem: string) => void,
): readonly TablePattern[] | undefined {
  try {
    return lists === undefined ? undefined : parseTablePatterns(lists)
  } catch (error) {
    if (!(error instanceof TailraceError)) throw error
    tell(error.message)
    return undefined
  }
}

function readType(reader: SettingsReader, map: ConfigMap, path: string): string | undefined {
  const known = [...processorTypes.keys()]
  const entry = map.entries.find(({ key }) => key === 'type')
  if (entry === undefined) {
    reader.problem(map.place, `${path}.type`, `it is required, and missing; one of ${known.join(', ')} is expected`)
    return undefined
  }
  const { value } = entry
  if (value.kind === 'scalar' && value.broken) return undefined
  const type = value.kind === 'scalar' ? String(value.value) : ''
  if (processorTypes.has(type)) return type
  const shown = value.kind === 'scalar' && value.secret === undefined
  const near = shown ? nearest(type, known) : undefined
  const what = shown ? `there is no processor of type ${type}` : 'there is no such processor'
  const problem = `${what}; one of ${known.join(', ')} is expected`
  reader.problem(value.place, `${path}.type`, problem, near && `Did you mean ${near}?`)
  return undefined
}
