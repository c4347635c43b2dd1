import { deferred } from '../../core/deferred.js'
import { COMMAND_COMPLETE, COPY_IN_RESPONSE, ERROR_RESPONSE, frame, queryFrame, READY_FOR_QUERY } from '../frames.js'
import { readServerMessage, serverError } from '../serverError.js'
import type { Session } from '../session.js'
import { endedEarly, passOver } from './asides.js'

/** Rows need not end with a message; the server holds one whole in memory. */
const MESSAGE_BYTES = 128 * 1024
const COPY_DATA_HEADER = 5

/**
 * `COPY … FROM STDIN` in text format on the raw socket of a session, which takes queries again afterwards. Nothing is
 * waited for before the data: a server that refuses the statement drops what comes behind it. Rejects with the server's
 * error, or the connection's.
 */
export async function copyIn(session: Session, sql: string, parts: readonly Uint8Array[]): Promise<void> {
  const done = deferred()
  done.promise.catch(() => {})
  let failure: unknown
  let over = false
  let completed = false
  const takeover = session.takeOver({
    onFrame: (tag, bytes, start, end) => {
      switch (tag) {
        case ERROR_RESPONSE:
          failure ??= serverError(readServerMessage(bytes, start, end))
          over = true
          break
        case COMMAND_COMPLETE:
          completed = true
          break
        case READY_FOR_QUERY:
          over = true
          if (failure === undefined && !completed) throw endedEarly()
          takeover.release()
          if (failure === undefined) done.resolve()
          else done.reject(failure)
          break
        case COPY_IN_RESPONSE:
          break
        default:
          passOver(tag)
      }
    },
    onFailure: (error) => {
      over = true
      done.reject(failure ?? error)
    },
  })
  let room = takeover.write(queryFrame(sql))
  for (const part of parts) {
    for (let p = 0; p < part.length && !over; p += MESSAGE_BYTES) {
      // A lost connection never drains.
      if (!room) await Promise.race([takeover.drained(), done.promise.catch(() => {})])
      if (!over) room = takeover.write(copyData(part.subarray(p, p + MESSAGE_BYTES)))
    }
  }
  // Behind an error it would be dropped, like the data.
  if (!over) takeover.write(COPY_DONE_FRAME)
  await done.promise
}

const COPY_DONE_FRAME = frame('c')

function copyData(payload: Uint8Array): Buffer {
  const message = Buffer.allocUnsafeSlow(COPY_DATA_HEADER + payload.length)
  message[0] = 0x64 // d
  message.writeInt32BE(4 + payload.length, 1)
  message.set(payload, COPY_DATA_HEADER)
  return message
}
