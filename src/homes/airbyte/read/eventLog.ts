import { isProgress, RetentionNews } from '../../../source/eventNews.js'
import type { SourceEvent } from '../../../source/events.js'
import { describe, LEVELS } from '../../../source/eventText.js'
import type { MessageOutput } from '../protocol/messageOutput.js'
import type { LogLevel } from '../protocol/messages.js'
import { inConfiguration } from '../protocol/wording.js'

const LOG_LEVELS: Readonly<Record<(typeof LEVELS)['connected'], LogLevel>> = {
  debug: 'DEBUG',
  info: 'INFO',
  warn: 'WARN',
  error: 'ERROR',
}

/** A source's events as LOG messages. */
export class EventLog {
  readonly #output: Pick<MessageOutput, 'log'>
  readonly #retention = new RetentionNews()

  constructor(output: Pick<MessageOutput, 'log'>) {
    this.#output = output
  }

  tell(event: SourceEvent): void {
    // Nothing is ever acknowledged within a run.
    if (event.type === 'stalled' && event.waitingFor === 'acknowledgement') return
    if (!this.#retention.isNews(event)) return
    // A platform draws its own progress.
    this.#output.log(isProgress(event) ? 'DEBUG' : LOG_LEVELS[LEVELS[event.type]], inConfiguration(describe(event)))
  }
}
