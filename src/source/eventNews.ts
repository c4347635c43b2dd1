import type { SourceEvent } from './events.js'
import type { WalRetention } from './walRetention.js'

const PROGRESS: readonly SourceEvent['type'][] = ['stream-progress', 'snapshot-progress', 'large-transaction']

/** Whether an event only tells how far something is, as others of its kind do every second or so. */
export function isProgress({ type }: SourceEvent): boolean {
  return PROGRESS.includes(type)
}

/** How much WAL is held is news when it gets near a limit, and when it is far from it again. */
export class RetentionNews {
  #level: WalRetention['level'] = 'ok'

  /** Of an event that is about something else: always. */
  isNews(event: SourceEvent): boolean {
    if (event.type !== 'wal-retention') return true
    const isNews = event.level !== this.#level
    this.#level = event.level
    return isNews
  }
}
