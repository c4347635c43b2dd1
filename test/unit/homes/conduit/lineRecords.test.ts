import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import fc from 'fast-check'
import { afterEach, beforeAll, expect, test, vi } from 'vitest'
import { RowBatch } from '../../../../src/core/rowBatch.js'
import { Source_Run_Response } from '../../../../src/homes/conduit/proto/connector/v2/source.js'
import { RegisteredSchemas } from '../../../../src/homes/conduit/schema/registeredSchemas.js'
import { schemaWishes } from '../../../../src/homes/conduit/schema/schemaWishes.js'
import { avroFormat } from '../../../../src/homes/conduit/source/avroFormat.js'
import { jsonFormat } from '../../../../src/homes/conduit/source/jsonFormat.js'
import { LineEncoder } from '../../../../src/homes/conduit/source/lineEncoder.js'
import { LineRecords } from '../../../../src/homes/conduit/source/lineRecords.js'
import type { OpenedSource } from '../../../../src/homes/conduit/source/openedSource.js'
import { ProtoWriter } from '../../../../src/homes/conduit/source/protoWriter.js'
import { readSourceSettings } from '../../../../src/homes/conduit/source/sourceOptions.js'
import { SourceRun } from '../../../../src/homes/conduit/source/sourceRun.js'
import type { PgType } from '../../../../src/postgres/catalog/types.js'
import { Batch } from '../../../../src/source/batch.js'
import { StreamPosition } from '../../../../src/source/position.js'
import { builtin } from '../../../support/codecTypes.js'
import { batchOf, ORIGIN, type Row, tableOf } from '../../../support/conduit/lineBatches.js'
import { drawnValue } from '../../../support/drawnValues.js'

let worker: string
beforeAll(async () => {
  const entry = fileURLToPath(new URL('../../../../src/homes/conduit/source/recordWorker.ts', import.meta.url))
  const options = { bundle: true, write: false, platform: 'node', format: 'cjs', target: 'node20.19' } as const
  worker = (await build({ entryPoints: [entry], ...options })).outputFiles[0]!.text
})
afterEach(() => {
  vi.restoreAllMocks()
})

/** The snapshot is finished: its last row is sent with this position. */
function finished(): Batch {
  const place = { lsn: 8n, seq: -1, sub: 0, end: 8n, fingerprint: 0, snapshot: undefined }
  return new Batch(new RowBatch(), new StreamPosition(ORIGIN, place), () => {})
}

interface Wishes {
  readonly size?: string
  readonly program?: string | undefined
  /** What the host does when a message has come. */
  readonly onMessage?: (run: SourceRun) => void
  readonly delay?: string
  /** How long the source takes for a batch. */
  readonly onNext?: () => Promise<void>
  /** The host takes no more until then. */
  readonly drained?: () => Promise<void>
  readonly onCreate?: (schema: string) => Promise<void>
}

/** Messages that decode, of so many records each. */
const countsOf = (messages: readonly Buffer[]) =>
  messages.map((message) => Source_Run_Response.decode(message).records.length)

/** Messages of a run whose source has these batches, and no more. */
async function messagesOf(batches: readonly Batch[], wishes: Wishes = {}) {
  const { size = '7', delay = '0s', program, onMessage, onNext, drained, onCreate } = wishes
  vi.spyOn(Date, 'now').mockReturnValue(1_795_384_826_051)
  const left = [...batches]
  const source = {
    next: async () => {
      await onNext?.()
      return left.shift()
    },
    ...{ rest: () => {}, ack: async () => {} },
    onReading: (listener: (rows: number) => void) => listener(1_000_000),
  } as unknown as OpenedSource
  const batch = { 'sdk.batch.size': size, 'sdk.batch.delay': delay }
  const settings = readSourceSettings({ url: 'postgres://u@h/shop', tables: 'files', ...batch })
  const versions: string[] = []
  const create = async (subject: string, schema: string) => {
    await onCreate?.(schema)
    if (!versions.includes(schema)) versions.push(schema)
    return { subject, version: versions.indexOf(schema) + 1 }
  }
  const format = avroFormat(schemaWishes(settings, 'c'), new RegisteredSchemas({ create }), jsonFormat)
  const messages: Buffer[] = []
  const write = (parts: readonly Buffer[], done: () => void) => {
    messages.push(Buffer.concat(parts))
    // Memory that is given back may be written over.
    for (const part of parts) part.fill(0)
    done()
    onMessage?.(run)
    return drained === undefined
  }
  const outlet = { write, drained: drained ?? (async () => {}) }
  const run = new SourceRun(source, settings, format, outlet, { position: undefined, half: false }, program)
  const ended = await run.run().catch((error: unknown) => error)
  run.stop()
  await run.settle()
  return { ended, messages, run, records: Source_Run_Response.decode(Buffer.concat(messages)).records }
}

