/**
 * What is made at most once in so many milliseconds, however often it is asked for: a thousand who look at a pipeline cost it
 * no more than one.
 */
export class Cached<Value> {
  readonly #ms: number
  readonly #make: () => Value
  #last: { readonly at: number; readonly value: Value } | undefined

  constructor(ms: number, make: () => Value) {
    this.#ms = ms
    this.#make = make
  }

  get(): Value {
    const at = performance.now()
    if (this.#last === undefined || at - this.#last.at >= this.#ms) this.#last = { at, value: this.#make() }
    return this.#last.value
  }

  forget(): void {
    this.#last = undefined
  }
}
