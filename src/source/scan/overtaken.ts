import type { Lsn } from '../../postgres/lsn.js'
import { keyId } from './keyOrder.js'
import type { KeyText } from './stretches.js'

/** The row of a key, of which a delete was handed on; of no more use when the stream has reached `until`. */
export interface OvertakenKey {
  readonly key: KeyText
  readonly until: Lsn
}

/** So many that they are not told apart any more, or of one it is not known which. */
export const EVERY_KEY = 'every'

/**
 * A delete was handed on behind rows which show what followed it: what followed goes on, too, though the rows show it.
 * Of other rows it must not: an update may be of a row that was gone by then.
 */
export type Overtaken = readonly OvertakenKey[] | typeof EVERY_KEY

export const NOTHING_OVERTAKEN: Overtaken = []

/** They stand in every position meanwhile. */
const MAX_KEYS = 1000

const idsOf = new WeakMap<readonly OvertakenKey[], ReadonlySet<string>>()

export function isOvertaken(overtaken: Overtaken, key: KeyText): boolean {
  if (overtaken === EVERY_KEY) return true
  if (overtaken.length === 0) return false
  let ids = idsOf.get(overtaken)
  if (ids === undefined) {
    ids = new Set(overtaken.map((one) => keyId(one.key)))
    idsOf.set(overtaken, ids)
  }
  return ids.has(keyId(key))
}

/** With one more; `key` undefined: it is not known which. The same if it says so already. */
export function overtake(overtaken: Overtaken, key: KeyText | undefined, until: Lsn): Overtaken {
  if (key === undefined) return EVERY_KEY
  if (isOvertaken(overtaken, key)) return overtaken
  return overtaken.length < MAX_KEYS ? [...(overtaken as readonly OvertakenKey[]), { key, until }] : EVERY_KEY
}

/** The stream has reached `lsn`. The same if that changes nothing. */
export function overtakenAfter(overtaken: Overtaken, lsn: Lsn): Overtaken {
  if (overtaken === EVERY_KEY || !overtaken.some(({ until }) => until <= lsn)) return overtaken
  return overtaken.filter(({ until }) => until > lsn)
}