/** The same rows, of which somebody has asked: each is written by itself. */
function looked(batch: Batch): Batch {
  expect(batch.rows.heads.length).toBeGreaterThan(0)
  expect(LineEncoder.takes(batch)).toBe(false)
  return batch
}

interface Drawn {
  readonly types: readonly PgType[]
  readonly batches: readonly (readonly Row[])[]
  readonly ranges: boolean
  readonly isWhole: boolean
}

const drawnRows: fc.Arbitrary<Drawn> = fc
  .array(fc.tuple(drawnValue, fc.constantFrom('value', 'null', 'long')), { minLength: 1, maxLength: 4 })
  .chain((columns) => {
    const types = columns.map(([{ type }]) => type)
    const texts = columns.map(([{ type, text }, how]) => {
      return fc.constantFrom(text, text, how === 'null' ? null : text, type.name === 'text' ? 'x'.repeat(40_000) : text)
    })
    const row = fc.tuple(
      fc.string({ maxLength: 9 }).map((key) => key.replaceAll('\0', '')),
      ...texts,
    )
    return fc.record({
      types: fc.constant(types),
      batches: fc.array(fc.array(row, { minLength: 1, maxLength: 30 }), { minLength: 1, maxLength: 3 }),
      ranges: fc.boolean(),
      isWhole: fc.boolean(),
    })
  })

test('records of lines are those of the same rows one by one, byte by byte, whatever the types and values', async () => {
  const check = async ({ types, batches, ranges, isWhole }: Drawn) => {
    const table = tableOf(types)
    const all = () => batches.map((rows, index) => batchOf(table, rows, 100 * index, ranges))
    const lines = all()
    expect(lines.every(LineEncoder.takes)).toBe(true)
    const end = isWhole ? [finished()] : []
    const made = await messagesOf([...lines, ...end])
    const one = await messagesOf([...all().map(looked), ...end])
    expect(made.ended).toBeUndefined()
    expect(made.messages.map((message) => message.toString('hex'))).toEqual(
      one.messages.map((message) => message.toString('hex')),
    )
    expect(made.records).toHaveLength(batches.flat().length)
    expect(made.run.lastPosition).toEqual(made.records.at(-1)!.position)
    if (isWhole) expect(made.run.lastPosition.toString()).toContain('"end":"0/8"')
  }
  await fc.assert(fc.asyncProperty(drawnRows, check), { numRuns: 60 })
})

const MIXED = [builtin('numeric'), builtin('timestamptz'), builtin('text'), builtin('int4')]
const mixedTable = tableOf(MIXED)
const mixed = (from: number, count: number, odd: (n: number) => boolean = () => false): Row[] =>
  Array.from({ length: count }, (_, i) => {
    const n = from + i
    const numeric = odd(n) ? 'NaN' : `${n}.25`
    return [`k${n}`, numeric, '2026-01-01 00:00:01.234567+00', n % 5 === 0 ? null : `row\t${n}\n`, String(-n)]
  })

