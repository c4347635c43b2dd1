import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { LineWriter, type LineWriterOptions } from '../../../src/cli/stream/lineWriter.js'
import { codecFor } from '../../../src/codec/codecFor.js'
import { encodeNdjson } from '../../../src/codec/ndjson.js'
import { deferred } from '../../../src/core/deferred.js'
import type { RowBatch } from '../../../src/core/rowBatch.js'
import { Table } from '../../../src/core/table.js'
import { EncoderThread } from '../../../src/sinks/lines/encoderThread.js'
import { StreamPosition } from '../../../src/source/position.js'
import { arrayOf, builtin } from '../../support/codecTypes.js'
import { type CompiledModule, compileModule } from '../../support/compiled.js'
import { BatchBuilder, type Sent, textTable } from '../../support/rowBatches.js'
import { temporaryFolder } from '../../support/temporaryFolder.js'
import { waitFor } from '../../support/waitFor.js'

let worker: CompiledModule
let entry: URL
beforeAll(async () => {
  worker = await compileModule('cli/encoderWorker.ts')
  entry = pathToFileURL(worker.file)
}, 60_000)
afterAll(() => worker[Symbol.asyncDispose]())

const TYPES = [
  builtin('int8'),
  builtin('numeric'),
  builtin('text'),
  builtin('timestamptz'),
  builtin('bool'),
  builtin('json'),
  builtin('uuid'),
]
const ROW: readonly Sent[] = ['7', 'NaN', 'a "note"\n, ümlaut', '2026-01-01 00:00:00.5+00', 't', '{"a":\n1}', 'c0ffee']

function tableOf(name: string, types: readonly Parameters<typeof codecFor>[0][], identity?: Table['replicaIdentity']) {
  const columns = types.map((_, index) => `c${index}`)
  const plain = textTable(name, columns, [0], identity)
  return new Table({ ...plain, codecs: types.map((type) => codecFor(type)) })
}

const rowsTable = tableOf('rows', TYPES)
const wholeTable = tableOf('"whole"', TYPES, 'full')
const arrays = tableOf('arrays', [builtin('int4'), arrayOf(builtin('text'))])

/** Rows of all kinds, of about `bytes` bytes; the `number`th batch of its run. */
function batchOf(number: number, bytes = 240_000, fill = 'x'): RowBatch {
  const builder = new BatchBuilder([rowsTable, wholeTable])
  for (let id = 0, size = 0; size < bytes; id++, size += 1000) {
    const row = [`${number}${id}`, ...ROW.slice(1)]
    const long = row.with(2, `${id} ${fill.repeat(500)}`)
    builder
      .create(row)
      .update(long.with(1, null))
      .delete([row[0], ...ROW.slice(1).map(() => null)])
    builder.update(row, [`9${id}`, ...ROW.slice(1).map(() => null)]).update(row.with(2, undefined))
    builder.update(row, long, 'row', 1).create(long, 1)
  }
  builder.truncate(0, 3)
  builder.batch.bytes = bytes
  return builder.batch
}

function arrayBatch(): RowBatch {
  const { batch } = new BatchBuilder([arrays]).create(['1', '{a,NULL}'])
  batch.bytes = 240_000
  return batch
}

function positionAt(lsn: bigint): StreamPosition {
  const origin = { system: '1', timeline: 1, database: 'd', slot: 's', epoch: 1 }
  return new StreamPosition(origin, { lsn, seq: 0, sub: 0, end: lsn + 8n, fingerprint: 0, snapshot: undefined })
}

/** A writer with what it has written and told, and how often something was made in the thread. */
function writerWith(given: Partial<LineWriterOptions> = {}) {
  const written: Buffer[] = []
  const told: { lsn: bigint; bytes: number }[] = []
  const failures: unknown[] = []
  const bytes = () => written.reduce((sum, { length }) => sum + length, 0)
  const writer = new LineWriter({
    format: 'ndjson',
    write: async (lines) => {
      for (const part of lines) written.push(Buffer.from(part))
      await new Promise((resolve) => setImmediate(resolve))
    },
    wrote: (position) => told.push({ lsn: (position as StreamPosition).place.lsn, bytes: bytes() }),
    failed: (error) => failures.push(error),
    thread: { entry, processors: 2 },
    ...given,
  })
  return { writer, written, told, failures, bytes }
}

const encoded = new Map<RowBatch, Buffer>()
function linesOf(batch: RowBatch): Buffer {
  const lines = encoded.get(batch) ?? encodeNdjson(batch)
  encoded.set(batch, lines)
  return lines
}

