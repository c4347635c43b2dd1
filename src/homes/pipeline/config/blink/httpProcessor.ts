import type { ConfigEntry, ConfigNode } from '../configTree.js'

/** In Blink one table, whatever its schema, or all. */
export function streamsOf(entry: ConfigEntry): readonly ConfigEntry[] {
  const { value } = entry
  if (value.kind !== 'scalar') return [entry]
  if (value.value === '*') return []
  return [{ ...entry, key: 'streams', value: { ...value, value: `*."${String(value.value).replaceAll('"', '""')}"` } }]
}

/** The settings of Blink's `http` as those of ours. */
export function httpEntries(entries: readonly ConfigEntry[]): readonly ConfigEntry[] {
  const ours = entries.flatMap((entry): readonly ConfigEntry[] => {
    switch (entry.key) {
      case 'stream_name':
        return streamsOf(entry)
      case 'auth':
        return entry.value.kind === 'map' ? entry.value.entries.filter(isSaid).map(literalHeaders) : [entry]
      case 'endpoint':
        return [{ ...entry, value: literal(entry.value) }]
      case 'method':
        return method(entry)
      // An empty text is as good as none there.
      case 'target_field':
      case 'source':
        return isSaid(entry) ? [entry] : []
      default:
        return [entry]
    }
  })
  const has = (key: string) => ours.some((entry) => entry.key === key)
  const source = ours.find(({ key }) => key === 'source')
  if (source === undefined) return ours
  return [
    ...ours,
    // Without a method Blink asks by GET, and sends all the same.
    ...(has('method') ? [] : [added(source, 'method', 'GET')]),
    ...(has('format') ? [] : [added(source, 'format', 'blink')]),
  ]
}

function added({ keyPlace }: ConfigEntry, key: string, value: string): ConfigEntry {
  return { key, keyPlace, value: { kind: 'scalar', place: keyPlace, value } }
}

/** Blink has no columns in addresses and headers: braces are braces. */
function literal(node: ConfigNode): ConfigNode {
  if (node.kind !== 'scalar' || typeof node.value !== 'string') return node
  const doubled = (text: string) => text.replace(/[{}]/g, '$&$&')
  return { ...node, value: doubled(node.value), ...(node.secret && { secret: { text: doubled(node.secret.text) } }) }
}

function literalHeaders(entry: ConfigEntry): ConfigEntry {
  if (entry.key !== 'headers' || entry.value.kind !== 'map') return entry
  const entries = entry.value.entries.map((header) => ({ ...header, value: literal(header.value) }))
  return { ...entry, value: { ...entry.value, entries } }
}

function method(entry: ConfigEntry): readonly ConfigEntry[] {
  if (!isSaid(entry)) return []
  if (entry.value.kind !== 'scalar') return [entry]
  return [{ ...entry, value: { ...entry.value, value: String(entry.value.value).toUpperCase() } }]
}

function isSaid({ value }: ConfigEntry): boolean {
  return value.kind !== 'scalar' || value.broken === true || (value.value !== null && value.value !== '')
}