test('a thread makes the same records, and gives back a row that needs a schema of its own', async () => {
  const batches = () =>
    [0, 1, 2, 3, 4, 5, 6, 7].map((k) =>
      batchOf(
        mixedTable,
        mixed(500 * k, 500, (n) => n % 777 === 776),
        500 * k,
        true,
      ),
    )
  const there = await messagesOf(batches(), { program: worker, size: '100' })
  const one = await messagesOf(batches().map(looked), { size: '100' })
  expect(there.ended).toBeUndefined()
  expect(there.messages.map((message) => message.toString('hex'))).toEqual(
    one.messages.map((message) => message.toString('hex')),
  )
  expect(there.records.map(({ key }) => (key!.data!.value as Buffer).toString().slice(1))).toEqual(
    Array.from({ length: 4000 }, (_, n) => `k${n}`),
  )
  const versions = new Set(there.records.map(({ metadata }) => metadata['opencdc.payload.schema.version']))
  expect(versions.size).toBe(2)
})

test('what cannot be written ends the run behind all records before it', async () => {
  const table = tableOf([builtin('bytea')])
  const rows = (from: number): Row[] => [`${from}`, `${from + 1}`].map((id) => [id, id === '3' ? 'no hex' : '\\xdead'])
  const batches = () => [rows(0), rows(2), rows(4)].map((some, index) => batchOf(table, some, 2 * index, false))
  for (const program of [undefined, worker]) {
    const { ended, records, run } = await messagesOf(batches(), { program })
    expect(ended).toMatchObject({ code: 'VALUE_MALFORMED' })
    expect(records).toHaveLength(3)
    expect(run.lastPosition).toEqual(records.at(-1)!.position)
  }
})

test('stop ends it in the middle: what was sent last is what it says, and nothing follows', async () => {
  for (const program of [undefined, worker]) {
    let after = 3
    const onMessage = (run: SourceRun) => {
      if (--after === 0) run.stop()
    }
    const batches = [0, 1, 2, 3, 4, 5].map((k) => batchOf(mixedTable, mixed(200 * k, 200), 200 * k, true))
    const { ended, messages, records, run } = await messagesOf(batches, { program, size: '60', onMessage })
    expect(ended).toBeUndefined()
    expect(messages).toHaveLength(3)
    expect(records).toHaveLength(180)
    expect(run.lastPosition).toEqual(records.at(-1)!.position)
  }
})

test('where the thread fails, or none can be made, all records are made without it', async () => {
  const batches = () => [0, 1, 2, 3, 4, 5].map((k) => batchOf(mixedTable, mixed(10 * k, 10), 10 * k, true))
  const one = await messagesOf(batches().map(looked))
  const failing =
    "require('node:worker_threads').parentPort.once('message', () => { throw new Error('out of something') })"
  for (const program of ['throw new Error("out of something")', failing, null as unknown as string]) {
    const told: string[] = []
    const stderr = vi.spyOn(process.stderr, 'write').mockImplementation((line) => told.push(String(line)) > 0)
    const { ended, messages } = await messagesOf(batches(), { program })
    stderr.mockRestore()
    expect(ended).toBeUndefined()
    expect(messages.map((message) => message.toString('hex'))).toEqual(
      one.messages.map((message) => message.toString('hex')),
    )
    expect(told.filter((line) => line.includes('without a thread of their own'))).toHaveLength(1)
  }
})