/** Over the same numbers, which are not given up then. */
const again = (batch: RowBatch) => batch.part(0, batch.count)

const wholly = (batches: readonly RowBatch[]) => Buffer.concat(batches.map(linesOf))

test('the thread makes the same bytes, also of values that are not copied', async () => {
  await using thread = new EncoderThread({ data: { format: 'ndjson' }, entry })
  const batches = [batchOf(1), batchOf(2, 50_000, 'y'), new BatchBuilder([wholeTable]).create(ROW).batch]
  const long = ROW.with(2, `${'z'.repeat(200_000)}"`)
  batches.push(new BatchBuilder([rowsTable]).create(long).update(ROW, long, 'row').batch, batchOf(3, 600_000, '"'))
  for (const [index, batch] of batches.entries()) {
    expect(EncoderThread.takes(batch)).toBe(true)
    const expected = encodeNdjson(batch)
    const { lines, release } = await thread.encode(batch)
    expect(Buffer.concat(lines).equals(expected), `batch ${index}`).toBe(true)
    release()
  }
}, 60_000)

test('it takes neither columns that only calls can write, nor messages, nor what is very large', () => {
  expect(EncoderThread.takes(arrayBatch())).toBe(false)
  const { batch } = new BatchBuilder([rowsTable]).create(ROW)
  batch.messages.push({ transactional: true, prefix: 'p', content: Buffer.from('c') })
  expect(EncoderThread.takes(batch)).toBe(false)
  expect(EncoderThread.takes(new BatchBuilder([rowsTable]).create(ROW.with(2, 'x'.repeat(5_000_000))).batch)).toBe(
    false,
  )
})

test('lines come in the order of the batches, whoever makes them, and each position behind its lines', async () => {
  const { writer, written, told } = writerWith()
  const batches: RowBatch[] = []
  // Until the thread is there, a while longer, and with others in between.
  const made = Array.from({ length: 12 }, (_, number) => batchOf(number))
  const write = async (batch: RowBatch) => {
    batches.push(batch)
    const number = made.indexOf(batch)
    // It gives up what it has written: large ones are made anew, whose numbers it may have used before.
    const rows = number < 0 ? again(batch) : batchOf(number)
    await writer.write({ rows, position: positionAt(BigInt(batches.length)) })
  }
  const encode = EncoderThread.prototype.encode
  let threaded = 0
  EncoderThread.prototype.encode = function (rows, task) {
    threaded++
    return encode.call(this, rows, task)
  }
  try {
    await waitFor(
      async () => {
        for (const batch of made) await write(batch)
        return threaded > 30
      },
      { what: 'the thread to make lines', timeoutMs: 30_000, intervalMs: 1 },
    )
    const others = [arrayBatch(), new BatchBuilder([rowsTable]).batch, batchOf(99, 3000)]
    for (const other of others) for (const batch of [...made, ...made, other]) await write(batch)
    await writer.settled()
  } finally {
    EncoderThread.prototype.encode = encode
    await writer.close()
  }
  expect(Buffer.concat(written).equals(wholly(batches))).toBe(true)
  let bytes = 0
  const ends = batches.map((batch, index) => {
    bytes += linesOf(batch).length
    return { lsn: BigInt(index + 1), bytes }
  })
  expect(told).toEqual(ends)
}, 60_000)

/** A thread's file that does as the real one, and then something else behind its `count`th job. */
async function brokenWorker(folder: string, count: number, breaks: string): Promise<URL> {
  const file = join(folder, 'worker.mjs')
  const lines = [
    `import { parentPort } from 'node:worker_threads'`,
    'let jobs = 0',
    `parentPort.on('message', () => { if (++jobs > ${count}) { ${breaks} } })`,
    `await import(${JSON.stringify(String(entry))})`,
  ]
  await writeFile(file, lines.join('\n'))
  return pathToFileURL(file)
}

for (const [how, breaks] of [
  ['throws', `throw new Error('broken')`],
  ['ends', 'process.exit(3)'],
] as const) {
  test(`a thread that ${how} ends the run with ENCODER_FAILED; nothing counts as written that was not`, async () => {
    await using folder = await temporaryFolder()
    const broken = await brokenWorker(folder.path, 5, breaks)
    const { writer, written, told, failures } = writerWith({ thread: { entry: broken, processors: 2 } })
    const batches: RowBatch[] = []
    const batch = batchOf(1)
    const writing = (async () => {
      for (;;) {
        batches.push(batch)
        await writer.write({ rows: again(batch), position: positionAt(BigInt(batches.length)) })
        await new Promise((resolve) => setImmediate(resolve))
      }
    })()
    await expect(writing).rejects.toMatchObject({ code: 'ENCODER_FAILED' })
    await expect(writer.settled()).rejects.toMatchObject({ code: 'ENCODER_FAILED' })
    await writer.close()
    expect(failures[0]).toMatchObject({ code: 'ENCODER_FAILED' })
    expect(told.at(-1)!.lsn).toBe(BigInt(told.length))
    expect(told.length).toBeLessThan(batches.length)
    expect(Buffer.concat(written).equals(wholly(batches.slice(0, told.length)))).toBe(true)
  }, 60_000)
}

