import { createHash } from 'node:crypto'

/** What an entry costs besides its text. */
const ENTRY_BYTES = 200

/** Texts by what they are the answer to, so many bytes of them; what was not asked for the longest goes first. */
export class TextCache {
  readonly #limit: number
  readonly #texts = new Map<string, string>()
  #bytes = 0

  constructor(limit: number) {
    this.#limit = limit
  }

  get(input: string): string | undefined {
    const key = keyOf(input)
    const text = this.#texts.get(key)
    if (text === undefined) return undefined
    this.#texts.delete(key)
    this.#texts.set(key, text)
    return text
  }

  set(input: string, text: string): void {
    const size = sizeOf(text)
    if (size > this.#limit) return
    const key = keyOf(input)
    this.#remove(key)
    this.#texts.set(key, text)
    this.#bytes += size
    for (const oldest of this.#texts.keys()) {
      if (this.#bytes <= this.#limit) break
      this.#remove(oldest)
    }
  }

  #remove(key: string): void {
    const text = this.#texts.get(key)
    if (text === undefined) return
    this.#texts.delete(key)
    this.#bytes -= sizeOf(text)
  }
}

function keyOf(input: string): string {
  return createHash('sha256').update(input).digest('base64')
}

function sizeOf(text: string): number {
  return 2 * text.length + ENTRY_BYTES
}
