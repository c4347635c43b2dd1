/** Where in the template's text something begins. */
export type Offset = number

export type Node =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'action'; readonly pipe: Pipe }
  | {
      readonly kind: 'if' | 'with' | 'range'
      readonly pipe: Pipe
      readonly body: readonly Node[]
      readonly otherwise: readonly Node[]
    }
  | { readonly kind: 'break' | 'continue' }

/** `$x := a | b`. */
export interface Pipe {
  readonly at: Offset
  /** Names of variables, without `$`; of a range two at most, else one. */
  readonly variables: readonly string[]
  /** `:=` makes them, `=` sets them. */
  readonly declares: boolean
  readonly commands: readonly Command[]
}

/** `f a b`, or a single operand. */
export interface Command {
  readonly at: Offset
  readonly head: Operand
  readonly args: readonly Operand[]
}

/** A value, and fields of it one behind the other: `.A.B`, `$x.A`, `(pipe).A`. */
export interface Operand {
  readonly at: Offset
  readonly base:
    | { readonly kind: 'dot' }
    | { readonly kind: 'variable'; readonly name: string }
    | { readonly kind: 'constant'; readonly value: string | number | bigint | boolean | null }
    | { readonly kind: 'pipe'; readonly pipe: Pipe }
    | { readonly kind: 'function'; readonly name: string }
  readonly fields: readonly string[]
}
