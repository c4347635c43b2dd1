import { pathToFileURL } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { codecFor } from '../../../../src/codec/codecFor.js'
import { RowBatch } from '../../../../src/core/rowBatch.js'
import { Table } from '../../../../src/core/table.js'
import type { MessageOutput } from '../../../../src/homes/airbyte/protocol/messageOutput.js'
import { RecordLines, type Surrounded } from '../../../../src/homes/airbyte/read/recordLines.js'
import type { RecordSetup } from '../../../../src/homes/airbyte/read/recordSetup.js'
import { StreamLines } from '../../../../src/homes/airbyte/read/streamLines.js'
import { readCopyRow } from '../../../../src/postgres/copy/row.js'
import { EncoderThread } from '../../../../src/sinks/lines/encoderThread.js'
import { builtin } from '../../../support/codecTypes.js'
import { type CompiledModule, compileModule } from '../../../support/compiled.js'
import { BatchBuilder, textTable } from '../../../support/rowBatches.js'
import { waitFor } from '../../../support/waitFor.js'

let compiled: CompiledModule
let worker: URL
beforeAll(async () => {
  compiled = await compileModule('cli/recordWorker.ts')
  worker = pathToFileURL(compiled.file)
}, 60_000)
afterAll(() => compiled[Symbol.asyncDispose]())

const TYPES = [builtin('int8'), builtin('text'), builtin('numeric'), builtin('json')]

function tableOf(name: string, oid: number, identity?: Table['replicaIdentity']): Table {
  const plain = textTable(name, ['id', 'v', 'n', 'j'], [0], identity)
  return new Table({ ...plain, oid, codecs: TYPES.map((type) => codecFor(type)) })
}

const one = tableOf('one', 1)
const two = tableOf('two', 2, 'full')
const stranger = tableOf('stranger', 3)

const streamOf = (name: string) => ({
  descriptor: { name, namespace: 'public' },
  mode: 'incremental' as const,
  key: undefined,
  fields: undefined,
})
const setup: RecordSetup = {
  format: 'airbyte',
  scan: { lsn: 100n, time: 0 },
  streams: [
    { stream: streamOf('one'), number: 0, oid: 1, table: '"public"."one"' },
    { stream: streamOf('two'), number: 7, oid: 2, table: '"public"."two"' },
  ],
  ahead: new Map([[2, { lsn: 1n, seq: -1, sub: 0, end: undefined }]]),
}

/** Lines by `worker`, or without one, with what was written and told. */
function linesBy(entry: URL | undefined) {
  const streams = new Map(setup.streams.map(({ stream, number }) => [number, new StreamLines(stream, number)]))
  const written: Buffer[] = []
  const told: string[] = []
  const output = {
    lines: async (parts: readonly Uint8Array[]) => {
      for (const part of parts) written.push(Buffer.from(part))
      await new Promise((resolve) => setImmediate(resolve))
    },
  } as unknown as MessageOutput
  const onUnsaid = (lines: StreamLines, what: string) => told.push(`${lines.number} ${what}`)
  const lines = new RecordLines({ setup, streams, output, onUnsaid, worker: entry })
  /** STATE lines that count what stands before them, and begin to count anew. */
  const state = (name: string) => () => {
    const counts = [...streams.values()].map((stream) => {
      const { records } = stream
      stream.records = 0
      return records
    })
    return `STATE ${name} ${counts}\n`
  }
  const text = () => {
    const all = Buffer.concat(written).toString()
    return all.replaceAll(/"emitted_at":[\d.]+/g, '"emitted_at":0')
  }
  return { lines, state, told, text }
}

const COUNT = 200

/** Changes of two tables and of one that nobody wants, of `bytes` by their own word. */
function changes(number: number, bytes = 300_000): RowBatch {
  const builder = new BatchBuilder([one, two, stranger])
  for (let i = 0; i < COUNT; i++) {
    const row = [`${number}${i}`, `"${'x'.repeat(500)}`, i % 50 === 0 ? 'NaN' : '1.50', '{"a": "\\ud800"}']
    builder.create(row).update([row[0]!, undefined, '1', null]).delete([row[0]!, null, null, null])
    builder.create(row, 1).update(row, row.with(0, '9'), 'row', 1).create(row, 2).truncate(0)
  }
  builder.batch.bytes = bytes
  return builder.batch
}

