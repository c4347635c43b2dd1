import type { DeadLetterRow } from '../../destination/deadLetters.js'
import type { SinkMark } from '../sink.js'

/** Where dead letters are kept. Like a sink: what was not recorded is taken back by the next `open`. */
export interface LetterStore {
  open(mark: SinkMark | undefined): Promise<void>
  write(letters: readonly DeadLetterRow[]): Promise<void>
  /** All that was written is durable when it resolves. */
  flush(): Promise<SinkMark>
  close(): Promise<void>
}
