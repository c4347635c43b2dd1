/** A reader that receives this much within the window has the server at full speed. */
const RUSH_BYTES = Number(process.env.RUSH ?? 32) * 1024
const RUSH_MS = 4
const NAP_MS = Number(process.env.NAP ?? 1)

export class Napping {
  readonly #pause: () => void
  readonly #resume: () => void
  #timer: NodeJS.Timeout | undefined
  #held = false
  #bytes = 0
  #since = 0

  constructor(pause: () => void, resume: () => void) {
    this.#pause = pause
    this.#resume = resume
  }

  chunkEnd(length: number): void {
    this.#bytes += length
    if (this.#bytes < RUSH_BYTES || this.#timer !== undefined) return
    const now = performance.now()
    const rush = now - this.#since < RUSH_MS
    this.#bytes = 0
    this.#since = now
    if (!rush) return
    if (!this.#held) this.#pause()
    this.#timer = setTimeout(() => {
      this.#timer = undefined
      if (!this.#held) this.#resume()
    }, NAP_MS)
  }
  /** Back-pressure: nothing is read until `release`, whatever a nap would do. */
  hold(): void {
    if (this.#held) return
    this.#held = true
    if (this.#timer === undefined) this.#pause()
  }

  release(): void {
    if (!this.#held) return
    this.#held = false
    if (this.#timer === undefined) this.#resume()
  }

  get held(): boolean {
    return this.#held
  }

  stop(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
  }
}
