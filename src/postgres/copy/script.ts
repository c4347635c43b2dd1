import { type Deferred, deferred } from '../../core/deferred.js'
import {
  COMMAND_COMPLETE,
  COPY_DATA,
  COPY_IN_RESPONSE,
  ERROR_RESPONSE,
  frame,
  NOTICE_RESPONSE,
  NOTIFICATION_RESPONSE,
  type OnFrame,
  PARAMETER_STATUS,
  queryFrame,
  READY_FOR_QUERY,
} from '../frames.js'
import { readServerMessage, serverError } from '../serverError.js'
import type { Session } from '../session.js'
import type { Takeover } from '../takeover.js'

/** Statements; or a `COPY … FROM STDIN` in text format and its rows, which must not change until the script is over. */
export type ScriptPart = string | { readonly copy: string; readonly rows: readonly Uint8Array[] }

/** What a statement may answer besides: RowDescription, DataRow, EmptyQueryResponse, and so on. Nobody wants it. */
const ANSWERS = new Set([0x54, 0x44, 0x49, COMMAND_COMPLETE, COPY_IN_RESPONSE])
const ASIDES = new Set([NOTICE_RESPONSE, PARAMETER_STATUS, NOTIFICATION_RESPONSE])
/** Rows need not end with a message; the server holds one whole in memory. */
const MESSAGE_BYTES = 128 * 1024
const COPY_DONE_FRAME = frame('c')

/**
 * Sends all parts one behind the other, without waiting for what the server says of one before the next: it never has
 * nothing to do meanwhile. The first part should begin a transaction: behind an error the server then refuses the others, and what
 * comes for a COPY that it has refused it drops. Rejects with the first error when the server is ready again, or with the
 * connection's.
 */
export function runScript(session: Session, parts: readonly ScriptPart[]): Promise<void> {
  return new ScriptPipe(session).send(parts)
}

/**
 * Scripts of one session that are sent one behind the other, the next while the server still works at those before. What is asked of
 * the session otherwise waits until {@link ScriptPipe.isBusy} is false.
 */
export class ScriptPipe {
  readonly #session: Session
  /** In order: those that wait for answers, and those of which something was refused. */
  readonly #waiting: Sent[] = []
  readonly #refused: Sent[] = []
  #takeover: Takeover | undefined

  constructor(session: Session) {
    this.#session = session
  }

  /** The server has not answered everything yet. */
  get isBusy(): boolean {
    return this.#takeover !== undefined
  }

  /**
   * Resolves when the server has done all parts; where it refused one, rejects with its first error, when the server has
   * answered what was sent behind them, too: the session can be asked again then.
   */
  send(parts: readonly ScriptPart[]): Promise<void> {
    const sent = { unanswered: parts.length, failure: undefined, done: deferred() }
    sent.done.promise.catch(() => {})
    this.#waiting.push(sent)
    this.#takeover ??= this.#session.takeOver({ onFrame: this.#onFrame, onFailure: this.#onFailure })
    // All of it is in memory anyway: the socket only keeps references to what has not gone out yet.
    for (const part of parts) writePart(this.#takeover, part)
    return sent.done.promise
  }

  readonly #onFrame: OnFrame = (tag, bytes, start, end) => {
    const sent = this.#waiting[0]!
    if (tag === ERROR_RESPONSE) sent.failure ??= serverError(readServerMessage(bytes, start, end))
    else if (tag === READY_FOR_QUERY) {
      if (--sent.unanswered > 0) return
      this.#waiting.shift()
      if (sent.failure === undefined) sent.done.resolve()
      else this.#refused.push(sent)
      if (this.#waiting.length === 0) this.#allAnswered()
    } else if (!ANSWERS.has(tag) && !ASIDES.has(tag)) {
      throw serverError({ sqlstate: '08P01', message: `message 0x${tag.toString(16)} in the middle of a script` })
    }
  }

  #allAnswered(): void {
    const takeover = this.#takeover!
    this.#takeover = undefined
    takeover.release()
    for (const { failure, done } of this.#refused.splice(0)) done.reject(failure)
  }

  readonly #onFailure = (error: unknown): void => {
    this.#takeover = undefined
    const left = [...this.#refused.splice(0), ...this.#waiting.splice(0)]
    for (const { failure, done } of left) done.reject(failure ?? error)
  }
}

interface Sent {
  unanswered: number
  failure: unknown
  readonly done: Deferred<void>
}

function writePart(takeover: Takeover, part: ScriptPart): void {
  if (typeof part === 'string') {
    takeover.write(queryFrame(part))
    return
  }
  takeover.write(queryFrame(part.copy))
  for (const rows of part.rows) {
    for (let p = 0; p < rows.length; p += MESSAGE_BYTES) {
      const payload = rows.subarray(p, p + MESSAGE_BYTES)
      takeover.write(copyDataHeader(payload.length))
      takeover.write(payload)
    }
  }
  takeover.write(COPY_DONE_FRAME)
}

function copyDataHeader(length: number): Buffer {
  const header = Buffer.allocUnsafe(5)
  header[0] = COPY_DATA
  header.writeInt32BE(4 + length, 1)
  return header
}
