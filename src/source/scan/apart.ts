import { keyId } from './keyOrder.js'
import type { KeyText, Reading } from './stretches.js'

/** The row of one key was read by itself, and handed on if it was there. */
export interface ReadApart {
  readonly key: KeyText
  readonly read: Reading
  /** Whether there was a row; absent where an earlier version did not say. */
  readonly found?: boolean | undefined
}

/** So many rows at most are read by themselves for nothing but their order. They stand in every position meanwhile. */
export const MAX_APART = 200

const indexes = new WeakMap<readonly ReadApart[], ReadonlyMap<string, ReadApart>>()

export function apartOf(apart: readonly ReadApart[], key: KeyText): ReadApart | undefined {
  if (apart.length === 0) return undefined
  let index = indexes.get(apart)
  if (index === undefined) {
    index = new Map(apart.map((one) => [keyId(one.key), one]))
    indexes.set(apart, index)
  }
  return index.get(keyId(key))
}

/** The same if there is none. */
export function withoutKey<T extends { readonly key: KeyText }>(all: readonly T[], key: KeyText): readonly T[] {
  const rest = all.filter((one) => keyId(one.key) !== keyId(key))
  return rest.length === all.length ? all : rest
}
