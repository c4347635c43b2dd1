import { TEMPLATE_FAILED } from '../../../core/templateErrors.js'
import { FUNCTIONS } from './functions/index.js'
import { placeOf } from './place.js'
import { PAYLOAD_FIELDS, type TemplateRecord } from './record.js'
import type { Command, Node, Offset, Operand, Pipe } from './tree.js'
import { field, isPlain, isTrue, kindOf, Operation, print, Struct, TextMap, Unusable } from './values.js'

type Signal = 'break' | 'continue' | undefined

/** Runs a template over a record. What has no value is TEMPLATE_FAILED: `<no value>` is no table's name. */
export function evaluate(text: string, nodes: readonly Node[], record: TemplateRecord): string {
  return new Run(text, toStruct(record)).run(nodes)
}

function toStruct({ metadata, key, before, after, operation, position }: TemplateRecord): Struct {
  const [beforeName, afterName] = PAYLOAD_FIELDS
  return new Struct({
    Metadata: new TextMap(metadata),
    Key: key,
    Payload: new Struct({ [beforeName]: before, [afterName]: after }),
    Operation: new Operation(operation),
    Position: position,
  })
}

class Run {
  readonly #text: string
  readonly #root: Struct
  #out = ''
  readonly #variables: { readonly name: string; value: unknown }[]

  constructor(text: string, root: Struct) {
    this.#text = text
    this.#root = root
    this.#variables = [{ name: '', value: root }]
  }

  run(nodes: readonly Node[]): string {
    this.#list(nodes, this.#root)
    return this.#out
  }

  #list(nodes: readonly Node[], dot: unknown): Signal {
    for (const node of nodes) {
      const signal = this.#node(node, dot)
      if (signal !== undefined) return signal
    }
    return undefined
  }

  #node(node: Node, dot: unknown): Signal {
    switch (node.kind) {
      case 'text':
        this.#out += node.text
        return undefined
      case 'action': {
        const value = this.#pipe(node.pipe, dot)
        if (node.pipe.variables.length > 0) return undefined
        if (value === null || value === undefined) throw this.#failed(node.pipe.at, 'there is no value')
        this.#out += this.#usable(node.pipe.at, () => print(value))
        return undefined
      }
      case 'break':
      case 'continue':
        return node.kind
      default: {
        const scope = this.#variables.length
        const signal = this.#control(node, dot)
        this.#variables.length = scope
        return signal
      }
    }
  }

  #control({ kind, pipe, body, otherwise }: Node & { readonly kind: 'if' | 'with' | 'range' }, dot: unknown): Signal {
    if (kind === 'range') return this.#range(pipe, body, otherwise, dot)
    const value = this.#pipe(pipe, dot)
    if (!isTrue(value)) return this.#list(otherwise, dot)
    return this.#list(body, kind === 'with' ? value : dot)
  }

  #range(pipe: Pipe, body: readonly Node[], otherwise: readonly Node[], dot: unknown): Signal {
    const entries = this.#entries(this.#values(pipe, dot), pipe.at)
    if (entries.length === 0) return this.#list(otherwise, dot)
    const scope = this.#variables.length
    const [first, second] = pipe.variables
    for (const [key, item] of entries) {
      if (first !== undefined) this.#set(first, second === undefined ? item : key, pipe.declares)
      if (second !== undefined) this.#set(second, item, pipe.declares)
      const signal = this.#list(body, item)
      this.#variables.length = scope
      if (signal === 'break') break
    }
    return undefined
  }

  #entries(value: unknown, at: Offset): readonly (readonly [unknown, unknown])[] {
    if (value === null || value === undefined) return []
    if (Array.isArray(value)) return [...value.entries()]
    if (value instanceof TextMap) return sorted([...value.entries])
    if (isPlain(value)) return sorted(Object.entries(value))
    throw this.#failed(at, `range is over ${kindOf(value)}`)
  }

  #pipe(pipe: Pipe, dot: unknown): unknown {
    const value = this.#values(pipe, dot)
    for (const name of pipe.variables) this.#set(name, value, pipe.declares)
    return value
  }

  #values({ commands }: Pipe, dot: unknown): unknown {
    let value: unknown
    for (const [i, command] of commands.entries()) {
      value = this.#command(command, dot, i === 0 ? [] : [value])
    }
    return value
  }

  #command({ head, args }: Command, dot: unknown, piped: readonly unknown[]): unknown {
    if (head.base.kind !== 'function') return this.#operand(head, dot)
    const { name } = head.base
    const wanted = [...args.map((arg) => () => this.#operand(arg, dot)), ...piped.map((value) => () => value)]
    // and, or: what decides is the last that is looked at
    if (name === 'and' || name === 'or') {
      let value: unknown
      for (const want of wanted) {
        value = want()
        if (isTrue(value) === (name === 'or')) break
      }
      return value
    }
    return this.#call(
      name,
      wanted.map((want) => want()),
      head.at,
    )
  }

  #call(name: string, args: readonly unknown[], at: Offset): unknown {
    return this.#usable(at, () => FUNCTIONS.get(name)!.call(...args), `${name}: `)
  }

  #operand({ base, fields, at }: Operand, dot: unknown): unknown {
    let value: unknown
    switch (base.kind) {
      case 'dot':
        value = dot
        break
      case 'variable':
        value = this.#variables.findLast(({ name }) => name === base.name)!.value
        break
      case 'constant':
        value = base.value
        break
      case 'pipe':
        value = this.#pipe(base.pipe, dot)
        break
      case 'function':
        value = this.#call(base.name, [], at)
    }
    return this.#usable(at, () => fields.reduce(field, value))
  }

  #set(name: string, value: unknown, declares: boolean): void {
    if (declares) this.#variables.push({ name, value })
    else this.#variables.findLast((variable) => variable.name === name)!.value = value
  }

  #usable<T>(at: Offset, value: () => T, prefix = ''): T {
    try {
      return value()
    } catch (error) {
      throw error instanceof Unusable ? this.#failed(at, prefix + error.message) : error
    }
  }

  #failed(at: Offset, problem: string): Error {
    return TEMPLATE_FAILED({ place: placeOf(this.#text, at), problem })
  }
}

function sorted(entries: readonly [string, unknown][]): readonly [string, unknown][] {
  return [...entries].sort(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
}
