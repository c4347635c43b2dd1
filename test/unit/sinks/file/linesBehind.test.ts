import { expect, test, vi } from 'vitest'
import { type Deferred, deferred } from '../../../../src/core/deferred.js'
import { LinesBehind } from '../../../../src/sinks/file/linesBehind.js'

const ENOUGH = 128 * 1024

/** What was given to be written, each write until it is let go. */
function held() {
  const writes: { readonly text: string; readonly done: Deferred<void> }[] = []
  const behind = new LinesBehind(async (lines) => {
    const done = deferred()
    writes.push({ text: Buffer.concat(lines).toString(), done })
    await done.promise
  })
  return { behind, writes, texts: () => writes.map(({ text }) => text[0]!.repeat(text.length)) }
}

test('much is written while more is made, and no two writes are under way', async () => {
  const { behind, writes, texts } = held()
  for (const letter of ['a', 'b']) behind.lines.writeAscii(letter.repeat(ENOUGH / 2))
  await behind.goOn()
  expect(writes.map(({ text }) => text)).toEqual([`${'a'.repeat(ENOUGH / 2)}${'b'.repeat(ENOUGH / 2)}`])
  behind.lines.writeAscii('c'.repeat(ENOUGH))
  const waiting = behind.goOn()
  await new Promise(setImmediate)
  expect(writes).toHaveLength(1)
  writes[0]!.done.resolve()
  await waiting
  behind.lines.writeAscii('d')
  const settled = behind.settled()
  writes[1]!.done.resolve()
  await vi.waitFor(() => expect(writes).toHaveLength(3))
  writes[2]!.done.resolve()
  await settled
  expect(texts().slice(1)).toEqual(['c'.repeat(ENOUGH), 'd'])
  await behind.settled()
  expect(writes).toHaveLength(3)
})

test('a few lines are written after a while, behind those that are under way', async () => {
  const { behind, writes, texts } = held()
  behind.lines.writeAscii('a')
  await behind.goOn()
  behind.lines.writeAscii('a')
  await behind.goOn()
  expect(writes).toEqual([])
  await vi.waitFor(() => expect(texts()).toEqual(['aa']))
  behind.lines.writeAscii('b')
  await behind.goOn()
  await new Promise((resolve) => setTimeout(resolve, 30))
  expect(writes).toHaveLength(1)
  writes[0]!.done.resolve()
  await vi.waitFor(() => expect(texts()).toEqual(['aa', 'b']))
  writes[1]!.done.resolve()
  await behind.settled()
})

test('what a write fails with is told to whoever comes next, and nothing goes on before it is cleared', async () => {
  const { behind, writes } = held()
  behind.lines.writeAscii('a'.repeat(ENOUGH))
  await behind.goOn()
  writes[0]!.done.reject(new Error('the disk is full'))
  behind.lines.writeAscii('b'.repeat(ENOUGH))
  await expect(behind.goOn()).rejects.toThrow('the disk is full')
  await expect(behind.settled()).rejects.toThrow('the disk is full')
  expect(writes).toHaveLength(1)
  await behind.clear()
  behind.lines.writeAscii('c')
  const settled = behind.settled()
  await vi.waitFor(() => expect(writes).toHaveLength(2))
  writes[1]!.done.resolve()
  await settled
  expect(writes[1]!.text).toBe('c')
})

test('clearing waits for the write under way, and forgets the rest', async () => {
  const { behind, writes } = held()
  behind.lines.writeAscii('a'.repeat(ENOUGH))
  await behind.goOn()
  behind.lines.writeAscii('b')
  await behind.goOn()
  const seen: string[] = []
  const clearing = behind.clear().then(() => seen.push('cleared'))
  await new Promise((resolve) => setTimeout(resolve, 20))
  seen.push('let go')
  writes[0]!.done.resolve()
  await clearing
  await behind.settled()
  expect([seen, writes.length]).toEqual([['let go', 'cleared'], 1])
})
