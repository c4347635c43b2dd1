import { afterEach, expect, test, vi } from 'vitest'
import { RegisteredSchemas } from '../../../../src/homes/conduit/schema/registeredSchemas.js'
import { schemaWishes } from '../../../../src/homes/conduit/schema/schemaWishes.js'
import { avroFormat } from '../../../../src/homes/conduit/source/avroFormat.js'
import { jsonFormat } from '../../../../src/homes/conduit/source/jsonFormat.js'
import { LineEncoder } from '../../../../src/homes/conduit/source/lineEncoder.js'
import { RecordThread } from '../../../../src/homes/conduit/source/recordThread.js'
import { readSourceSettings } from '../../../../src/homes/conduit/source/sourceOptions.js'
import { builtin } from '../../../support/codecTypes.js'
import { batchOf, type Row, tableOf } from '../../../support/conduit/lineBatches.js'

const table = tableOf([builtin('text')])
const settings = readSourceSettings({ url: 'postgres://u@h/shop', tables: 'files' })
const create = async (subject: string) => ({ subject, version: 1 })
const format = avroFormat(schemaWishes(settings, 'c'), new RegisteredSchemas({ create }), jsonFormat)
const schemas = format.compile(table).schemas!
const batch = (characters: number) => {
  const row = (id: string): Row => [id, 'x'.repeat(characters)]
  return batchOf(table, [row('1'), row('2')], 0, true)
}
/** Longer than a thread that has nothing to do is kept. */
const LONG_MS = 60_000

/** Says of the first batch at once that it is done, and of the others when the third has come: of as many rows as were before. */
const PROGRAM = `
const { parentPort } = require('node:worker_threads')
const jobs = []
const answer = (count) => {
  const { input, output } = jobs[count]
  parentPort.postMessage({ made: { count, ends: new Int32Array([3, 6]), checks: new Int32Array(2) }, input, output })
}
parentPort.on('message', (job) => {
  jobs.push(job)
  if (jobs.length === 1) answer(0)
  if (jobs.length === 3) for (const one of [1, 2]) answer(one)
})`

afterEach(() => {
  vi.useRealTimers()
  vi.restoreAllMocks()
})

test('a thread with work is not ended, however late it answers; one without is', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  const closed = vi.spyOn(RecordThread.prototype, 'close')
  const encoder = new LineEncoder(format.avro!, PROGRAM, 2)
  encoder.expect(1_000_000)
  const [first, second] = [encoder.encode(batch(1), schemas), encoder.encode(batch(1), schemas)]
  expect((await first).count).toBe(0)
  vi.advanceTimersByTime(LONG_MS)
  expect(closed).not.toHaveBeenCalled()
  const third = encoder.encode(batch(1), schemas)
  expect([(await second).count, (await third).count]).toEqual([1, 2])
  vi.advanceTimersByTime(LONG_MS)
  expect(closed).toHaveBeenCalledTimes(1)
  await encoder.close()
})

test('a thread to which nothing comes is ended', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  const closed = vi.spyOn(RecordThread.prototype, 'close')
  const encoder = new LineEncoder(format.avro!, PROGRAM, 2)
  encoder.expect(1_000_000)
  vi.advanceTimersByTime(LONG_MS)
  expect(closed).toHaveBeenCalledTimes(1)
  await encoder.close()
})

test('of memory that is given back a few pieces are kept, and none when nothing comes for long', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  await schemas.register(batch(1).rows.rowAt(0))
  const encoder = new LineEncoder(format.avro!, undefined)
  const round = async () => {
    const made = await Promise.all(Array.from({ length: 10 }, () => encoder.encode(batch(40_000), schemas)))
    expect(made.every(({ count }) => count === 2)).toBe(true)
    const memory = made.map(({ bytes }) => bytes.buffer)
    for (const { release } of made) release()
    return memory
  }
  const first = await round()
  const second = await round()
  expect(second.filter((memory) => first.includes(memory))).toHaveLength(6)
  vi.advanceTimersByTime(LONG_MS)
  const third = await round()
  expect(third.filter((memory) => first.includes(memory) || second.includes(memory))).toEqual([])
  await encoder.close()
})

test('a few records do not hold the memory of many', async () => {
  await schemas.register(batch(1).rows.rowAt(0))
  const encoder = new LineEncoder(format.avro!, undefined)
  const { count, bytes } = await encoder.encode(batch(1), schemas)
  expect(count).toBe(2)
  expect(bytes.buffer.byteLength).toBeLessThan(64 * 1024)
  await encoder.close()
})
