import { expect, test, vi } from 'vitest'
import { CopyOut } from '../../../src/postgres/copy/copyOut.js'
import {
  COMMAND_COMPLETE,
  COPY_DATA,
  COPY_DONE,
  COPY_OUT_RESPONSE,
  ERROR_RESPONSE,
  READY_FOR_QUERY,
} from '../../../src/postgres/frames.js'
import type { Session } from '../../../src/postgres/session.js'
import type { TakeoverHandler } from '../../../src/postgres/takeover.js'

// On a loaded machine the last messages come in a chunk of their own. A consumer that stands still must not keep the
// server in the middle of them: it holds the locks, and DROP DATABASE of any database waits for it.
test.each([
  ['its end', COPY_DONE, 'CSELECT 1\0', undefined],
  ['an error', ERROR_RESPONSE, 'SERROR\0C22012\0Mdivision by zero\0\0', '22012'],
])('once %s is announced a COPY is not paused any more', async (_, tag, text, sqlstate) => {
  const takeover = { write: vi.fn(), pause: vi.fn(), resume: vi.fn(), release: vi.fn() }
  const takeOver = vi.fn<(handler: TakeoverHandler) => unknown>(() => takeover)
  const session = { takeOver } as unknown as Session
  const copy = new CopyOut(session, 'COPY t TO STDOUT', { row: () => {}, chunkEnd: () => copy.pause() })
  const outcome = copy.done.then(
    () => undefined,
    (error) => error.details.sqlstate,
  )
  const handler = takeOver.mock.calls[0]![0]
  const chunk = (...messages: readonly (readonly [tag: number, text: string])[]) => {
    for (const [tag, text] of messages) handler.onFrame(tag, Buffer.from(text), 0, text.length)
    handler.onChunkEnd?.(1)
  }
  chunk([COPY_OUT_RESPONSE, '\0\0\0'], [COPY_DATA, '1\n'])
  expect(takeover.pause).toHaveBeenCalledTimes(1)
  chunk([tag, text])
  chunk([COMMAND_COMPLETE, 'COPY 1\0'])
  expect(takeover.pause).toHaveBeenCalledTimes(1)
  chunk([READY_FOR_QUERY, 'I'])
  expect(await outcome).toBe(sqlstate)
  expect(takeover.release).toHaveBeenCalledTimes(1)
})
