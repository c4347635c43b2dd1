import {
  type Alias,
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  Lexer,
  LineCounter,
  parseDocument,
  type Scalar,
  visit,
} from 'yaml'
import type { PipelineProblem } from '../../../core/pipelineErrors.js'
import type { ConfigEntry, ConfigNode, ConfigScalar, Place } from './configTree.js'
import { type Environment, fillIn, meaningOf, type ShieldedText, shield } from './environment.js'

/** A file of aliases of aliases is small, and means a million values. */
const MAX_NODES = 20_000
const MAX_DEPTH = 40
/** Parts of YAML's grammar: more than the values that a pipeline can have. Reading them takes the more time the more they are nested. */
const MAX_TOKENS = 120_000
/** What is no YAML at all has one for each of its parts. */
const MAX_ERRORS = 20
const TOO_LARGE = 'this file means more than a pipeline can be'

export interface ParsedYaml {
  /** Undefined where nothing can be said of what the file means. */
  readonly root: ConfigNode | undefined
  readonly problems: readonly PipelineProblem[]
}

/** Reads YAML 1.2 and fills in the environment's values, after parsing: so no value can change what the file says. */
export function parseYaml(text: string, environment: Environment): ParsedYaml {
  const lines = new LineCounter()
  const shielded = shield(text)
  if (isTooLarge(shielded.text)) {
    return { root: undefined, problems: [{ line: 1, column: 1, setting: '', problem: TOO_LARGE, hint: undefined }] }
  }
  // Which keys stand there twice is looked for here: yaml compares each with each.
  const document = parseDocument(shielded.text, { lineCounter: lines, prettyErrors: false, uniqueKeys: false })
  const reader = new TreeReader(document, lines, environment, shielded)
  for (const { pos, message } of [...document.errors, ...document.warnings].slice(0, MAX_ERRORS)) {
    const problem = /call stack/.test(message) ? 'it is nested deeper than a pipeline can be' : shielded.read(message)
    reader.problem(pos[0], '', problem.replaceAll(/\s*\n\s*/g, ' '))
  }
  const root = reader.problems.length > 0 ? undefined : reader.read(document.contents, '', 0)
  return { root, problems: reader.problems }
}

/** Told before it is parsed, which goes as deep as the text does. */
function isTooLarge(text: string): boolean {
  let tokens = 0
  let depth = 0
  for (const token of new Lexer().lex(text)) {
    if (token === '[' || token === '{') depth++
    else if (token === ']' || token === '}') depth--
    if ((token.trim() !== '' && ++tokens > MAX_TOKENS) || depth > MAX_DEPTH) return true
  }
  return false
}

/** What each alias stands for: the last of that name before it. */
function anchoredNodes(document: Document): ReadonlyMap<Alias, unknown> {
  const anchors = new Map<string, unknown>()
  const nodes = new Map<Alias, unknown>()
  visit(document, {
    Node(_, node) {
      if (isAlias(node)) {
        if (anchors.has(node.source)) nodes.set(node, anchors.get(node.source))
      } else if (node.anchor !== undefined) anchors.set(node.anchor, node)
    },
  })
  return nodes
}

class TreeReader {
  readonly problems: PipelineProblem[] = []
  readonly #anchored: ReadonlyMap<Alias, unknown>
  readonly #lines: LineCounter
  readonly #environment: Environment
  readonly #shielded: ShieldedText
  #nodes = 0
  #tooLarge = false

  constructor(document: Document, lines: LineCounter, environment: Environment, shielded: ShieldedText) {
    this.#shielded = shielded
    this.#anchored = anchoredNodes(document)
    this.#lines = lines
    this.#environment = environment
  }

  problem(offset: number, setting: string, problem: string): void {
    this.problems.push({ ...this.#placeAt(offset), setting, problem, hint: undefined })
  }

  read(node: unknown, setting: string, depth: number): ConfigNode | undefined {
    const offset = offsetOf(node)
    if (++this.#nodes > MAX_NODES || depth > MAX_DEPTH) {
      if (!this.#tooLarge) this.problem(offset, setting, TOO_LARGE)
      this.#tooLarge = true
      return undefined
    }
    if (isAlias(node)) {
      if (this.#anchored.has(node)) return this.read(this.#anchored.get(node), setting, depth + 1)
      this.problem(offset, setting, `there is no &${node.source} before it`)
      return undefined
    }
    const place = this.#placeAt(offset)
    if (isMap(node)) return { kind: 'map', place, entries: this.#entries(node.items, setting, depth) }
    if (isSeq(node)) {
      const items = node.items.map((item, index) => this.read(item, `${setting}[${index}]`, depth + 1))
      return { kind: 'list', place, items: items.filter((item) => item !== undefined) }
    }
    if (isScalar(node)) return this.#scalar(node, offset, place, setting)
    return { kind: 'scalar', place, value: null }
  }

  #entries(pairs: readonly { readonly key: unknown; readonly value: unknown }[], setting: string, depth: number) {
    const entries: ConfigEntry[] = []
    const names = new Set<string>()
    for (const { key, value } of pairs) {
      const name = isScalar(key) ? this.#shielded.read(String(key.value)) : undefined
      if (name === undefined) {
        this.problem(offsetOf(key), setting, 'a name is expected here')
        continue
      }
      if (names.has(name)) this.problem(offsetOf(key), '', 'Map keys must be unique')
      names.add(name)
      const read = this.read(value, setting === '' ? name : `${setting}.${name}`, depth + 1)
      const keyPlace = this.#placeAt(offsetOf(key))
      // What is left empty stands where its name does.
      if (read !== undefined) {
        const empty = read.kind === 'scalar' && read.value === null
        entries.push({ key: name, keyPlace, value: empty ? { ...read, place: keyPlace } : read })
      }
    }
    return entries
  }

  #scalar(node: Scalar, offset: number, place: Place, setting: string): ConfigScalar {
    const { value, source } = node
    if (typeof value === 'number' || typeof value === 'boolean' || value === null)
      return { kind: 'scalar', place, value, written: source }
    const { text, fromEnvironment, problems } = fillIn(this.#shielded.read(String(value)), this.#environment)
    for (const one of problems) this.problem(offset, setting, one)
    if (problems.length > 0) return { kind: 'scalar', place, value: null, broken: true }
    if (!fromEnvironment) return { kind: 'scalar', place, value: text }
    return { kind: 'scalar', place, value: node.type === 'PLAIN' ? meaningOf(text) : text, secret: { text } }
  }

  #placeAt(offset: number): Place {
    const { line, col } = this.#lines.linePos(offset)
    return { line, column: col }
  }
}

function offsetOf(node: unknown): number {
  return (node as { range?: readonly [number, number, number] } | null)?.range?.[0] ?? 0
}
