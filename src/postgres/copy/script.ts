import { deferred } from '../../core/deferred.js'
import {
  COMMAND_COMPLETE,
  COPY_DATA,
  COPY_IN_RESPONSE,
  ERROR_RESPONSE,
  frame,
  NOTICE_RESPONSE,
  NOTIFICATION_RESPONSE,
  PARAMETER_STATUS,
  queryFrame,
  READY_FOR_QUERY,
} from '../frames.js'
import { readServerMessage, serverError } from '../serverError.js'
import type { Session } from '../session.js'

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
export async function runScript(session: Session, parts: readonly ScriptPart[]): Promise<void> {
  const done = deferred()
  done.promise.catch(() => {})
  let failure: unknown
  let unanswered = parts.length
  const takeover = session.takeOver({
    onFrame: (tag, bytes, start, end) => {
      if (tag === ERROR_RESPONSE) failure ??= serverError(readServerMessage(bytes, start, end))
      else if (tag === READY_FOR_QUERY) {
        if (--unanswered > 0) return
        takeover.release()
        if (failure === undefined) done.resolve()
        else done.reject(failure)
      } else if (!ANSWERS.has(tag) && !ASIDES.has(tag)) {
        throw serverError({ sqlstate: '08P01', message: `message 0x${tag.toString(16)} in the middle of a script` })
      }
    },
    onFailure: (error) => done.reject(failure ?? error),
  })
  // All of it is in memory anyway: the socket only keeps references to what has not gone out yet.
  for (const part of parts) {
    if (typeof part === 'string') takeover.write(queryFrame(part))
    else {
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
  }
  await done.promise
}

function copyDataHeader(length: number): Buffer {
  const header = Buffer.allocUnsafe(5)
  header[0] = COPY_DATA
  header.writeInt32BE(4 + length, 1)
  return header
}