/** Rows as the server sent them. */
function rows(number: number): RowBatch {
  const lines = Array.from({ length: COUNT }, (_, i) => `${number}${i}\t${'y'.repeat(400)}\\t\t\\N\t[1]\n`)
  const ends: number[] = []
  for (const line of lines) ends.push((ends.at(-1) ?? 0) + line.length)
  const bytes = Buffer.from(lines.join(''))
  const piece = { table: 0, bytes, ends: Int32Array.from(ends), columns: 4, read: readCopyRow, onRead: () => {} }
  return RowBatch.ofLines([piece], [one], 's', false)
}

test('a thread writes the same lines, with STATE lines at the same places and the same counts', async () => {
  const encode = EncoderThread.prototype.encode
  let threaded = 0
  EncoderThread.prototype.encode = function (batch, task) {
    threaded++
    return encode.call(this, batch, task)
  }
  const [there, here] = [linesBy(worker), linesBy(undefined)]
  try {
    there.lines.expect(Number.POSITIVE_INFINITY)
    // A thread that is still loading takes rows, and no changes.
    const give = async (batch: () => RowBatch, around: (by: typeof here) => Surrounded) => {
      await there.lines.write(batch(), around(there))
      await here.lines.write(batch(), around(here))
    }
    let number = 0
    const some = async () => {
      const name = String(++number)
      const place = { lsn: BigInt(200 * number), seq: 1, end: BigInt(200 * number + 8) }
      await give(
        () => changes(number),
        () => ({ place }),
      )
      await give(
        () => changes(number),
        ({ state }) => ({ commit: 100, between: state(name) }),
      )
      await give(
        () => rows(number),
        ({ state }) => ({ place, behind: state(name) }),
      )
      // Small, and so made here.
      await give(
        () => changes(number, 100),
        ({ state }) => ({ behind: state(name) }),
      )
      await give(
        () => rows(number),
        () => ({ place: { lsn: 5n, seq: -1, end: 5n } }),
      )
      await give(
        () => new RowBatch(),
        ({ state }) => ({ behind: state(name) }),
      )
    }
    await waitFor(() => some().then(() => threaded > 2 * number), {
      what: 'changes in the thread',
      timeoutMs: 30_000,
      intervalMs: 100,
    })
    for (let more = 0; more < 3; more++) await some()
    await there.lines.settled()
    // More at once than the thread takes: one of them is made here.
    const before = threaded
    const burst = async ({ lines, state }: typeof here) => {
      for (let i = 0; i < 3; i++) {
        await lines.write(rows(1000 + i), { place: { lsn: 9n, seq: -1, end: 9n }, behind: state(`burst ${i}`) })
        await lines.write(changes(2000 + i), { commit: 100, between: state(`burst of changes ${i}`) })
      }
    }
    await burst(there)
    await burst(here)
    await there.lines.settled()
    expect(threaded - before).toBe(5)
    expect(threaded).toBeGreaterThan(10)
  } finally {
    EncoderThread.prototype.encode = encode
    await there.lines.close()
    await here.lines.close()
  }
  expect(there.lines.failed.aborted).toBe(false)
  expect(new Set(there.told)).toEqual(new Set(here.told))
  const statuses = /\{"type":"TRACE".*\n/g
  expect(there.text().replaceAll(statuses, '')).toBe(here.text().replaceAll(statuses, ''))
  expect(there.text().match(statuses)).toHaveLength(2)
  expect(here.text()).toContain('"\\ufffd"')
  expect(here.text()).toContain('"NULLED"')
  expect(here.text()).toMatch(/STATE 1 \d{3,},\d/)
  expect(here.text()).not.toContain('stranger')
}, 60_000)

test('what the output refuses ends the lines: nobody waits for more, and the end tells of it', async () => {
  let closed = false
  const lineless = async () => {
    if (closed) throw new Error('closed')
  }
  const output = { lines: lineless } as unknown as MessageOutput
  const streams = new Map(setup.streams.map(({ stream, number }) => [number, new StreamLines(stream, number)]))
  const lines = new RecordLines({ setup, streams, output, onUnsaid: () => {}, worker })
  let written = 0
  const write = () => lines.write(rows(1), { written: () => (closed ? written++ : 0) })
  try {
    lines.expect(Number.POSITIVE_INFINITY)
    await expect(
      (async () => {
        await write()
        closed = true
        // Made here until the thread is loaded: then whoever writes hears of it at once.
        await write()
      })(),
    ).rejects.toThrow('closed')
    closed = false
    await waitFor(() => lines.isLoading === false, { what: 'the thread', timeoutMs: 30_000 })
    closed = true
    await write()
    await waitFor(() => lines.failed.aborted, { what: 'the failure', timeoutMs: 30_000 })
    await expect(lines.settled()).rejects.toThrow('closed')
  } finally {
    await lines.close()
  }
  expect(written).toBe(0)
}, 60_000)
