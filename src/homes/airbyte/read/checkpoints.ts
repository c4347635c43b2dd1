import type { StreamPosition } from '../../../source/position.js'
import type { ConfiguredStream } from './configuredCatalog.js'
import type { MatchedStream } from './matchStreams.js'
import type { Refresh } from './refreshState.js'
import { modeOf, type StatedStream, type StateType, stateLines } from './stateMessages.js'
import type { StreamLines } from './streamLines.js'

/** So many records, and a STATE is due whatever the time. */
const RECORDS = 10_000
/** But not more often than so. */
const LEAST_MS = 200
/** In the middle of a transaction that is read for so long there is a STATE, too. */
const WITHIN_TRANSACTION_MS = 30_000

export interface CheckpointOptions {
  readonly type: StateType
  readonly everyMs: number
  readonly streams: readonly { readonly matched: MatchedStream; readonly lines: StreamLines }[]
  /** What the client has: the position of each STATE before the first that is told of. */
  readonly from: StreamPosition | undefined
}

/** When a STATE is due, and of which streams. */
export class Checkpoints {
  readonly #options: CheckpointOptions
  readonly #modes = new Map<number, string>()
  #at = performance.now()
  #records = 0
  /** What full refreshes have read, by number of the stream. */
  #refreshes: ReadonlyMap<number, Refresh> = new Map()
  /** The last position that all incremental streams have. */
  #position: StreamPosition | undefined

  constructor(options: CheckpointOptions) {
    this.#options = options
  }

  /** So much was read, and written. */
  refreshed(refreshes: ReadonlyMap<number, Refresh>): void {
    this.#refreshes = refreshes
  }

  count(records: number): void {
    this.#records += records
  }

  get due(): boolean {
    const elapsed = performance.now() - this.#at
    return elapsed >= this.#options.everyMs || (this.#records >= RECORDS && elapsed >= LEAST_MS)
  }

  /** The STATE that is due is on its way: no other is, for the same reason. */
  claim(): void {
    this.#at = performance.now()
    this.#records = 0
  }

  /** Nothing was stated yet. */
  get none(): boolean {
    return this.#position === undefined
  }

  get overdue(): boolean {
    return performance.now() - this.#at >= WITHIN_TRANSACTION_MS
  }

  /**
   * The STATE lines of a place. Of one for each stream those are written of which there is news, or all of a mode; the
   * others tell of all streams always.
   */
  lines(
    position: StreamPosition | undefined,
    which: 'changed' | 'refreshed' | ConfiguredStream['mode'] = 'changed',
  ): string {
    this.claim()
    this.#position = position ?? this.#position
    const { type, streams } = this.#options
    if (position !== undefined) this.#lookAtModes(position)
    const wanted = streams.filter(({ matched: { stream }, lines }) => {
      if (type !== 'stream') return true
      if (which === 'changed') return lines.changed && stream.mode === 'incremental'
      if (which === 'refreshed') return lines.changed && this.#refreshes.has(lines.number)
      return stream.mode === which
    })
    const stated = wanted.map(({ matched: { stream, facts }, lines }): StatedStream => {
      const { records } = lines
      lines.records = 0
      lines.changed = false
      const oid = stream.mode === 'incremental' ? facts.table.oid : undefined
      return { descriptor: stream.descriptor, oid, records, refresh: this.#refreshes.get(lines.number) }
    })
    return stateLines(type, this.#position ?? this.#options.from, stated)
  }

  /** A table that is read, or has been, has news also where it had no row. */
  #lookAtModes(position: StreamPosition): void {
    for (const { matched, lines } of this.#options.streams) {
      if (matched.stream.mode !== 'incremental') continue
      const { oid } = matched.facts.table
      const now = modeOf(position, oid)
      if (now === 'scanning' || this.#modes.get(oid) !== now) lines.changed = true
      this.#modes.set(oid, now)
    }
  }
}
