import type { SourceEvent } from '../source/events.js'
import { tell } from './tell.js'

/**
 * Tells on stderr what a run waits for, what it lost and what it began; `streaming` hears when it streams. Resolves when
 * the source has ended.
 */
export async function reportEvents(events: AsyncIterable<SourceEvent>, streaming: () => void): Promise<void> {
  for await (const event of events) {
    if (event.type === 'streaming') streaming()
    const line = describe(event)
    if (line !== undefined) tell(line)
  }
}

function describe(event: SourceEvent): string | undefined {
  switch (event.type) {
    case 'waiting-for-transactions':
      return `waiting for running transactions since ${event.seconds} s: ${event.holders.join(', ')}`
    case 'waiting-for-lock':
      return `waiting for a lock on the tables since ${event.seconds} s: ${event.holders.join(', ')}`
    case 'slot-waiting':
      return `slot ${event.slot} is still in use, waiting for ${event.seconds} s`
    case 'snapshot-started':
      return `snapshot of ${plural(event.tables, 'table')}, about ${event.estimatedRows} rows`
    case 'snapshot-progress':
      return `snapshot of ${event.table}: ${event.rows} of about ${Math.max(event.rows, event.estimatedRows)} rows`
    case 'snapshot-finished':
      return `snapshot finished: ${event.rows} rows in ${event.seconds.toFixed(1)} s`
    case 'lock-waited-for':
      return `the snapshot keeps pid ${event.pid} (${event.application ?? 'no name'}) from its ${event.mode} on ${event.table}`
    case 'streaming':
      return `streaming from ${event.lsn} (slot ${event.slot})`
    case 'reconnecting':
      return `${event.cause.message}; trying again in ${(event.delayMs / 1000).toFixed(1)} s`
    case 'table-dropped':
      return `warning: table ${event.table} was dropped; the others go on`
    case 'warning':
      return `warning: ${event.code}: ${event.message}. ${event.hint}`
    default:
      return undefined
  }
}

function plural(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`
}
