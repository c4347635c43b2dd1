import type { EncodedRun } from './encodedRun.js'
import { Parcel, type Span } from './parcel.js'

/**
 * A record that concerns several queues: each of them comes to it, all that stood before it is delivered then; it is sent, and behind
 * that they go on. All queues have their gates in the same order, so that none waits for one that waits for it.
 */
export class Gate {
  readonly parcel: Parcel
  readonly queues: readonly Queue[]
  readonly #missing: Set<Queue>

  constructor(parcel: Parcel, queues: readonly Queue[]) {
    this.parcel = parcel
    this.queues = queues
    this.#missing = new Set(queues)
  }

  /** Whether all have come to it. */
  reached(queue: Queue): boolean {
    this.#missing.delete(queue)
    return this.#missing.size === 0
  }
}

/** Encoded records that wait for one request after another to take them. */
export class Queue {
  #items: (EncodedRun | Gate)[] = []
  /** Of the first one's lines, how many were taken. */
  #taken = 0
  /** Gates apart. */
  count = 0
  bytes = 0
  /** When the first of them came; undefined: it is empty. */
  since: number | undefined
  /** A request of it is under way, or it stands at a gate. */
  busy = false
  timer: NodeJS.Timeout | undefined
  #gates = 0

  add(run: EncodedRun, now: number): void {
    this.#items.push(run)
    this.count += run.ends.length
    this.bytes += run.ends.at(-1)! - run.start
    this.since ??= now
  }

  addGate(gate: Gate): void {
    this.#items.push(gate)
    this.#gates++
  }

  /** Others wait for what stands in it. */
  get hasGates(): boolean {
    return this.#gates > 0
  }

  /** The one that comes next, if one does. */
  get gate(): Gate | undefined {
    const [first] = this.#items
    return first instanceof Gate ? first : undefined
  }

  passGate(): void {
    this.#items.shift()
    this.#gates--
  }

  /** The first of them: one, and more as long as they are no more than so many, nor so many bytes, up to a gate. */
  take(most: { readonly count: number; readonly bytes: number }, now: number): Parcel {
    const spans: Span[] = []
    let { count: left, bytes: room } = most
    while (left > 0) {
      const run = this.#items[0]
      if (run === undefined || run instanceof Gate) break
      const from = this.#taken
      const begin = from === 0 ? run.start : run.ends[from - 1]!
      let to = from
      while (to < run.ends.length && left > 0) {
        const isFirst = spans.length === 0 && to === from
        if (run.ends[to]! - begin > room && !isFirst) break
        to++
        left--
      }
      if (to === from) break
      spans.push({ run, from, to })
      room -= run.ends[to - 1]! - begin
      this.#taken = to
      if (to < run.ends.length) break
      this.#items.shift()
      this.#taken = 0
    }
    const parcel = new Parcel(spans)
    this.count -= parcel.count
    this.bytes -= parcel.bytes
    this.since = this.count === 0 ? undefined : now
    return parcel
  }

  /** Forgets what waits. */
  clear(): void {
    clearTimeout(this.timer)
    this.#items = []
    this.#taken = this.count = this.bytes = this.#gates = 0
    this.since = undefined
  }
}
