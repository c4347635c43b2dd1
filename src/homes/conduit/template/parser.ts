import { nearest } from '../../../core/nearest.js'
import { TEMPLATE_INVALID } from '../../../core/templateErrors.js'
import { FUNCTIONS } from './functions/index.js'
import { type Token, tokenize } from './lexer.js'
import { placeOf } from './place.js'
import { PAYLOAD_FIELDS, RECORD_FIELDS } from './record.js'
import type { Command, Node, Offset, Operand, Pipe } from './tree.js'

/** Words that Go has and we do not: another word for "unknown function". */
const UNSUPPORTED = new Set(['define', 'template', 'block'])
const OPENERS = new Set(['if', 'with', 'range'])
/** Deep enough for anybody; a limit, so that no setting overflows the stack. */
const MAX_DEPTH = 100

/** Reads a template. Whatever is not understood is TEMPLATE_INVALID, with its place: at Configure, not at a record. */
export function parse(text: string): readonly Node[] {
  return new Parser(text).run()
}

class Parser {
  readonly #text: string
  readonly #tokens: readonly Token[]
  #next = 0
  #depth = 0
  #loops = 0
  /** Whether `.` is the record: outside every with and range. */
  #atRoot = true
  /** Variables in scope, the innermost last. */
  #variables: string[] = ['']

  constructor(text: string) {
    this.#text = text
    this.#tokens = tokenize(text)
  }

  run(): readonly Node[] {
    const { nodes, ended } = this.#list()
    if (ended !== undefined) throw this.#invalid(ended.at, `{{${ended.name}}} has nothing that it belongs to`)
    return nodes
  }

