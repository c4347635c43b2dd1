/** A column of the source under its number, which it keeps when it is renamed, and which no other one ever gets. */
export interface NumberedColumn {
  readonly number: number
  readonly name: string
  readonly typeName: string
}

type NamedColumn = Omit<NumberedColumn, 'number'>

/** Of a column that is neither in the shape before nor in the catalog: it was made since and is dropped by now. */
export const PASSING = null

/** It was there before and is still. A shape that comes late, behind rows of a newer one, may be without it. */
const LEFT_OUT = 10
const UNMATCHED = 5

/**
 * The numbers of a shape's columns, of which the stream tells names, types and order only. `before` are the columns in an
 * earlier shape, `now` those in the catalog, later. Numbers ascend as columns stand, so that the shape is a way through
 * both: the one with the fewest changes of names and types between. Undefined where two ways are as short; `now` where it
 * has the same names and types.
 */
export function identify(
  columns: readonly NamedColumn[],
  before: readonly NumberedColumn[],
  now: readonly NumberedColumn[],
): (number | typeof PASSING | undefined)[] {
  const isNow = now.length === columns.length && now.every((one, i) => isSame(one, columns[i]!))
  if (isNow) return now.map(({ number }) => number)
  const old = new Map(before.map((column) => [column.number, column]))
  const present = new Map(now.map((column) => [column.number, column]))
  const numbers = [...new Set([...old.keys(), ...present.keys()])].sort((a, b) => a - b)
  const skip = numbers.map((number) => (old.has(number) && present.has(number) ? LEFT_OUT : 0))
  const match = columns.map((column) => numbers.map((one) => distance(column, old.get(one), present.get(one))))
  const ahead = costs(match, skip)
  const behind = costs(reversed(match), [...skip].reverse())
  const left = (i: number, j: number) => behind[columns.length - i]![numbers.length - j]!
  const best = left(0, 0)
  return columns.map((_, i) => {
    const found = numbers.filter((_, j) => ahead[i]![j]! + match[i]![j]! + left(i + 1, j + 1) === best)
    const isUnmatched = ahead[i]!.some((cost, j) => cost + UNMATCHED + left(i + 1, j) === best)
    if (found.length === 0) return PASSING
    return found.length === 1 && !isUnmatched ? found[0] : undefined
  })
}

function isSame(a: NamedColumn, b: NamedColumn): boolean {
  return a.name === b.name && a.typeName === b.typeName
}

/** Of the first `i` columns with the first `j` numbers, what the shortest way costs. */
function costs(match: readonly (readonly number[])[], skip: readonly number[]): number[][] {
  const first = [0]
  for (const one of skip) first.push(first.at(-1)! + one)
  const table = [first]
  for (const row of match) {
    const above = table.at(-1)!
    const next = [above[0]! + UNMATCHED]
    for (let j = 0; j < skip.length; j++) {
      next.push(Math.min(above[j]! + row[j]!, next[j]! + skip[j]!, above[j + 1]! + UNMATCHED))
    }
    table.push(next)
  }
  return table
}

function reversed(match: readonly (readonly number[])[]): number[][] {
  return [...match].reverse().map((row) => [...row].reverse())
}

/** How many changes it takes that `column` is the one that was `old`, and is `present`. */
function distance(column: NamedColumn, old: NamedColumn | undefined, present: NamedColumn | undefined): number {
  const known = [old, present].filter((one) => one !== undefined)
  const names = known.filter(({ name }) => name !== column.name).length
  const types = known.filter(({ typeName }) => typeName !== column.typeName).length
  const isNeither = names === known.length
  const isRenamed = old?.name !== present?.name
  const ofName = known.length === 2 && isNeither ? 3 : isNeither ? 2 : known.length === 2 && isRenamed ? 1 : 0
  return ofName + (types === known.length ? 1 : 0)
}
