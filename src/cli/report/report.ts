import { RetentionNews } from '../../source/eventNews.js'
import type { SourceEvent } from '../../source/events.js'
import { describe, LEVELS } from '../../source/eventText.js'
import { type Log, log } from '../log.js'
import { ProgressBars } from './progressBars.js'

/** Between two lines about the progress of one thing, where nobody watches it being drawn. */
const PROGRESS_LINE_MS = 5000

export interface ReportOptions {
  /** Draw progress where it can be redrawn, instead of lines. */
  readonly drawn: boolean
  /** Default: the process's. */
  readonly log?: Log
  /** What is not told, since whoever reads this knows it. */
  readonly passesOver?: (event: SourceEvent) => boolean
  /** Hears when the source streams. */
  readonly onStreaming?: () => void
  /** Hears that much will come at once, when a transaction commits. */
  readonly onLargeTransaction?: () => void
}

/** Tells on stderr what a run does, waits for and lost. Resolves when the source has ended. */
export async function reportEvents(events: AsyncIterable<SourceEvent>, options: ReportOptions): Promise<void> {
  const { log: say = log, passesOver = () => false } = options
  const bars = options.drawn ? new ProgressBars() : undefined
  const lines = new ProgressLines()
  const retention = new RetentionNews()
  try {
    for await (const event of events) {
      if (event.type === 'streaming' || event.type === 'polling') options.onStreaming?.()
      if (event.type === 'large-transaction') options.onLargeTransaction?.()
      bars?.show(event)
      if (!retention.isNews(event) || passesOver(event)) continue
      if (bars === undefined ? lines.due(event) : !ProgressBars.draws(event)) tell(event, say)
    }
  } finally {
    bars?.stop()
  }
}

function tell(event: SourceEvent, say: Log): void {
  const { type, ...facts } = event
  const cause = event.type === 'reconnecting' && { cause: { code: event.cause.code, message: event.cause.message } }
  say(LEVELS[type], describe(event), { event: type, ...facts, ...cause })
}

/** Progress by lines: of each thing one now and then, and none while nothing moves. */
class ProgressLines {
  readonly #told = new Map<string, { readonly at: number; readonly amount: number }>()

  due(event: SourceEvent): boolean {
    if (event.type === 'snapshot-progress') return this.#due(event.table, event.rows)
    if (event.type === 'large-transaction') return this.#due(`transaction ${event.xid}`, event.bytes)
    if (event.type === 'stream-progress') return this.#due('', event.records)
    return true
  }

  #due(name: string, amount: number): boolean {
    const now = performance.now()
    const last = this.#told.get(name)
    if (last !== undefined && (now - last.at < PROGRESS_LINE_MS || last.amount === amount)) return false
    this.#told.set(name, { at: now, amount })
    return name !== '' || amount > 0
  }
}
