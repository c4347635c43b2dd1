import type { SinkMark } from '../../../sinks/sink.js'
import type { StreamPosition } from '../../../source/position.js'

/** A place in the stream at which every sink makes durable what it has, when it gets there. */
export interface Barrier {
  /** Counted from 1. */
  readonly id: number
  readonly position: StreamPosition
  /**
   * All sinks are recorded here at once, or none: where rows of a snapshot are read, or where long polling finds them, a
   * sink that stopped elsewhere than another one could not be given what it is missing, and nothing else.
   */
  readonly together: boolean
  /** False: only so that what stands before it need not be kept. Nothing is recorded there, and the next one that is comes soon. */
  readonly durable: boolean
  /** Nothing follows in this run: it was stopped, or the source has given all that it has. */
  readonly end: 'stopped' | 'complete' | undefined
}

/** A sink has all up to the barrier durable. */
export interface Passed {
  readonly barrier: Barrier
  /** Where the sink is: behind the barrier, if it was further already when the run began. */
  readonly position: StreamPosition
  readonly mark: SinkMark
}

/** A place for all that those have whose marks the state keeps, and that those which store it themselves may commit. */
export interface Prepared {
  readonly barrier: Barrier
  /** By sink, of those that do not store it. */
  readonly passed: ReadonlyMap<string, Passed>
}

/** So many are prepared at a time: the state names each of them. */
const MAX_PREPARED = 16

/** Decides what may be recorded of which sink, and what is confirmed then. No file, no timer. */
export class Barriers {
  readonly #sinks: readonly string[]
  readonly #storing: ReadonlySet<string>
  /** Those that are not recorded, in order. */
  #together: number[] = []
  /** By sink, in order: not recorded yet. */
  readonly #passed = new Map<string, Passed[]>()
  readonly #recorded = new Map<string, Barrier>()

  /** `storing`: those of `sinks` that store positions themselves. */
  constructor(sinks: readonly string[], storing: ReadonlySet<string> = new Set()) {
    this.#sinks = sinks
    this.#storing = storing
    for (const sink of sinks) this.#passed.set(sink, [])
  }

  /** It was given to all sinks. */
  made(barrier: Barrier): void {
    if (barrier.together) this.#together.push(barrier.id)
  }

  passed(sink: string, passed: Passed): void {
    this.#passed.get(sink)!.push(passed)
  }

  /** What is to be recorded now, by sink; it counts as recorded from then on. */
  take(): ReadonlyMap<string, Passed> {
    const taken = new Map<string, Passed>()
    const common = this.#together.filter((id) => this.#sinks.every((sink) => this.#find(sink, id))).at(-1)
    if (common !== undefined) {
      for (const sink of this.#sinks) this.#take(taken, sink, this.#find(sink, common)!)
      this.#together = this.#together.filter((id) => id > common)
    }
    const limit = this.#together[0] ?? Number.POSITIVE_INFINITY
    for (const sink of this.#sinks) {
      const own = this.#passed.get(sink)!.filter(({ barrier }) => barrier.id < limit)
      if (own.length > 0) this.#take(taken, sink, own.at(-1)!)
    }
    return taken
  }

  /**
   * The places for all behind what was taken which every sink has passed that stores nothing itself. Only what is recorded as
   * such may be committed by those that do: wherever they are found after a crash, the marks of the others are known.
   */
  get prepared(): readonly Prepared[] {
    const prepared: Prepared[] = []
    const others = this.#sinks.filter((sink) => !this.#storing.has(sink))
    for (const id of this.#together.slice(0, MAX_PREPARED)) {
      const passed = new Map<string, Passed>()
      for (const sink of others) {
        const one = this.#find(sink, id)
        if (one !== undefined) passed.set(sink, one)
      }
      if (passed.size === 0 || passed.size < others.length) break
      prepared.push({ barrier: passed.values().next().value!.barrier, passed })
    }
    return prepared
  }

  /** Every sink is recorded there, or further; undefined before the first. */
  get least(): StreamPosition | undefined {
    let least: Barrier | undefined
    for (const sink of this.#sinks) {
      const barrier = this.#recorded.get(sink)
      if (barrier === undefined) return undefined
      if (least === undefined || barrier.id < least.id) least = barrier
    }
    return least?.position
  }

  #find(sink: string, id: number): Passed | undefined {
    return this.#passed.get(sink)!.find(({ barrier }) => barrier.id === id)
  }

  #take(taken: Map<string, Passed>, sink: string, passed: Passed): void {
    taken.set(sink, passed)
    this.#recorded.set(sink, passed.barrier)
    const rest = this.#passed.get(sink)!.filter(({ barrier }) => barrier.id > passed.barrier.id)
    this.#passed.set(sink, rest)
  }
}
