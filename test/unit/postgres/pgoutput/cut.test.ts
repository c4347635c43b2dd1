import { afterAll, beforeAll, expect, test } from 'vitest'
import { MALFORMED_MESSAGE } from '../../../../src/core/errors.js'
import { captureName, readCaptures } from '../../../support/pgoutputFixtures.js'
import { PgoutputRecorder } from '../../../support/pgoutputRecorder.js'

const captures = readCaptures().map((capture) => [captureName(capture), capture] as const)

// most of the time would go into stack traces
const { stackTraceLimit } = Error
beforeAll(() => {
  Error.stackTraceLimit = 0
})
afterAll(() => {
  Error.stackTraceLimit = stackTraceLimit
})

/** What the decoder threw; undefined if it took the message. */
function failure(recorder: PgoutputRecorder, message: Uint8Array): unknown {
  try {
    recorder.decode(message)
    return undefined
  } catch (error) {
    return error
  }
}

test.each(captures)('%s: a message cut at any byte is refused, and leaves no trace', (_, capture) => {
  const recorder = new PgoutputRecorder(capture)
  for (const message of capture.messages) {
    // in the long values of the TOASTed columns one byte is as good as another
    for (let cut = 0; cut < message.length; cut += message.length - cut > 300 ? 100 : 1) {
      const error = failure(recorder, message.subarray(0, cut))
      if (!MALFORMED_MESSAGE.is(error)) expect.unreachable(`cut at ${cut} of ${message.toString('hex')}: ${error}`)
      if (error.details.length !== cut) expect.unreachable(`${error} tells another length than ${cut}`)
    }
    recorder.decode(message) // in order: the decoder is as it was
  }
})

test.each(captures)('%s: a message with bytes behind its end is refused', (_, capture) => {
  const recorder = new PgoutputRecorder(capture)
  const behind = ['\0', 'N', 'n', '\0\0\0\0', 't\0\0\0\0'].map((bytes) => Buffer.from(bytes, 'latin1'))
  for (const message of capture.messages) {
    for (const bytes of [...behind, message]) {
      const error = failure(recorder, Buffer.concat([message, bytes]))
      if (!MALFORMED_MESSAGE.is(error)) expect.unreachable(`${message.toString('hex')} + ${bytes}: ${error}`)
    }
    recorder.decode(message)
  }
})
