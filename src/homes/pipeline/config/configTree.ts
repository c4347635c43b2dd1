/** Where something stands in the file, both counted from 1. */
export interface Place {
  readonly line: number
  readonly column: number
}

export interface ConfigScalar {
  readonly kind: 'scalar'
  readonly place: Place
  readonly value: string | number | boolean | null
  /** Its value, or a part of it, came from the environment and is never printed; `text`: as it was there. */
  readonly secret?: { readonly text: string }
  /** Of a number, or of true, false and null: as it stands in the file. */
  readonly written?: string | undefined
  /** A variable in it has no value, which was told. */
  readonly broken?: boolean
}

export interface ConfigList {
  readonly kind: 'list'
  readonly place: Place
  readonly items: readonly ConfigNode[]
}

export interface ConfigEntry {
  readonly key: string
  readonly keyPlace: Place
  readonly value: ConfigNode
}

export interface ConfigMap {
  readonly kind: 'map'
  readonly place: Place
  readonly entries: readonly ConfigEntry[]
}

/** What stands in a configuration file, each part with its place. */
export type ConfigNode = ConfigScalar | ConfigList | ConfigMap

/** The same as plain JavaScript values. */
export function plainValue(node: ConfigNode): unknown {
  if (node.kind === 'scalar') return node.value
  if (node.kind === 'list') return node.items.map(plainValue)
  return Object.fromEntries(node.entries.map(({ key, value }) => [key, plainValue(value)]))
}

/** `a list`, `a number`: for messages. */
export function kindOf(node: ConfigNode): string {
  if (node.kind !== 'scalar') return `a ${node.kind}`
  if (node.value === null) return 'empty'
  return typeof node.value === 'boolean' ? 'true or false' : `a ${typeof node.value}`
}
