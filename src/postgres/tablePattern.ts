import { TABLE_PATTERN_INVALID } from '../core/errors.js'
import type { QualifiedName } from './identifier.js'
import { hasWildcard, matcher, type NamePattern, NameProblem, readings, readNamePattern } from './namePattern.js'

/** One entry of a table list: `orders`, `sales.*`, `"Odd.Schema"."Table"`. */
export interface TablePattern {
  /** As it was written. */
  readonly text: string
  readonly schema: NamePattern
  readonly name: NamePattern
}

const PUBLIC: NamePattern = { text: 'public', quoted: true }

/**
 * Reads comma lists of names: `orders,sales.inv_*,"Odd, name"`. A name without a schema is of schema `public`; `*` is
 * every table there, `*.*` every table of every user schema. Parts are quoted as in SQL where they hold dots, commas,
 * quotes, stars, or capitals that must be.
 */
export function parseTablePatterns(lists: string | readonly string[]): TablePattern[] {
  return (typeof lists === 'string' ? [lists] : lists).flatMap((list) => explainingProblems(list, parseList))
}

function parseList(list: string): TablePattern[] {
  const patterns: TablePattern[] = []
  for (let p = 0; ; p++) {
    const { pattern, next } = readTablePattern(list, p, ',')
    patterns.push(pattern)
    if (next === list.length) return patterns
    p = next
  }
}

/** Reads the pattern at `text[p]`, which ends at the text's end or at one of the characters `stops`. */
export function readTablePattern(text: string, p: number, stops: string): { pattern: TablePattern; next: number } {
  const first = readNamePattern(text, p, `.${stops}`)
  if (text[first.next] !== '.') {
    return { pattern: { text: text.slice(p, first.next).trim(), schema: PUBLIC, name: first.part }, next: first.next }
  }
  const second = readNamePattern(text, first.next + 1, `.${stops}`)
  if (text[second.next] === '.') {
    throw new NameProblem('a table is schema.name, without a database; quote a part that holds a dot', second.next)
  }
  return {
    pattern: { text: text.slice(p, second.next).trim(), schema: first.part, name: second.part },
    next: second.next,
  }
}

/** Turns a {@link NameProblem} into the error that users see, with its place counted in characters from 1. */
export function explainingProblems<T>(text: string, read: (text: string) => T): T {
  try {
    return read(text)
  } catch (cause) {
    if (!(cause instanceof NameProblem)) throw cause
    const position = [...text.slice(0, cause.position)].length + 1
    throw TABLE_PATTERN_INVALID({ text, position, problem: cause.message }, { cause })
  }
}

/** Names one table, not a family of them. */
export function namesOne({ schema, name }: TablePattern): boolean {
  return !hasWildcard(schema) && !hasWildcard(name)
}

/** Relations, ready to be asked which of them a pattern means. */
export class RelationNames<T extends QualifiedName> {
  readonly #relations: readonly T[]
  readonly #byName: Map<string, T>

  constructor(relations: readonly T[]) {
    this.#relations = relations
    this.#byName = new Map(relations.map((relation) => [keyOf(relation.schema, relation.name), relation]))
  }

  /** What the pattern means: the matches of its most literal reading that has any. */
  match(pattern: TablePattern): T[] {
    for (const schema of readings(pattern.schema)) {
      for (const name of readings(pattern.name)) {
        const found = this.#matchLiterally(schema, name)
        if (found.length > 0) return found
      }
    }
    return []
  }

  #matchLiterally(schema: NamePattern, name: NamePattern): T[] {
    if (!hasWildcard(schema) && !hasWildcard(name)) {
      const one = this.#byName.get(keyOf(schema.text, name.text))
      return one === undefined ? [] : [one]
    }
    const isSchema = matcher(schema)
    const isName = matcher(name)
    return this.#relations.filter((relation) => isSchema(relation.schema) && isName(relation.name))
  }
}

/** No name holds a NUL. */
function keyOf(schema: string, name: string): string {
  return `${schema}\0${name}`
}