test('records are the same wherever in one of them the memory ends', async () => {
  const table = tableOf([builtin('int4')])
  const rows = Array.from({ length: 20 }, (_, n): Row => [`${n}`.padStart(128, 'k'), `${n}`])
  const settings = readSourceSettings({ url: 'postgres://u@h/shop', tables: 'files' })
  const create = async (subject: string) => ({ subject, version: 1 })
  const format = avroFormat(schemaWishes(settings, 'c'), new RegisteredSchemas({ create }), jsonFormat)
  const { schemas } = format.compile(table)
  await schemas!.register(batchOf(table, rows, 100, true).rows.rowAt(0))
  const task = { readMs: 1, beginning: Buffer.from('{'), before: 100, columns: [0], last: '{}' }
  const made = (memory: number) => {
    const records = new LineRecords(table, format.avro!)
    for (const schema of schemas!.registered) records.learn(schema)
    const writer = new ProtoWriter(Buffer.alloc(memory))
    expect(records.write(writer, batchOf(table, rows, 100, true).rows.lines!, task).count).toBe(20)
    return writer.copy()
  }
  const all = made(64 * 1024)
  expect(Source_Run_Response.decode(all).records).toHaveLength(20)
  const others = Array.from({ length: 250 }, (_, k) => 1000 + 16 * k).filter((memory) => !made(memory).equals(all))
  expect(others).toEqual([])
})

test('no more batches wait than a few, however slow the host is', async () => {
  const turns = async (count: number) => {
    for (let i = 0; i < count; i++) await new Promise((resolve) => setImmediate(resolve))
  }
  let [asked, sent, most] = [0, 0, 0]
  const onNext = async () => {
    most = Math.max(most, asked++ - sent)
    await turns(1)
  }
  const batches = Array.from({ length: 40 }, (_, k) => batchOf(mixedTable, mixed(20 * k, 20), 20 * k, true))
  const { ended, records } = await messagesOf(batches, {
    ...{ size: '20', onNext, drained: () => turns(3) },
    onMessage: () => sent++,
  })
  expect(ended).toBeUndefined()
  expect(records).toHaveLength(800)
  expect(most).toBeGreaterThan(2)
  expect(most).toBeLessThan(8)
})

test('a message that is sent while the run cannot end yet has no half record', async () => {
  const table = tableOf([builtin('numeric'), builtin('bytea')])
  const rows: Row[] = [
    ['0', '1.00', '\\x00'],
    ['1', 'NaN', '\\x01'],
    ['2', '1.00', 'no hex'],
    ['3', '1.00', '\\x03'],
  ]
  let register = () => {}
  const later = new Promise<void>((resolve) => {
    register = resolve
  })
  const batches = [batchOf(table, rows, 0, true), batchOf(mixedTable, mixed(0, 5), 4, true)]
  const { ended, messages } = await messagesOf(batches, {
    ...{ size: '0', delay: '1ms', onMessage: () => register() },
    onCreate: async (schema) => {
      if (schema.includes('c3')) await later
    },
  })
  expect(ended).toMatchObject({ code: 'VALUE_MALFORMED' })
  expect(countsOf(messages)).toEqual([2])
})

test('a last row that cannot be written ends the run in its turn', async () => {
  const table = tableOf([builtin('bytea')])
  const rows: Row[] = [
    ['0', '\\xdead'],
    ['1', 'no hex'],
  ]
  for (const batch of [batchOf(table, rows, 0, true), looked(batchOf(table, rows, 0, true))]) {
    const { ended, messages } = await messagesOf([batch])
    expect(ended).toMatchObject({ code: 'VALUE_MALFORMED' })
    expect(countsOf(messages)).toEqual([1])
  }
})

test('a record that was held makes no message larger than is wanted', async () => {
  const batches = () => [0, 1, 2].map((k) => batchOf(mixedTable, mixed(7 * k, 7), 7 * k, true))
  for (const some of [batches(), batches().map(looked)]) {
    expect(countsOf((await messagesOf(some)).messages)).toEqual([7, 7, 7])
  }
})

test('one batch that is too large to be copied has no others read', async () => {
  const table = tableOf([builtin('text')])
  const onRead = vi.fn()
  const batch = batchOf(
    table,
    [
      ['0', 'x'.repeat(4_500_000)],
      ['1', 'y\t'],
    ],
    0,
    true,
    onRead,
  )
  expect(LineEncoder.takes(batch)).toBe(false)
  const { records } = await messagesOf([batch])
  expect(records).toHaveLength(2)
  expect(onRead).not.toHaveBeenCalled()
})
