import { createRequire } from 'node:module'
import v8 from 'node:v8'
import { ExpressionProblem } from './problem.js'

/** A node of the server's parse tree: its kind, and its fields. */
export type AstNode = Readonly<Record<string, Fields>>
export type Fields = Readonly<Record<string, unknown>>

interface Grammar {
  loadModule(): Promise<void>
  parseSync(sql: string): unknown
}

let grammar: Grammar | undefined
/** What it was loaded as, by which Node finds it again. */
let modules: readonly string[] = []
const parsed = new Map<string, unknown>()
const MOST_PARSED = 10_000

let isBriefly = false

/**
 * The parser is used for a moment only: V8 does not make it fast, which it does in another thread, for 0.3 s of processor time and 45 MB
 * of a single condition, and has the process wait for that where nothing else is under way. For who owns the process: V8's flags are for all.
 */
export function useGrammarBriefly(): void {
  isBriefly = Number.parseInt(process.versions.v8, 10) <= LAST_KNOWN_V8
}

/** Of newer ones it is not known whether they have these flags. */
const LAST_KNOWN_V8 = 13
const FLAGS = ['wasm-tier-up', 'wasm-dynamic-tiering']

/** V8 asks when a module is made, and when a function is called for the first time. */
function setOptimizing(isOn: boolean): void {
  if (isBriefly) for (const flag of FLAGS) v8.setFlagsFromString(isOn ? `--${flag}` : `--no-${flag}`)
}

/** Must have resolved before anything is parsed: PostgreSQL's own parser is 2 MB, for those who need it. */
export async function loadGrammar(): Promise<void> {
  if (grammar !== undefined) return
  const require = createRequire(import.meta.url)
  const before = new Set(Object.keys(require.cache))
  let loaded: Grammar
  setOptimizing(false)
  try {
    loaded = require('libpg-query') as Grammar
    await loaded.loadModule()
  } finally {
    setOptimizing(true)
  }
  modules = Object.keys(require.cache).filter((one) => !before.has(one))
  grammar = loaded
}

/**
 * Lets go of the parser, as who has read all that there is to be read does: it takes 30 MB as long as it is there, and counts as 130, for
 * which V8 collects garbage three times as often. What was parsed before can be parsed again; anything else needs {@link loadGrammar}.
 */
export function unloadGrammar(): void {
  const { cache } = createRequire(import.meta.url)
  for (const one of modules) delete cache[one]
  modules = []
  grammar = undefined
}

/** What was parsed: `text` as somebody wrote it, behind `prefix` characters of ours. */
export interface SqlText {
  readonly text: string
  readonly prefix: number
}

/** A longer one takes more time and stack than a condition is worth. */
const MAX_LENGTH = 256 * 1024

/** The one SELECT that `prefix` and the text are. */
export function parseSelect(text: string, prefix = ''): Fields {
  if (text.length > MAX_LENGTH) throw new ExpressionProblem(`it is longer than ${MAX_LENGTH} characters`, 0)
  let tree: { readonly stmts?: readonly { readonly stmt?: AstNode }[] }
  try {
    tree = parse(prefix + text) as typeof tree
  } catch (error) {
    const { sqlDetails, message } = error as Error & { readonly sqlDetails?: { readonly cursorPosition?: number } }
    if (error instanceof RangeError) throw new ExpressionProblem(TOO_DEEP, 0)
    throw new ExpressionProblem(message, Math.max(0, (sqlDetails?.cursorPosition ?? 0) - prefix.length))
  }
  const [first, second] = tree.stmts ?? []
  const select = first?.stmt?.SelectStmt
  if (select === undefined || second !== undefined) throw new ExpressionProblem('one SELECT is expected', 0)
  return select
}

function parse(sql: string): unknown {
  const known = parsed.get(sql)
  if (known !== undefined) return known
  const tree = parseNow(sql)
  if (parsed.size === MOST_PARSED) parsed.delete(parsed.keys().next().value!)
  parsed.set(sql, tree)
  return tree
}

function parseNow(sql: string): unknown {
  setOptimizing(false)
  try {
    return grammar!.parseSync(sql)
  } finally {
    setOptimizing(true)
  }
}

const SELECT = 'SELECT '

/** The tree of one expression; its places are in `SELECT ` and the text. */
export function parseExpression(text: string): { readonly tree: AstNode; readonly sql: SqlText } {
  const { targetList, ...others } = parseSelect(text, SELECT)
  const targets = targetList as readonly AstNode[] | undefined
  const target = targets?.[0]?.ResTarget
  const only = targets?.length === 1 && target?.name === undefined && target?.val !== undefined
  if (!only || clausesOf(others).length > 0) {
    throw new ExpressionProblem('one expression is expected, and nothing behind it', 0)
  }
  return { tree: target.val as AstNode, sql: { text, prefix: SELECT.length } }
}

/** The clauses of a SELECT that somebody wrote. */
export function clausesOf(select: Fields): string[] {
  return Object.keys(select).filter((name) => name !== 'limitOption' && name !== 'op')
}

export const TOO_DEEP = 'it is nested deeper than a condition can be'

/** Of a text that is not ASCII the offset in characters of each of its bytes. */
const offsets = new WeakMap<SqlText, Uint32Array | undefined>()

/** From a place in the tree, in bytes, to an offset in characters of the text. */
export function placeIn(sql: SqlText, location: unknown): number {
  if (typeof location !== 'number') return 0
  if (!offsets.has(sql)) offsets.set(sql, offsetsOf(sql.text))
  const place = Math.max(0, location - sql.prefix)
  const known = offsets.get(sql)
  return known === undefined ? Math.min(place, sql.text.length) : (known[place] ?? sql.text.length)
}

function offsetsOf(text: string): Uint32Array | undefined {
  const length = Buffer.byteLength(text)
  if (length === text.length) return undefined
  const found = new Uint32Array(length + 1)
  let byte = 0
  let offset = 0
  for (const character of text) {
    const end = byte + Buffer.byteLength(character)
    found.fill(offset, byte, end)
    byte = end
    offset += character.length
  }
  found[length] = offset
  return found
}

export function kindAndFields(node: AstNode): readonly [string, Fields] {
  return Object.entries(node)[0]!
}

/** The text of a list of names, such as a function's. */
export function namesOf(list: unknown): string[] {
  return ((list as readonly AstNode[] | undefined) ?? []).map((one) => String(one.String?.sval ?? ''))
}
