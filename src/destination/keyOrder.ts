import type { Effect, Fold } from './fold.js'
import { INTEGERS } from './keyId.js'

/**
 * The effects in the order of their keys, as far as that can be told from their bytes: rows that stand near each other in
 * the target's index, and mostly in its table, are written one after the other. Measured with 10,000 of 200,000 rows at
 * a time: INSERT … ON CONFLICT takes 0.6 times as long as in the order of the changes.
 */
export function inKeyOrder({ effects, shape }: Fold): Effect[] {
  const list = [...effects.values()]
  const [column] = shape.key
  if (shape.key.length > 1 || !INTEGERS.has(shape.table.columns[column!]!.typeOid)) {
    return list.sort((a, b) => (a.id < b.id ? -1 : a.id > b.id ? 1 : 0))
  }
  return byNumber(
    list,
    list.map(({ id }) => Number(id)),
  )
}

/** Beyond 2^53 neighbours may change places. */
function byNumber(list: Effect[], numbers: number[]): Effect[] {
  const count = list.length
  let least = Number.POSITIVE_INFINITY
  let most = Number.NEGATIVE_INFINITY
  for (const number of numbers) {
    // A key that somebody made up, such as of a payload in JSON: the server says what is wrong with it.
    if (!Number.isInteger(number)) return list
    if (number < least) least = number
    if (number > most) most = number
  }
  const order = new Float64Array(count)
  if ((most - least + 1) * count <= Number.MAX_SAFE_INTEGER) {
    // A comparison in JavaScript costs more than all the rest: so number and place are one number.
    for (let i = 0; i < count; i++) order[i] = (numbers[i]! - least) * count + i
    order.sort()
    const sorted = new Array<Effect>(count)
    for (let i = 0; i < count; i++) sorted[i] = list[order[i]! - Math.floor(order[i]! / count) * count]!
    return sorted
  }
  for (let i = 0; i < count; i++) order[i] = i
  order.sort((a, b) => numbers[a]! - numbers[b]!)
  return Array.from(order, (index) => list[index]!)
}