test('while the thread has enough to do lines are made here too, in order', async () => {
  await using folder = await temporaryFolder()
  const slow = join(folder.path, 'slow.mjs')
  await writeFile(
    slow,
    `import { parentPort } from 'node:worker_threads'
    parentPort.on('message', () => { for (const end = Date.now() + 20; Date.now() < end; ); })
    await import(${JSON.stringify(String(entry))})`,
  )
  const { writer, written, told } = writerWith({ thread: { entry: pathToFileURL(slow), processors: 2 } })
  const { encode } = EncoderThread.prototype
  let threaded = 0
  EncoderThread.prototype.encode = function (rows, task) {
    threaded++
    return encode.call(this, rows, task)
  }
  const made = Array.from({ length: 6 }, (_, number) => batchOf(number))
  const batches: RowBatch[] = []
  try {
    writer.expectLarge()
    const write = async () => {
      const rows = made[batches.length % made.length]!
      batches.push(rows)
      await writer.write({ rows: again(rows), position: positionAt(BigInt(batches.length)) })
    }
    // Nothing large has to come before it is used.
    await waitFor(() => write().then(() => threaded > 0), { what: 'the thread', timeoutMs: 30_000, intervalMs: 1 })
    const before = batches.length
    for (let count = 0; count < 60; count++) await write()
    await writer.settled()
    expect(threaded).toBeGreaterThan(1)
    expect(threaded).toBeLessThan(batches.length - before)
  } finally {
    EncoderThread.prototype.encode = encode
    await writer.close()
  }
  expect(Buffer.concat(written).equals(wholly(batches))).toBe(true)
  expect(told.map(({ lsn }) => lsn)).toEqual(batches.map((_, index) => BigInt(index + 1)))
}, 60_000)

test('what cannot be written is held, no more than a few batches of it, and a failure of writing is told', async () => {
  const held = deferred()
  held.promise.catch(() => {})
  let hold = false
  let written = 0
  const { writer, failures } = writerWith({
    write: async () => {
      if (hold) await held.promise
      written++
    },
  })
  const rows = batchOf(1)
  let given = 0
  const encode = EncoderThread.prototype.encode
  EncoderThread.prototype.encode = function (batch, task) {
    hold = true
    return encode.call(this, batch, task)
  }
  const giving = (async () => {
    for (;;) {
      await writer.write({ rows: again(rows), position: positionAt(BigInt(++given)) })
      await new Promise((resolve) => setImmediate(resolve))
    }
  })()
  giving.catch(() => {})
  try {
    // Six that are being made or that wait to be written, and the one that waits for room.
    await waitFor(() => given - written === 7, { what: 'as many as are held', timeoutMs: 30_000 })
    for (let turn = 0; turn < 100; turn++) await new Promise((resolve) => setImmediate(resolve))
    expect(given - written).toBe(7)
  } finally {
    EncoderThread.prototype.encode = encode
    held.reject(new Error('no room'))
  }
  await expect(giving).rejects.toThrow('no room')
  expect(failures[0]).toMatchObject({ message: 'no room' })
  await writer.close()
}, 60_000)

test('no thread is begun for small batches, rows of a snapshot, or on a machine of one processor', async () => {
  await using folder = await temporaryFolder()
  const broken = pathToFileURL(join(folder.path, 'missing.mjs'))
  const snapshot = new BatchBuilder([rowsTable]).snapshot(ROW)
  snapshot.batch.bytes = 240_000
  for (const [rows, processors] of [
    [batchOf(1, 5000), 2],
    [snapshot.batch, 2],
    [batchOf(1), 1],
  ] as const) {
    const { writer, written, failures } = writerWith({ thread: { entry: broken, processors } })
    for (let i = 0; i < 30; i++) await writer.write({ rows: again(rows), position: positionAt(1n) })
    await writer.settled()
    await writer.close()
    expect(Buffer.concat(written).equals(wholly(Array.from({ length: 30 }, () => rows)))).toBe(true)
    expect(failures).toEqual([])
  }
})
