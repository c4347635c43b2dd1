import { expect, test } from 'vitest'
import { deferred } from '../../../../src/core/deferred.js'
import { TailraceError } from '../../../../src/core/tailraceError.js'
import { GuardedSink } from '../../../../src/sinks/custom/guardedSink.js'
import type { Sink } from '../../../../src/sinks/sink.js'
import { ContractBatches } from '../../../../src/testing/contractBatches.js'

const WHOLE = { open: async () => {}, write: async () => {}, flush: async () => null, close: async () => {} }
const guarded = (more: object) => new GuardedSink('mine', { ...WHOLE, ...more })

test.each<[string, unknown, string]>([
  ['nothing', undefined, 'an object with open, write, flush, close is expected, not undefined'],
  ['a class', class {}, 'an object with open, write, flush, close is expected, not a function'],
  ['no flush', { ...WHOLE, flush: undefined }, 'it has no method flush'],
  ['a hook that is none', { ...WHOLE, prepare: true }, 'its prepare is no method'],
])('%s is no sink', (_, sink, problem) => {
  expect(() => new GuardedSink('mine', sink)).toThrow(`the sink mine is none: ${problem}`)
})

test.each<[string, object, string]>([
  [
    'a position that nobody asked for',
    { open: async () => ({ version: 1 }) },
    'open gave a position, and storesPosition is not true',
  ],
  [
    'no position',
    { storesPosition: true },
    'storesPosition is true, and open gave undefined; null says that it has nothing',
  ],
  [
    'a broken position',
    { storesPosition: true, open: async () => ({ version: 2 }) },
    'open gave what is no position: ',
  ],
])('open gives %s', async (_, more, problem) => {
  await expect(guarded(more).open(undefined)).rejects.toMatchObject({
    code: 'SINK_INVALID',
    message: expect.stringContaining(problem),
  })
})

test.each<[string, unknown]>([
  ['a number', 7],
  ['undefined', undefined],
  ['a list', []],
  ['what JSON does not hold', { at: 7n }],
  ['what comes back from JSON as something else', { at: new Date(0) }],
])('flush gives %s as its mark', async (what, mark) => {
  await expect(guarded({ flush: async () => mark }).flush({ end: false })).rejects.toMatchObject({
    code: 'SINK_INVALID',
    message: expect.stringContaining(`flush gave ${what}`),
  })
})

test('what can be kept is given on', async () => {
  const mark = { bytes: 7, parts: ['a', { b: null }], left: undefined }
  expect(await guarded({ flush: async () => mark }).flush({ end: false })).toBe(mark)
  const position = new ContractBatches().idle().batch.position.toJSON()
  expect(await guarded({ storesPosition: true, open: async () => position }).open(undefined)).toEqual(position)
})

test.each<[string, unknown, object]>([
  ['of its own', new TypeError('x is not a function'), { code: 'SINK_FAILED', retry: 'operator' }],
  [
    'that passes, as it says',
    Object.assign(new Error('busy'), { retry: 'later' }),
    { code: 'SINK_UNAVAILABLE', retry: 'later' },
  ],
  ['of a lost connection', Object.assign(new Error('reset'), { code: 'ECONNRESET' }), { code: 'SINK_UNAVAILABLE' }],
  [
    'of fetch, whose cause tells',
    new TypeError('fetch failed', { cause: { code: 'ECONNREFUSED' } }),
    { code: 'SINK_UNAVAILABLE' },
  ],
  ['with a hint', Object.assign(new Error('no'), { hint: 'Do this.' }), { code: 'SINK_FAILED', hint: 'Do this.' }],
  ['that is none', 'just a text', { code: 'SINK_FAILED', message: 'the sink mine failed in write: just a text' }],
  ['that is nothing', undefined, { code: 'SINK_FAILED' }],
  [
    'of another copy of the package',
    Object.assign(new Error('gone'), {
      name: 'TailraceError',
      code: 'SLOT_LOST',
      hint: 'Look.',
      retry: 'never',
      details: {},
    }),
    { code: 'SLOT_LOST', hint: 'Look.', retry: 'never', message: 'gone' },
  ],
])('an error %s', async (_, error, expected) => {
  const sink = guarded({ write: () => Promise.reject(error) })
  const told = await sink.write(new ContractBatches().idle().batch).catch((one) => one)
  expect(told).toBeInstanceOf(TailraceError)
  expect(told).toMatchObject(expected)
  expect(told.cause).toBe(error)
})

test('what is thrown before there is a promise is told alike, and what making it throws', async () => {
  const sink = guarded({
    flush: () => {
      throw new Error('at once')
    },
  })
  await expect(sink.flush({ end: false })).rejects.toMatchObject({ message: 'the sink mine failed in flush: at once' })
  const make = () =>
    GuardedSink.made('mine', () => {
      throw new Error('no folder')
    })
  expect(make).toThrow('the sink mine failed in create: no folder')
})

test('a rejected record has an error of ours, and must be of the batch', async () => {
  const rejecting =
    (index: number): Sink['write'] =>
    async (_, reject) =>
      reject!(index, new Error('too long'))
  const { batch } = new ContractBatches().notes(['a', 'b'])
  const rejected: unknown[] = []
  await guarded({ write: rejecting(1) }).write(batch, (index, cause) => rejected.push([index, cause]))
  expect(rejected).toEqual([[1, expect.objectContaining({ code: 'SINK_REJECTED', message: 'too long' })]])
  await expect(guarded({ write: rejecting(2) }).write(batch, () => {})).rejects.toMatchObject({ code: 'SINK_INVALID' })
})

test('what a run has left hanging keeps another one out until it has ended', async () => {
  const hanging = deferred()
  const sink = guarded({ write: () => hanging.promise })
  const writing = sink.write(new ContractBatches().idle().batch)
  await sink.close()
  await expect(sink.open(null)).rejects.toMatchObject({ code: 'SINK_UNAVAILABLE', retry: 'later' })
  hanging.resolve()
  await writing
  expect(await sink.open(null)).toBeUndefined()
})