  /** Nodes until `end` or `else`, whose word is eaten, or the text's end. */
  #list(): { readonly nodes: Node[]; readonly ended: { readonly name: string; readonly at: Offset } | undefined } {
    const nodes: Node[] = []
    for (;;) {
      const token = this.#tokens[this.#next]
      if (token === undefined) return { nodes, ended: undefined }
      this.#next++
      if (token.kind === 'text') {
        nodes.push({ kind: 'text', text: token.text })
        continue
      }
      const first = this.#peek()
      if (first?.kind === 'word') {
        const { name, at } = first
        if (name === 'end' || name === 'else') {
          this.#next++
          return { nodes, ended: { name, at } }
        }
        if (UNSUPPORTED.has(name)) throw this.#invalid(at, `${name} is not supported`)
        if (OPENERS.has(name)) {
          this.#next++
          nodes.push(this.#control(name as 'if' | 'with' | 'range', token.at))
          continue
        }
        if (name === 'break' || name === 'continue') {
          this.#next++
          if (this.#loops === 0) throw this.#invalid(at, `${name} stands outside of a range`)
          this.#close()
          nodes.push({ kind: name })
          continue
        }
      }
      nodes.push({ kind: 'action', pipe: this.#pipe('close', 1) })
      this.#close()
    }
  }

  #control(kind: 'if' | 'with' | 'range', open: Offset): Node {
    if (++this.#depth > MAX_DEPTH) throw this.#invalid(open, 'it is nested too deeply')
    const scope = this.#variables.length
    const atRoot = this.#atRoot
    const pipe = this.#pipe('close', kind === 'range' ? 2 : 1)
    this.#close()
    if (kind !== 'if') this.#atRoot = false
    if (kind === 'range') this.#loops++
    const { nodes, ended } = this.#list()
    if (kind === 'range') this.#loops--
    this.#atRoot = atRoot
    let otherwise: readonly Node[] = []
    if (ended === undefined) throw this.#invalid(open, `{{${kind}}} has no {{end}}`)
    if (ended.name === 'else') otherwise = this.#otherwise(kind, open)
    else this.#close()
    this.#variables.length = scope
    this.#depth--
    return { kind, pipe, body: nodes, otherwise }
  }

  /** Behind `else`: `}}`, or `if …` or `with …`, which shares the one `end`. */
  #otherwise(kind: 'if' | 'with' | 'range', open: Offset): readonly Node[] {
    const token = this.#peek()
    if (token?.kind === 'word' && (token.name === 'if' || token.name === 'with') && token.name === kind) {
      this.#next++
      return [this.#control(kind, open)]
    }
    this.#close()
    const { nodes, ended } = this.#list()
    if (ended?.name === 'else') throw this.#invalid(ended.at, 'an {{else}} follows another')
    if (ended === undefined) throw this.#invalid(open, `{{${kind}}} has no {{end}}`)
    this.#close()
    return nodes
  }

  #pipe(until: 'close' | ')', mayDeclare: number): Pipe {
    const at = this.#peek()?.at ?? this.#text.length
    const { variables, declares } = this.#declaration(mayDeclare)
    const commands: Command[] = []
    for (;;) {
      const command = this.#command()
      if (commands.length > 0 && command.head.base.kind !== 'function') {
        throw this.#invalid(command.at, 'what follows | must be a function')
      }
      this.#checkCall(command, commands.length > 0)
      commands.push(command)
      const token = this.#peek()
      if (token?.kind === 'symbol' && token.symbol === '|') {
        this.#next++
        continue
      }
      if (token?.kind === 'close' ? until === 'close' : token?.kind === 'symbol' && token.symbol === until) break
      throw this.#unexpected(token)
    }
    if (declares) this.#variables.push(...variables)
    return { at, variables, declares, commands }
  }

  /** `$x :=`, `$x =`, and in a range `$i, $x :=`. */
  #declaration(most: number): { readonly variables: readonly string[]; readonly declares: boolean } {
    const begin = this.#next
    const variables: string[] = []
    for (;;) {
      const variable = this.#tokens[this.#next]
      const after = this.#tokens[this.#next + 1]
      if (variable?.kind !== 'variable' || after?.kind !== 'symbol') break
      const { symbol } = after
      if (symbol === ',' && variables.length + 1 < most) {
        variables.push(variable.name)
        this.#next += 2
        continue
      }
      if (symbol !== ':=' && symbol !== '=') break
      const declares = symbol === ':='
      variables.push(variable.name)
      if (variables.includes('')) throw this.#invalid(variable.at, '$ alone cannot be set')
      if (!declares) for (const name of variables) this.#checkVariable(name, variable.at)
      this.#next += 2
      return { variables, declares }
    }
    this.#next = begin
    return { variables: [], declares: false }
  }

  #command(): Command {
    const token = this.#peek()
    const at = token?.at ?? this.#text.length
    const operands: Operand[] = []
    for (;;) {
      const next = this.#peek()
      if (operands.length > 0 && this.#endsCommand(next)) break
      if (operands.length > 0 && !(next as { spaced?: boolean }).spaced) throw this.#unexpected(next)
      operands.push(this.#operand())
    }
    const [head, ...args] = operands
    return { at, head: head!, args }
  }

  #endsCommand(token: Token | undefined): boolean {
    if (token === undefined || token.kind === 'close') return true
    return token.kind === 'symbol' && (token.symbol === '|' || token.symbol === ')')
  }

  #operand(): Operand {
    const token = this.#peek()
    if (token === undefined) throw this.#unexpected(token)
    const { at } = token
    this.#next++
    switch (token.kind) {
      case 'constant':
        return this.#bare({ kind: 'constant', value: token.value }, at)
      case 'word':
        return this.#word(token.name, at)
      case 'field': {
        const operand: Operand = { at, base: { kind: 'dot' }, fields: [token.name, ...this.#fields()] }
        if (this.#atRoot) this.#checkFields(operand)
        return operand
      }
      case 'variable': {
        this.#checkVariable(token.name, at)
        const operand: Operand = { at, base: { kind: 'variable', name: token.name }, fields: this.#fields() }
        if (token.name === '') this.#checkFields(operand)
        return operand
      }
      case 'symbol':
        if (token.symbol === '.') return this.#bare({ kind: 'dot' }, at)
        if (token.symbol === '(') {
          if (++this.#depth > MAX_DEPTH) throw this.#invalid(at, 'it is nested too deeply')
          const pipe = this.#pipe(')', 0)
          this.#next++
          this.#depth--
          return { at, base: { kind: 'pipe', pipe }, fields: this.#fields() }
        }
    }
    this.#next--
    throw this.#unexpected(token)
  }

  /** A value that no field may follow: `.5`, `"a".b`. */
  #bare(base: Operand['base'], at: Offset): Operand {
    return { at, base, fields: [] }
  }

  #word(name: string, at: Offset): Operand {
    if (name === 'true' || name === 'false') return this.#bare({ kind: 'constant', value: name === 'true' }, at)
    if (name === 'nil') return this.#bare({ kind: 'constant', value: null }, at)
    if (FUNCTIONS.has(name)) return this.#bare({ kind: 'function', name }, at)
    const near = nearest(name, [...FUNCTIONS.keys()])
    throw this.#invalid(at, `there is no function ${name} here${near === undefined ? '' : `: did you mean ${near}?`}`)
  }

  /** Fields behind an operand, without a blank between. */
  #fields(): string[] {
    const fields: string[] = []
    for (;;) {
      const token = this.#peek()
      if (token?.kind !== 'field' || token.spaced) return fields
      this.#next++
      fields.push(token.name)
    }
  }

  /** What the record has is known: a field of another name is a mistake for every record. */
  #checkFields({ at, fields: [first, second] }: Operand): void {
    if (first === undefined) return
    this.#checkField(at, first, RECORD_FIELDS, 'a record')
    if (first === 'Payload' && second !== undefined) this.#checkField(at, second, PAYLOAD_FIELDS, 'Payload')
  }

  #checkField(at: Offset, name: string, known: readonly string[], owner: string): void {
    if (known.includes(name)) return
    throw this.#invalid(at, `${owner} has no field ${name}, but ${known.map((one) => `.${one}`).join(', ')}`)
  }

  #checkVariable(name: string, at: Offset): void {
    if (!this.#variables.includes(name)) throw this.#invalid(at, `there is no variable $${name}`)
  }

  #checkCall({ at, head, args }: Command, piped: boolean): void {
    for (const { base, at: place } of args) {
      if (base.kind === 'function' && FUNCTIONS.get(base.name)!.least > 0) {
        throw this.#invalid(place, `${base.name} takes arguments: put it in ( )`)
      }
    }
    if (head.base.kind !== 'function') {
      if (args.length > 0) throw this.#invalid(args[0]!.at, 'only a function takes arguments')
      if (head.base.kind === 'constant' && head.base.value === null) throw this.#invalid(at, 'nil is no command')
      return
    }
    const { name } = head.base
    const { least, most } = FUNCTIONS.get(name)!
    const count = args.length + (piped ? 1 : 0)
    if (count >= least && count <= most) return
    const wanted = least === most ? String(least) : most === Infinity ? `at least ${least}` : `${least} to ${most}`
    throw this.#invalid(at, `${name} takes ${wanted} argument${wanted === '1' ? '' : 's'} and has ${count}`)
  }

  #close(): void {
    const token = this.#peek()
    if (token?.kind !== 'close') throw this.#unexpected(token)
    this.#next++
  }

  #peek(): Token | undefined {
    return this.#tokens[this.#next]
  }

  #unexpected(token: Token | undefined): Error {
    if (token === undefined) return this.#invalid(this.#text.length, 'it ends too early')
    if (token.kind === 'close') return this.#invalid(token.at, 'something is missing before }}')
    const end = this.#tokens[this.#next + 1]?.at ?? this.#text.length
    const word = token.kind === 'symbol' ? token.symbol : this.#text.slice(token.at, end).trim()
    return this.#invalid(token.at, `${JSON.stringify(word)} was not expected`)
  }

  #invalid(at: Offset, problem: string): Error {
    return TEMPLATE_INVALID({ place: placeOf(this.#text, at), problem })
  }
}
