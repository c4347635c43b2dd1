import { type EncodedRun, slicesOf } from './encodedRun.js'
import { idsOf } from './recordIds.js'

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
      const ids = idsOf(run.batch, run.records.slice(from, to))
      for (let at = from; at < to; at++) if (run.records[at - 1] === run.records[at]) ids[at - from] += '/create'
      return ids
    })
  }

  /** It is delivered, and nobody asks for its lines any more. */
  release(): void {
    for (const { run, from, to } of this.spans) run.piece.release(to - from)
  }

  /** Somebody may read its lines for ever. */
  leave(): void {
    for (const { run } of this.spans) run.piece.leave()
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
