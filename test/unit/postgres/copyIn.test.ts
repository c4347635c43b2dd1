import { expect, test, vi } from 'vitest'
import { copyIn } from '../../../src/postgres/copy/copyIn.js'
import { COMMAND_COMPLETE, COPY_IN_RESPONSE, ERROR_RESPONSE, READY_FOR_QUERY } from '../../../src/postgres/frames.js'
import type { Session } from '../../../src/postgres/session.js'
import type { TakeoverHandler } from '../../../src/postgres/takeover.js'

/** A session whose socket takes what it is given, and says that it is full after each message. */
function fullSocket() {
  const sent: string[] = []
  let drain: () => void = () => {}
  const takeover = {
    write: (bytes: Buffer) => {
      sent.push(`${String.fromCharCode(bytes[0]!)}${bytes.length - 5}`)
      return false
    },
    drained: () =>
      new Promise<void>((resolve) => {
        drain = resolve
      }),
    release: vi.fn(),
  }
  const takeOver = vi.fn<(handler: TakeoverHandler) => unknown>(() => takeover)
  const handler = () => takeOver.mock.calls[0]![0]
  const settled = () => new Promise((resolve) => setImmediate(resolve))
  return {
    session: { takeOver } as unknown as Session,
    sent,
    takeover,
    lose: (error: unknown) => handler().onFailure(error),
    answer: (tag: number, text: string) => handler().onFrame(tag, Buffer.from(text), 0, text.length),
    drained: async () => {
      drain()
      await settled()
    },
  }
}

const COPY = 'COPY t FROM STDIN'
const PART = Buffer.alloc(300 * 1024)

test('data is sent in pieces, each when there is room', async () => {
  const socket = fullSocket()
  const done = copyIn(socket.session, COPY, [PART, Buffer.from('1\n')])
  const first = `Q${COPY.length + 1}`
  expect(socket.sent).toEqual([first])
  await socket.drained()
  expect(socket.sent).toEqual([first, 'd131072'])
  for (let i = 0; i < 3; i++) await socket.drained()
  expect(socket.sent).toEqual([first, 'd131072', 'd131072', 'd45056', 'd2', 'c0'])
  socket.answer(COPY_IN_RESPONSE, '\0\0\0')
  socket.answer(COMMAND_COMPLETE, 'COPY 1\0')
  socket.answer(READY_FOR_QUERY, 'T')
  await done
  expect(socket.takeover.release).toHaveBeenCalledTimes(1)
})

test('behind an error nothing is sent any more, and the socket is given back when the server is ready', async () => {
  const socket = fullSocket()
  const done = copyIn(socket.session, COPY, [PART]).catch((error) => error)
  await socket.drained()
  socket.answer(ERROR_RESPONSE, 'SERROR\0C22P02\0Mno number\0\0')
  await socket.drained()
  expect(socket.takeover.release).not.toHaveBeenCalled()
  socket.answer(READY_FOR_QUERY, 'E')
  expect((await done).details).toMatchObject({ sqlstate: '22P02', message: 'no number' })
  expect(socket.sent).toHaveLength(2)
  expect(socket.takeover.release).toHaveBeenCalledTimes(1)
})

test('a lost connection ends it, though the socket never drains', async () => {
  const socket = fullSocket()
  const done = copyIn(socket.session, COPY, [PART])
  socket.lose(new Error('lost'))
  await expect(done).rejects.toThrow('lost')
})
