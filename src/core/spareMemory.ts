/** A piece of {@link SpareMemory}, until it is given back. */
export interface Lease {
  readonly buffer: Buffer
  /** Nobody looks into it any more. Once: what comes behind the first time does nothing. */
  giveBack(): void
}

/**
 * Memory for what comes in pieces of one size and is over soon. Made anew for each piece, outside of V8's heap, it has a small heap
 * collected again and again.
 */
export class SpareMemory {
  readonly #bytes: number
  readonly #most: number
  readonly #spare: Buffer[] = []

  /** `most`: pieces that are kept. */
  constructor(bytes: number, most: number) {
    this.#bytes = bytes
    this.#most = most
  }

  take(): Lease {
    let buffer: Buffer | undefined = this.#spare.pop() ?? Buffer.allocUnsafeSlow(this.#bytes)
    return {
      buffer,
      giveBack: () => {
        if (buffer !== undefined && this.#spare.length < this.#most) this.#spare.push(buffer)
        buffer = undefined
      },
    }
  }
}
