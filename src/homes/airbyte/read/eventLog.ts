import type { SourceEvent } from '../../../source/events.js'
import type { MessageOutput } from '../protocol/messageOutput.js'
import type { LogLevel } from '../protocol/messages.js'

/** How a source's events are put into words: that is the command line's. */
export interface EventWords {
  readonly describe: (event: SourceEvent) => string
  readonly levels: Readonly<Record<SourceEvent['type'], 'debug' | 'info' | 'warn' | 'error'>>
}

const LEVELS: Readonly<Record<EventWords['levels']['connected'], LogLevel>> = {
  debug: 'DEBUG',
  info: 'INFO',
  warn: 'WARN',
  error: 'ERROR',
}
/** A platform draws its own progress. */
const OFTEN: readonly SourceEvent['type'][] = ['stream-progress', 'snapshot-progress']

/** An event as a LOG message. */
export function logEvent(event: SourceEvent, { describe, levels }: EventWords, output: MessageOutput): void {
  // Nothing is ever acknowledged within a run.
  if (event.type === 'stalled' && event.waitingFor === 'acknowledgement') return
  output.log(OFTEN.includes(event.type) ? 'DEBUG' : LEVELS[levels[event.type]], describe(event))
}
