import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import fc from 'fast-check'
import { afterEach, beforeAll, expect, test, vi } from 'vitest'
import { codecFor } from '../../../../src/codec/codecFor.js'
import { RowBatch } from '../../../../src/core/rowBatch.js'
import { Table } from '../../../../src/core/table.js'
import { Source_Run_Response } from '../../../../src/homes/conduit/proto/connector/v2/source.js'
import { RegisteredSchemas } from '../../../../src/homes/conduit/schema/registeredSchemas.js'
import { schemaWishes } from '../../../../src/homes/conduit/schema/schemaWishes.js'
import { avroFormat } from '../../../../src/homes/conduit/source/avroFormat.js'
import { jsonFormat } from '../../../../src/homes/conduit/source/jsonFormat.js'
import { LineEncoder } from '../../../../src/homes/conduit/source/lineEncoder.js'
import type { OpenedSource } from '../../../../src/homes/conduit/source/openedSource.js'
import { readSourceSettings } from '../../../../src/homes/conduit/source/sourceOptions.js'
import { SourceRun } from '../../../../src/homes/conduit/source/sourceRun.js'
import type { PgType } from '../../../../src/postgres/catalog/types.js'
import { readCopyRow } from '../../../../src/postgres/copy/row.js'
import { Batch } from '../../../../src/source/batch.js'
import { StreamPosition } from '../../../../src/source/position.js'
import { PASSED } from '../../../../src/source/scan/stretches.js'
import { builtin } from '../../../support/codecTypes.js'
import { drawnValue } from '../../../support/drawnValues.js'

const ORIGIN = { system: '7710974990324191594', timeline: 1, database: 'shop', slot: 'shop', epoch: 5 }
/** numeric(10,2) */
const DECLARED = ((10 << 16) | 2) + 4

type Row = readonly (string | null)[]

let worker: string
beforeAll(async () => {
  const entry = fileURLToPath(new URL('../../../../src/homes/conduit/source/recordWorker.ts', import.meta.url))
  const options = { bundle: true, write: false, platform: 'node', format: 'cjs', target: 'node20.19' } as const
  worker = (await build({ entryPoints: [entry], ...options })).outputFiles[0]!.text
})
afterEach(() => {
  vi.restoreAllMocks()
})

/** A key of text, and columns of these types. */
function tableOf(types: readonly PgType[]): Table {
  const all = [builtin('text'), ...types]
  return new Table({
    oid: 1,
    schema: 'public',
    name: 'files',
    columns: all.map((type, index) => ({
      name: index === 0 ? 'id' : `c${index}`,
      typeOid: type.oid,
      typmod: type === builtin('numeric') ? DECLARED : -1,
      typeName: type.name,
      notNull: index === 0,
      generated: false,
    })),
    codecs: all.map((type) => codecFor(type)),
    selected: all.map((_, index) => index),
    key: [0],
    replicaIdentity: 'default',
  })
}

const ESCAPES: Readonly<Record<string, string>> = { '\\': '\\\\', '\b': '\\b', '\t': '\\t', '\n': '\\n', '\r': '\\r' }
const copyText = (value: string | null) =>
  value === null ? '\\N' : value.replace(/[\\\b\t\n\r]/g, (one) => ESCAPES[one]!)

/** Rows as a snapshot brings them, in ranges of the key or read whole, behind `before` others. */
function batchOf(table: Table, rows: readonly Row[], before: number, ranges: boolean): Batch {
  const lines = rows.map((row) => Buffer.from(`${row.map(copyText).join('\t')}\n`))
  let end = 0
  const ends = Int32Array.from(lines, ({ length }) => (end += length))
  const bytes = Buffer.concat(lines)
  const columns = table.columns.length
  const one = { table: 0, bytes, ends, columns, read: readCopyRow, onRead: () => {} }
  const batch = RowBatch.ofLines([one], [table], '0/1', false)
  const own = { oid: 1, id: '0/1', schema: 'public', name: 'files', key: ['id'], again: false, where: undefined }
  const stretches = [{ to: undefined, read: undefined }]
  const progress = (count: number) => ({
    id: '0/1',
    rows: count,
    tables: [{ ...own, stretches, begun: true, overtaken: [], apart: [] }],
  })
  const keyOf = (index: number) => [rows[index]![0]!]
  const stretch = ranges ? ({ oid: 1, index: 0, read: PASSED, keyOf, columns: [0] } as const) : undefined
  const snapshotAt = Object.assign((index: number) => progress(before + index + 1), {
    steps: { base: progress(before), stretch },
  })
  const place = { lsn: 1n, seq: -1, sub: 0, end: undefined, fingerprint: 0, snapshot: progress(before + rows.length) }
  return new Batch(batch, new StreamPosition(ORIGIN, place), () => {}, { snapshotAt })
}

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
}

/** Messages of a run whose source has these batches, and no more. */
async function messagesOf(batches: readonly Batch[], { size = '7', program, onMessage }: Wishes = {}) {
  vi.spyOn(Date, 'now').mockReturnValue(1_795_384_826_051)
  const left = [...batches]
  const source = {
    ...{ next: async () => left.shift(), rest: () => {}, ack: async () => {} },
    onReading: (listener: (rows: number) => void) => listener(1_000_000),
  } as unknown as OpenedSource
  const settings = readSourceSettings({ url: 'postgres://u@h/shop', tables: 'files', 'sdk.batch.size': size })
  const versions: string[] = []
  const create = async (subject: string, schema: string) => {
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
    return true
  }
  const outlet = { write, drained: async () => {} }
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

test('a thread that fails ends the run, with the code of that', async () => {
  const batches = [batchOf(mixedTable, mixed(0, 10), 0, true)]
  const { ended, records } = await messagesOf(batches, { program: 'throw new Error("out of something")' })
  expect(ended).toMatchObject({ code: 'ENCODER_FAILED' })
  expect(records).toEqual([])
})
