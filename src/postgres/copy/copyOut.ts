import { deferred } from '../../core/deferred.js'
import {
  COMMAND_COMPLETE,
  COPY_DATA,
  COPY_DONE,
  COPY_OUT_RESPONSE,
  ERROR_RESPONSE,
  queryFrame,
  READY_FOR_QUERY,
  type TakeFrames,
} from '../frames.js'
import { readServerMessage, serverError } from '../serverError.js'
import type { Session } from '../session.js'
import type { Takeover } from '../takeover.js'
import { endedEarly, passOver } from './asides.js'

export interface CopyHandler {
  /** The payload of one CopyData message: one row, its newline included. The bytes may be kept and changed, the head before it, too. */
  row(bytes: Buffer, start: number, end: number): void
  /** Rows that come as `CopyData`, several at a time; what it leaves comes as a `row`. */
  readonly takeRows?: TakeFrames | undefined
  /** A chunk from the socket is used up. */
  chunkEnd?(): void
}

/** `COPY … TO STDOUT` on the raw socket of an ordinary session, which takes queries again afterwards. */
export class CopyOut {
  readonly #takeover: Takeover
  readonly #done = deferred()
  /** No row comes any more, only the end. */
  #over = false
  #failure: unknown

  /** `sql` is one COPY … TO STDOUT statement in text format. */
  constructor(session: Session, sql: string, handler: CopyHandler) {
    this.#done.promise.catch(() => {})
    this.#takeover = session.takeOver({
      onFrame: (tag, bytes, start, end) => {
        if (tag === COPY_DATA) handler.row(bytes, start, end)
        else this.#onOther(tag, bytes, start, end)
      },
      takeFrames: handler.takeRows,
      onChunkEnd: () => handler.chunkEnd?.(),
      onFailure: (error) => this.#done.reject(this.#failure ?? error),
    })
    this.#takeover.write(queryFrame(sql))
  }

  /** Resolves when all rows have been handed on; rejects with the server's error or the connection's. */
  get done(): Promise<void> {
    return this.#done.promise
  }

  /** Until `resume`. Without effect when all rows have come: an end or an error that is on its way is told at once. */
  pause(): void {
    if (!this.#over) this.#takeover.pause()
  }

  resume(): void {
    this.#takeover.resume()
  }

  #onOther(tag: number, bytes: Buffer, start: number, end: number): void {
    switch (tag) {
      case ERROR_RESPONSE:
        this.#failure ??= serverError(readServerMessage(bytes, start, end))
        this.#over = true
        break
      case COPY_DONE:
        this.#over = true
        break
      case READY_FOR_QUERY:
        // The answer to nothing we asked: no rows are not "all rows".
        if (!this.#over) throw endedEarly()
        this.#takeover.release()
        if (this.#failure === undefined) this.#done.resolve()
        else this.#done.reject(this.#failure)
        break
      case COPY_OUT_RESPONSE:
      case COMMAND_COMPLETE:
        break
      default:
        passOver(tag)
    }
  }
}
