import { expect, test, vi } from 'vitest'
import { runScript, ScriptPipe } from '../../../src/postgres/copy/script.js'
import { COMMAND_COMPLETE, COPY_IN_RESPONSE, ERROR_RESPONSE, READY_FOR_QUERY } from '../../../src/postgres/frames.js'
import type { Session } from '../../../src/postgres/session.js'
import type { TakeoverHandler } from '../../../src/postgres/takeover.js'

function socket() {
  const sent: string[] = []
  const takeover = { write: (bytes: Buffer) => sent.push(bytes.toString('latin1')), release: vi.fn() }
  const takeOver = vi.fn<(handler: TakeoverHandler) => unknown>(() => takeover)
  const handler = () => takeOver.mock.calls[0]![0]
  return {
    session: { takeOver } as unknown as Session,
    sent,
    release: takeover.release,
    lose: (error: unknown) => handler().onFailure(error),
    answer: (tag: number, text: string) => handler().onFrame(tag, Buffer.from(text), 0, text.length),
  }
}

const PARTS = ['BEGIN', { copy: 'COPY t FROM STDIN', rows: [Buffer.from('1\n'), Buffer.alloc(200_000, 'x')] }, 'COMMIT']

test('everything goes out at once, and is over when each part was answered', async () => {
  const { session, sent, answer, release } = socket()
  const done = runScript(session, PARTS)
  const header = (length: number) =>
    `d${String.fromCharCode(0, (4 + length) >> 16, ((4 + length) >> 8) & 255, (4 + length) & 255)}`
  const lengths = [2, 131_072, 200_000 - 131_072]
  expect(sent.filter((one) => one[0] === 'd')).toEqual(lengths.map(header))
  expect(sent.filter((one) => one[0] === 'Q').map((one) => one.slice(5, -1))).toEqual([
    'BEGIN',
    'COPY t FROM STDIN',
    'COMMIT',
  ])
  expect(sent.at(-2)![0]).toBe('c')
  for (const tag of [COMMAND_COMPLETE, READY_FOR_QUERY, COPY_IN_RESPONSE, COMMAND_COMPLETE, READY_FOR_QUERY])
    answer(tag, 'T')
  expect(release).not.toHaveBeenCalled()
  answer(COMMAND_COMPLETE, 'COMMIT\0')
  answer(READY_FOR_QUERY, 'I')
  await done
  expect(release).toHaveBeenCalledTimes(1)
})

test('the first error is told, when the server has answered the rest', async () => {
  const { session, answer, release } = socket()
  const done = runScript(session, PARTS).catch((error) => error)
  answer(ERROR_RESPONSE, 'SERROR\0C22012\0Mfirst\0\0')
  answer(READY_FOR_QUERY, 'E')
  answer(ERROR_RESPONSE, 'SERROR\0C25P02\0Msecond\0\0')
  answer(READY_FOR_QUERY, 'E')
  expect(release).not.toHaveBeenCalled()
  answer(ERROR_RESPONSE, 'SERROR\0C25P02\0Mthird\0\0')
  answer(READY_FOR_QUERY, 'E')
  expect((await done).details).toMatchObject({ sqlstate: '22012', message: 'first' })
  expect(release).toHaveBeenCalledTimes(1)
})

test('a lost connection ends it', async () => {
  const { session, lose } = socket()
  const done = runScript(session, PARTS)
  lose(new Error('lost'))
  await expect(done).rejects.toThrow('lost')
})

test('a script is sent while another is under way, and each has its own answers', async () => {
  const { session, sent, answer, release } = socket()
  const pipe = new ScriptPipe(session)
  const first = pipe.send(['BEGIN', 'COMMIT'])
  const second = pipe.send(['BEGIN'])
  expect(sent).toHaveLength(3)
  answer(READY_FOR_QUERY, 'T')
  answer(READY_FOR_QUERY, 'I')
  await first
  expect([pipe.isBusy, release.mock.calls.length]).toEqual([true, 0])
  answer(READY_FOR_QUERY, 'T')
  await second
  expect([pipe.isBusy, release.mock.calls.length]).toEqual([false, 1])
})

test('what was refused is told when the server has answered what was sent behind it', async () => {
  const { session, answer, release } = socket()
  const pipe = new ScriptPipe(session)
  const told: unknown[] = []
  const first = pipe.send(['BEGIN', 'COMMIT']).catch((error) => told.push(error.details.message))
  const second = pipe.send(['BEGIN']).catch((error) => told.push(error.details.message))
  answer(READY_FOR_QUERY, 'T')
  answer(ERROR_RESPONSE, 'SERROR\0C22012\0Mfirst\0\0')
  answer(READY_FOR_QUERY, 'E')
  await new Promise((resolve) => setImmediate(resolve))
  expect(told).toEqual([])
  answer(ERROR_RESPONSE, 'SERROR\0C25P02\0Msecond\0\0')
  answer(READY_FOR_QUERY, 'E')
  await Promise.all([first, second])
  expect([told, release.mock.calls.length]).toEqual([['first', 'second'], 1])
})
