import { rawFields } from './rawFields.js'

/**
 * Columns that are added, altered, renamed and dropped while all goes on. Their name tells their number, and that is
 * their default: a row that was written before has it without a word from the server.
 */
const EXTRA = /^"[xr]_(\d+)"$/
const SOME_EXTRA = /"[xr]_\d+":/
export const EXTRA_NAME = /^[xr]_(\d+)$/

export function extraName(prefix: 'x' | 'r', number: number): string {
  return `${prefix}_${number}`
}

/** A row in two parts: what every shape of its table has, as it stands there, and its extra columns, by number. */
export interface SplitRow {
  readonly fixed: string
  readonly extra: ReadonlyMap<string, string>
}

const NONE: ReadonlyMap<string, string> = new Map()

/** Of extra columns only those that are not at their default; as text, whatever their type was just then. */
export function splitRow(row: string): SplitRow {
  if (!SOME_EXTRA.test(row)) return { fixed: row, extra: NONE }
  const fixed: string[] = []
  const extra = new Map<string, string>()
  for (const [name, value] of rawFields(row)) {
    const number = EXTRA.exec(name)?.[1]
    if (number === undefined) fixed.push(`${name}:${value}`)
    else {
      const text = value.replace(/^"|"$/g, '')
      if (text !== number) extra.set(number, text)
    }
  }
  return { fixed: `{${fixed.join(',')}}`, extra }
}

/** The row as one text; of its extra columns those among `numbers`, or all. */
export function plainRow({ fixed, extra }: SplitRow, numbers?: ReadonlySet<string>): string {
  const shown = [...extra].filter(([number]) => numbers?.has(number) ?? true).sort(([a], [b]) => Number(a) - Number(b))
  return fixed + shown.map(([number, value]) => ` and ${number}: ${value}`).join('')
}
