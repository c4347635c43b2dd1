import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { deferred } from '../../../src/core/deferred.js'
import { BatchesAhead } from '../../../src/destination/batchesAhead.js'
import type { ScriptPart, ScriptPipe } from '../../../src/postgres/copy/script.js'
import type { Session } from '../../../src/postgres/session.js'

beforeEach(() => vi.useFakeTimers())
afterEach(() => vi.useRealTimers())

/** Batches are texts in an object; a script is the batch's text. What is sent is answered by hand. */
function ahead() {
  const sent: { readonly parts: readonly ScriptPart[]; readonly answer: ReturnType<typeof deferred<void>> }[] = []
  const pipe = {
    send: (parts: readonly ScriptPart[]) => {
      const answer = deferred()
      answer.promise.catch(() => {})
      sent.push({ parts, answer })
      return answer.promise
    },
  } as unknown as ScriptPipe
  const session = { query: vi.fn(async () => []), destroy: vi.fn() }
  const loaded: string[] = []
  const batches = new BatchesAhead<{ readonly text: string }>({
    session: session as unknown as Session,
    pipe,
    load: ({ text }) => {
      loaded.push(text)
      return []
    },
    scriptOf: ({ text }) => [text],
  })
  return { batches, session, loaded, sent, texts: () => sent.flatMap(({ parts }) => parts) }
}

const [one, two, three] = ['one', 'two', 'three'].map((text) => ({ text })) as [
  { text: string },
  { text: string },
  { text: string },
]

test('the next batch goes out behind the commit of the one before, and its own commit only in its turn', async () => {
  const { batches, sent, texts, loaded } = ahead()
  expect(await batches.take(one)).toEqual({})
  const first = batches.finish(['begin one', 'commit one'])
  batches.tell(two)
  batches.tell(three)
  expect(texts()).toEqual(['begin one', 'commit one', 'two'])
  expect(loaded).toEqual(['two', 'three'])
  for (const { answer } of sent) answer.resolve()
  await first
  expect((await batches.take(two)).written).toBeDefined()
  expect(texts()).toHaveLength(3)
  void batches.finish(['commit two'])
  expect(texts().slice(3)).toEqual(['commit two', 'three'])
})

test('a turn that does not come has it rolled back', async () => {
  const { batches, sent, session } = ahead()
  const first = batches.finish(['one'])
  batches.tell(two)
  for (const { answer } of sent) answer.resolve()
  await first
  await vi.advanceTimersByTimeAsync(499)
  expect(session.query).not.toHaveBeenCalled()
  await vi.advanceTimersByTimeAsync(1)
  expect(session.query).toHaveBeenCalledWith('ROLLBACK')
  expect(batches.isOpen).toBe(false)
})

test('one that waits for a lock of somebody else is not waited for without end: the session is given up', async () => {
  const { batches, sent, session } = ahead()
  const first = batches.finish(['one'])
  batches.tell(two)
  sent[0]!.answer.resolve()
  await first
  session.destroy.mockImplementation(() => sent[1]!.answer.reject(new Error('destroyed')))
  const cleared = batches.clear()
  await vi.advanceTimersByTimeAsync(1999)
  expect(session.destroy).not.toHaveBeenCalled()
  await vi.advanceTimersByTimeAsync(1)
  await cleared
  expect(session.destroy).toHaveBeenCalledTimes(1)
})

test('one that was made ready and went another way does not stay in the way', async () => {
  const { batches, sent, texts } = ahead()
  batches.tell(two)
  batches.tell(three)
  // Two is written by others, without its turn here.
  expect(await batches.take(three)).toEqual({})
  const first = batches.finish(['three'])
  batches.tell(one)
  expect(texts()).toEqual(['three', 'one'])
  for (const { answer } of sent) answer.resolve()
  await first
  await batches.clear()
})

test('what is told before the turn of the one in front is not taken for what was to come before it', async () => {
  const { batches, sent, texts, loaded } = ahead()
  batches.tell(two)
  expect(await batches.take(one)).toEqual({})
  const first = batches.finish(['one', 'commit one'])
  expect(texts()).toEqual(['one', 'commit one', 'two'])
  for (const { answer } of sent) answer.resolve()
  await first
  batches.tell(three)
  expect((await batches.take(two)).written).toBeDefined()
  void batches.finish(['commit two'])
  expect(texts().slice(3)).toEqual(['commit two', 'three'])
  expect(loaded).toEqual(['two', 'three'])
})

test('what is passed by twice is forgotten', async () => {
  const { batches, texts } = ahead()
  batches.tell(three)
  for (const batch of [one, two]) expect(await batches.take(batch)).toEqual({})
  void batches.finish(['two'])
  expect(texts()).toEqual(['two'])
})
