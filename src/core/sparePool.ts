/** As many as may be on their way at a time. */
const MOST = 48
/** What has room for this many times as much as is needed is left for what needs it. */
const TOO_LARGE = 8

/** What was given up, of many sizes, for others who need as much. */
export class SparePool<Memory> {
  readonly #roomOf: (memory: Memory) => number
  readonly #least: number
  readonly #spare: Memory[] = []

  /** Less room than `least` is not kept. */
  constructor(roomOf: (memory: Memory) => number, least: number) {
    this.#roomOf = roomOf
    this.#least = least
  }

  /** The smallest with so much room, with whatever stands in it; undefined: there is none. */
  take(needed: number): Memory | undefined {
    const spare = this.#spare
    let best = -1
    for (let i = 0; i < spare.length; i++) {
      const room = this.#roomOf(spare[i]!)
      if (room < needed || room > TOO_LARGE * needed) continue
      if (best < 0 || room < this.#roomOf(spare[best]!)) best = i
    }
    return best < 0 ? undefined : spare.splice(best, 1)[0]
  }

  /** Whether it is worth keeping: then nobody may look into it any more. What was kept first may be too small for what comes now. */
  keep(memory: Memory): boolean {
    if (this.#roomOf(memory) < this.#least) return false
    if (this.#spare.length === MOST) this.#spare.shift()
    this.#spare.push(memory)
    return true
  }
}
