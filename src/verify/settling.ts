/** What one side shows of a row: its hash, or how often it is there; empty when it is not there at all. */
export type RowState = string

export interface SettlingOptions {
  /** How long a difference must stand still to count. */
  readonly settleMs: number
  /** After so long a row that still changes is given up. */
  readonly patienceMs: number
}

/** When both sides were looked at. */
export interface Look {
  readonly begunMs: number
  readonly endedMs: number
}

export type Outcome = 'open' | 'equal' | 'different' | 'unsettled'

interface OpenRow {
  readonly firstMs: number
  /** What the source has shown since the row was first looked at. */
  readonly shown: Set<RowState>
  source: RowState
  target: RowState
  /** Since when both have stood still. */
  sinceMs: number
}

/** A row that changes at every look, for as long as it is looked at, shows no more states than this worth keeping. */
const MOST_STATES = 10_000

/**
 * Rows that looked different, judged by looking again: a copy that is behind is not wrong.
 *
 * - **equal** when the target shows what the source shows, or has shown since the first look: the target was then right
 *   as of that moment. So a row that changes faster than we look comes out right, too.
 * - **different** when both stand still, unlike, for `settleMs`.
 * - **unsettled** when neither came true for `patienceMs`: nobody can tell.
 */
export class Settling {
  readonly #options: SettlingOptions
  readonly #open = new Map<string, OpenRow>()

  constructor(options: SettlingOptions) {
    this.#options = options
  }

  /** A row that was seen to differ. */
  add(id: string, source: RowState, target: RowState, { endedMs }: Look): void {
    this.#open.set(id, { firstMs: endedMs, shown: new Set([source]), source, target, sinceMs: endedMs })
  }

  get open(): readonly string[] {
    return [...this.#open.keys()]
  }

  /** How many are open. */
  get size(): number {
    return this.#open.size
  }

  /** What both sides show of an open row now; whatever is decided is open no more. */
  judge(id: string, source: RowState, target: RowState, look: Look): Outcome {
    const outcome = this.#judge(this.#open.get(id)!, source, target, look)
    if (outcome !== 'open') this.#open.delete(id)
    return outcome
  }

  #judge(row: OpenRow, source: RowState, target: RowState, { begunMs, endedMs }: Look): Outcome {
    if (row.shown.size < MOST_STATES) row.shown.add(source)
    if (source === target || row.shown.has(target)) return 'equal'
    if (row.source !== source || row.target !== target) {
      row.source = source
      row.target = target
      row.sinceMs = endedMs
    } else if (begunMs - row.sinceMs >= this.#options.settleMs) return 'different'
    return begunMs - row.firstMs >= this.#options.patienceMs ? 'unsettled' : 'open'
  }
}

/** The wait before the next look: what looking costs should not be felt, and no decision is to come much too late. */
export function lookAgainMs(lastLookMs: number, settleMs: number): number {
  return Math.max(20, Math.min(2 * lastLookMs, Math.max(1000, settleMs / 4)))
}
