import { type EncodedRun, slicesOf } from './encodedRun.js'

/** Lines `from` to `to` (not included) of a run. */
export interface Span {
  readonly run: EncodedRun
  readonly from: number
  readonly to: number
}

/** What goes into one request, in order. */
export class Parcel {
  readonly spans: readonly Span[]
  readonly count: number
  readonly bytes: number

  constructor(spans: readonly Span[]) {
    this.spans = spans
    let [count, bytes] = [0, 0]
    for (const span of spans) {
      count += span.to - span.from
      bytes += endOf(span) - startOf(span)
    }
    this.count = count
    this.bytes = bytes
  }

  /** The first half, and the rest. */
  halves(): readonly [Parcel, Parcel] {
    const half = this.count >> 1
    const [first, second]: [Span[], Span[]] = [[], []]
    let before = 0
    for (const { run, from, to } of this.spans) {
      const cut = Math.min(to, Math.max(from, from + half - before))
      if (cut > from) first.push({ run, from, to: cut })
      if (to > cut) second.push({ run, from: cut, to })
      before += to - from
    }
    return [new Parcel(first), new Parcel(second)]
  }

  /** Of each line the id of its record; of a record's second line that is told. */
  ids(): string[] {
    return this.spans.flatMap(({ run, from, to }) => {
      return run.records.slice(from, to).map((index, at) => {
        const { id } = run.batch.at(index)!
        return run.records[from + at - 1] === index ? `${id}/create` : id
      })
    })
  }

  /** The bytes of all lines, but for what ends the last one. */
  slices(): Uint8Array[] {
    const slices: Uint8Array[] = []
    for (const span of this.spans) slices.push(...slicesOf(span.run.parts, startOf(span), endOf(span)))
    const last = slices.pop()!
    if (last.length > 1) slices.push(last.subarray(0, last.length - 1))
    return slices
  }
}

function startOf({ run, from }: Span): number {
  return from === 0 ? run.start : run.ends[from - 1]!
}

function endOf({ run, to }: Span): number {
  return run.ends[to - 1]!
}

/** Encoded records that wait for one request after another to take them. */
export class Queue {
  #runs: EncodedRun[] = []
  /** Of the first one's lines, how many were taken. */
  #taken = 0
  count = 0
  bytes = 0
  /** When the first of them came; undefined: it is empty. */
  since: number | undefined
  /** A request of it is under way. */
  busy = false
  timer: NodeJS.Timeout | undefined

  add(run: EncodedRun, now: number): void {
    this.#runs.push(run)
    this.count += run.ends.length
    this.bytes += run.ends.at(-1)! - run.start
    this.since ??= now
  }

  /** The first of them: one, and more as long as they are no more than so many, nor so many bytes. */
  take(most: { readonly count: number; readonly bytes: number }, now: number): Parcel {
    const spans: Span[] = []
    let left = most.count
    let room = most.bytes
    while (left > 0 && this.#runs.length > 0) {
      const run = this.#runs[0]!
      const from = this.#taken
      const begin = from === 0 ? run.start : run.ends[from - 1]!
      let to = from
      while (
        to < run.ends.length &&
        left > 0 &&
        (run.ends[to]! - begin <= room || (spans.length === 0 && to === from))
      ) {
        to++
        left--
      }
      if (to === from) break
      spans.push({ run, from, to })
      room -= run.ends[to - 1]! - begin
      this.#taken = to
      if (to < run.ends.length) break
      this.#runs.shift()
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
    this.#runs = []
    this.#taken = this.count = this.bytes = 0
    this.since = undefined
  }
}
