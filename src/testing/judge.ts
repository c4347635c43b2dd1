import type { Change, ContractBatch } from './contractBatches.js'

/** What a target is, to whoever reads it: all changes, one behind the other; or rows as they are by now. */
export type TargetKind = 'log' | 'rows'

export interface Expectation {
  readonly kind: TargetKind
  /** What was given, in order. */
  readonly given: readonly ContractBatch[]
  /** Nothing may come twice. */
  readonly once?: boolean
}

/** So many are named. */
const NAMED = 3

/** What is missing of what was given; empty: nothing. */
export function missing({ kind, given }: Expectation, found: readonly Change[]): string {
  if (kind === 'rows') return wrongRows(given, found)
  const had = new Set(found.map(nameOf))
  const lost = given.flatMap(({ changes }) => changes).filter((change) => !had.has(nameOf(change)))
  return told(lost.map(nameOf), 'not to be found at the target')
}

/**
 * What came in another order than it was given, by key, or was never given; empty: nothing. What comes again must do so with
 * all that followed it, so that whoever keeps the last one by key ends with the right one.
 */
export function disordered({ kind, given, once = false }: Expectation, found: readonly Change[]): string {
  if (kind === 'rows') return ''
  const orders = byKey(given)
  const places = new Map<string, number>()
  const wrong: string[] = []
  for (const change of found) {
    const order = orders.get(change.key)
    const at = order?.indexOf(change.version) ?? -1
    if (at < 0) {
      wrong.push(`${nameOf(change)}, which was never written`)
      continue
    }
    const before = places.get(change.key) ?? -1
    places.set(change.key, at)
    if (at > before + 1) {
      const due = { key: change.key, version: order![before + 1]! }
      wrong.push(`${nameOf(change)} before ${nameOf(due)}`)
    } else if (once && at <= before) wrong.push(`${nameOf(change)} once more`)
  }
  for (const [key, at] of places) {
    const order = orders.get(key)!
    const behind = { key, version: order[at]! }
    // The last one that was found may be the last one there is; what is missing behind that is told elsewhere.
    const furthest = Math.max(...found.filter((one) => one.key === key).map(({ version }) => order.indexOf(version)))
    if (at < furthest) wrong.push(`${nameOf(behind)} at the end, behind ${nameOf({ key, version: order[furthest]! })}`)
  }
  return told(wrong, 'read from the target')
}

function wrongRows(given: readonly ContractBatch[], found: readonly Change[]): string {
  const rows = new Map(found.map(({ key, version }) => [key, version]))
  const wrong: string[] = []
  for (const [key, order] of byKey(given)) {
    const [due, is] = [order.at(-1)!, rows.get(key) ?? null]
    rows.delete(key)
    if (due !== is) wrong.push(`${nameOf({ key, version: is })} instead of ${nameOf({ key, version: due })}`)
  }
  for (const key of rows.keys()) wrong.push(`key ${key}, which was never written`)
  return told(wrong, 'read from the target')
}

function byKey(given: readonly ContractBatch[]): Map<string, (number | null)[]> {
  const orders = new Map<string, (number | null)[]>()
  for (const { key, version } of given.flatMap(({ changes }) => changes)) {
    const order = orders.get(key) ?? []
    order.push(version)
    orders.set(key, order)
  }
  return orders
}

function nameOf({ key, version }: Change): string {
  return version === null ? `the delete of key ${key}` : `version ${version} of key ${key}`
}

function told(list: readonly string[], what: string): string {
  if (list.length === 0) return ''
  const more = list.length > NAMED ? ` and ${list.length - NAMED} more` : ''
  return `${what}: ${list.slice(0, NAMED).join('; ')}${more}`
}
