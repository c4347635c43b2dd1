import { parseTablePatterns, RelationNames, type TablePattern } from '../../../postgres/tablePattern.js'

/** A record that a sink rejected, as it is kept. */
export interface Letter {
  /**
   * Tells it from the others of its sink, and says which came first. In a file the byte at which its line begins, in a table
   * the column `number`.
   */
  readonly number: string
  /** ISO 8601. */
  readonly at: string
  /** Pipeline and sink, or what a `postgres` sink calls its source. */
  readonly source: string
  /** The record's. */
  readonly id: string
  /** The table that it was for, as SQL names it. */
  readonly target: string
  readonly sqlstate: string | undefined
  readonly problem: string
  /** One line of JSON, as docs/records.md has it. */
  readonly record: string
}

/** Which letters; what is undefined does not matter. */
export interface LetterFilter {
  /** Names or patterns, written as `tables` of the source, of the target's table or of the record's own. */
  readonly tables?: string | undefined
  readonly since?: Date | undefined
  readonly sqlstate?: string | undefined
  /** The record's id. */
  readonly id?: string | undefined
  /** From this number on, and up to that one, both included. */
  readonly from?: string | undefined
  readonly to?: string | undefined
  /** At most so many, the oldest first. */
  readonly limit?: number | undefined
  /** Whoever wanted them has gone: no more are looked for. */
  readonly gone?: (() => boolean) | undefined
}

/** Whether a letter is meant, but for the numbers and the limit. Throws TABLE_PATTERN_INVALID at once. */
export function meansLetter({ tables, since, sqlstate, id }: LetterFilter): (letter: Letter) => boolean {
  const patterns = tables === undefined ? undefined : parseTablePatterns(tables)
  const known = new Map<string, boolean>()
  const isOfTables = (letter: Letter): boolean => {
    if (patterns === undefined) return true
    let means = known.get(letter.target)
    if (means === undefined) {
      means = namesTarget(patterns, letter.target)
      known.set(letter.target, means)
    }
    return means || namesTarget(patterns, sourceTableOf(letter))
  }
  return (letter) =>
    (id === undefined || letter.id === id) &&
    (sqlstate === undefined || letter.sqlstate === sqlstate) &&
    (since === undefined || Date.parse(letter.at) >= since.getTime()) &&
    isOfTables(letter)
}

/** `target` is a name in SQL's form, or none of all. */
function namesTarget(patterns: readonly TablePattern[], target: string): boolean {
  if (target === '') return false
  const [one] = parseTablePatterns(target)
  const names = new RelationNames([{ schema: one!.schema.text, name: one!.name.text }])
  return patterns.some((pattern) => names.match(pattern).length > 0)
}

/** As it stands at the beginning of the record, which is not read for that. */
function sourceTableOf({ record }: Letter): string {
  const match = /^\{"operation":"\w+","schema":("(?:[^"\\]|\\.)*"),"table":("(?:[^"\\]|\\.)*")/.exec(record)
  if (match === null) return ''
  const quoted = (json: string) => `"${String(JSON.parse(json)).replaceAll('"', '""')}"`
  return `${quoted(match[1]!)}.${quoted(match[2]!)}`
}
