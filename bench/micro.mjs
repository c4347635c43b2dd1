import { PgoutputPlugin } from 'pg-logical-replication'
import { fromDist } from './dist.mjs'
import { median } from './rounds.mjs'
import {
  beginMessage,
  COLUMNS,
  commitMessage,
  copyRow,
  insertMessage,
  relationMessage,
  rowTexts,
  xlogDataFrame,
} from './synthetic.mjs'
import { fixed, table } from './table.mjs'

const { ByteWriter, viewOf } = await fromDist('core/byteWriter.js')
const { Table } = await fromDist('core/table.js')
const { Tape } = await fromDist('core/tape.js')
const { HEAD, HEAD_BUFFER, HEAD_NEW } = await fromDist('core/rowBatch.js')
const { NO_FALLBACK } = await fromDist('codec/json/row.js')
const { codecFor } = await fromDist('codec/codecFor.js')
const { avroTable } = await fromDist('codec/avro/index.js')
const { NdjsonEncoder } = await fromDist('codec/ndjson.js')
const { readCopyRow } = await fromDist('postgres/copy/row.js')
const { FrameReader } = await fromDist('postgres/frames.js')
const { PgoutputDecoder } = await fromDist('postgres/pgoutput/decoder.js')
const { ChangeCollector } = await fromDist('source/changeCollector.js')
const { StreamPosition } = await fromDist('source/position.js')
const { ShapeRegistry } = await fromDist('source/shapeRegistry.js')
const { RowCollector } = await fromDist('source/snapshot/rowCollector.js')

const ROWS = 1000
/** What a socket gives at most in one read. */
const CHUNK = 64 * 1024
const WARM_UP_MS = 300
const MEASURE_MS = 1000

const FIRST = 500_000 // numbers as long as most of the dataset's

const texts = Array.from({ length: ROWS }, (_, i) => rowTexts(FIRST + i))
const typed = texts.map(toValues)
const shape = new Table({
  oid: 16385,
  schema: 'public',
  name: 'bench',
  columns: COLUMNS.map(([name, typeOid, typmod]) => ({
    name,
    typeOid,
    typmod,
    typeName: String(typeOid),
    notNull: name !== 'note',
    generated: false,
  })),
  codecs: COLUMNS.map(([name, oid]) =>
    codecFor({ kind: 'scalar', variety: 'base', jsonCast: null, oid, schema: 'pg_catalog', name }),
  ),
  selected: COLUMNS.map((_, index) => index),
  key: [0],
  replicaIdentity: 'default',
})

/** The hot functions, each alone, on bytes like the dataset's; a line in the result under its own name. */
export async function micro() {
  const rows = [
    ['FrameReader.push', measureFrames()],
    ['PgoutputDecoder.decode, inserts', measureDecode()],
    ['  pg-logical-replication: PgoutputPlugin.parse', measurePeerDecode()],
    ['ChangeCollector.collect, inserts', await measureCollector()],
    ['readCopyRow', measureCopy()],
    ['  toString().split', measurePeerCopy()],
    ['RowCollector.collect', measureRowCollector()],
    ['NdjsonEncoder.write, only the row', measureNdjson('row', await streamed())],
    ['  JSON.stringify of values, to a buffer', measureStringify((row) => row)],
    ['AvroRecord.write, the row as nullable unions', measureAvro({}, await streamed())],
    [
      'AvroRecord.write, the row as Conduit’s own connector has it',
      measureAvro({ schemas: 'connector' }, await streamed()),
    ],
    ['NdjsonEncoder.write, streamed', measureNdjson('ndjson', await streamed())],
    ['NdjsonEncoder.write, snapshot', measureNdjson('ndjson', snapshotRows())],
    ['  JSON.stringify of record and values', measureStringify(toRecord)],
  ]
  const head = ['ns a row', 'best', 'median']
  const cells = rows.map(([name, { best, middle }]) => [name, fixed(best, 0), fixed(middle, 0)])
  const bytes = Math.round(Buffer.concat(texts.map(copyRow)).length / ROWS)
  return {
    name: 'micro',
    title: `single functions, ${COLUMNS.length} columns, ${bytes} bytes of text a row`,
    results: rows.map(([name, figures]) => ({ name, rounds: [figures] })),
    text: table(head, cells),
    bars: [],
  }
}

function measureFrames() {
  const reader = new FrameReader(() => {})
  const parts = chunks(Buffer.concat(texts.map((row) => xlogDataFrame(insertMessage(row)))))
  return time(() => {
    for (const chunk of parts) reader.push(chunk)
  })
}

function measureDecode() {
  const handler = { begin() {}, relation() {}, insert() {} }
  const decoder = new PgoutputDecoder(handler, { protocolVersion: 1, streaming: 'off' })
  decoder.tape = new Tape(2 * COLUMNS.length * ROWS)
  for (const message of [beginMessage(100n), relationMessage()]) decoder.decode(message, 0, message.length)
  const { bytes, ends } = joined(texts.map(insertMessage))
  return time(() => {
    decoder.tape.length = 0
    for (let i = 0; i < ROWS; i++) decoder.decode(bytes, ends[i], ends[i + 1])
  })
}

function measurePeerDecode() {
  const plugin = new PgoutputPlugin({ protoVersion: 1, publicationNames: ['bench'] })
  plugin.parse(relationMessage())
  const messages = texts.map(insertMessage)
  return time(() => {
    for (const message of messages) if (plugin.parse(message).tag !== 'insert') throw new Error('a message was lost')
  })
}

async function measureCollector() {
  const collector = await makeCollector()
  let lsn = 1000n
  const messages = texts.map(insertMessage)
  const { bytes, ends } = joined([beginMessage(lsn), ...messages, commitMessage(lsn)])
  return time(() => {
    bytes.writeBigInt64BE(lsn, 1) // Begin's LSN: each transaction comes later than the one before
    for (let i = 0; i < ends.length - 1; i++) {
      if (i === ends.length - 2) {
        bytes.writeBigInt64BE(lsn, ends[i] + 2)
        bytes.writeBigInt64BE(lsn + 48n, ends[i] + 10)
      }
      collector.collect(bytes, ends[i], ends[i + 1], i)
    }
    lsn += 1000n
    if (collector.take().batch.count !== ROWS) throw new Error('rows are missing')
  })
}

function measureCopy() {
  const { bytes, ends } = joined(texts.map(copyRow))
  const work = Buffer.alloc(bytes.length)
  const view = viewOf(work)
  const tape = new Tape(2 * COLUMNS.length * ROWS)
  return time(
    () => {
      for (let i = 0; i < ROWS; i++) readCopyRow(work, view, ends[i], ends[i + 1], COLUMNS.length, tape)
    },
    () => {
      bytes.copy(work) // escapes are undone in place
      tape.length = 0
    },
  )
}

function measurePeerCopy() {
  const { bytes, ends } = joined(texts.map(copyRow))
  return time(() => {
    for (let i = 0; i < ROWS; i++) {
      if (bytes.toString('utf8', ends[i], ends[i + 1]).split('\t').length < 2) throw new Error('a column was lost')
    }
  })
}

function measureRowCollector() {
  const { bytes, ends } = joined(texts.map(copyRow))
  const work = Buffer.alloc(bytes.length)
  const collector = new RowCollector(shape, COLUMNS.length, '0/16B3748')
  return time(
    () => {
      for (let i = 0; i < ROWS; i++) collector.collect(work, ends[i], ends[i + 1])
    },
    () => {
      bytes.copy(work)
      collector.take()
    },
  )
}

function measureNdjson(format, batch) {
  const encoder = new NdjsonEncoder({ format })
  const writer = new ByteWriter(1024 * 1024)
  return time(() => {
    encoder.write(writer, batch)
    writer.clear()
  })
}

/** The row, with the choice of its record; NULLs make the connector's record another one. */
function measureAvro(options, batch) {
  const { payload } = avroTable(shape, options)
  const writer = new ByteWriter(1024 * 1024)
  const { heads, buffers, views, tape } = batch
  return time(() => {
    for (let head = 0; head < batch.count * HEAD; head += HEAD) {
      const buffer = heads[head + HEAD_BUFFER]
      const at = heads[head + HEAD_NEW]
      const record = payload.recordFor(buffers[buffer], tape.values, at, NO_FALLBACK)
      record.write(writer, buffers[buffer], views[buffer], tape.values, at, NO_FALLBACK)
    }
    writer.clear()
  })
}

function measureStringify(shaped) {
  const records = typed.map(shaped)
  const out = Buffer.alloc(1024 * 1024)
  return time(() => {
    let length = 0
    for (const record of records) length += out.write(`${JSON.stringify(record)}\n`, length)
  })
}

async function streamed() {
  const collector = await makeCollector()
  const { bytes, ends } = joined([beginMessage(1000n), ...texts.map(insertMessage), commitMessage(1000n)])
  for (let i = 0; i < ends.length - 1; i++) collector.collect(bytes, ends[i], ends[i + 1], i)
  const { batch } = collector.take()
  batch.tables.push(shape)
  return batch
}

function snapshotRows() {
  const { bytes, ends } = joined(texts.map(copyRow))
  const collector = new RowCollector(shape, COLUMNS.length, '0/16B3748')
  for (let i = 0; i < ROWS; i++) collector.collect(bytes, ends[i], ends[i + 1], i)
  return collector.take()
}

async function makeCollector() {
  const shapes = new ShapeRegistry({ captures: () => true, compile: async () => shape })
  const origin = { system: '1', timeline: 1, database: 'bench', slot: 'bench', epoch: 1 }
  const place = { lsn: 0n, seq: -1, sub: 0, end: 0n, fingerprint: 0, snapshot: undefined }
  const resumed = new StreamPosition(origin, place)
  const collector = new ChangeCollector({ origin, shapes, resumed, messages: () => false, onRedeliveryChange: 'stop' })
  for (const message of [beginMessage(100n), relationMessage(), commitMessage(100n)]) {
    collector.collect(message, 0, message.length, 0)
  }
  return collector
}

/** Best and median ns a row of `pass` over all rows; `before` runs before each, and is not counted. */
function time(pass, before = () => {}) {
  const found = []
  const begun = performance.now()
  for (let at = begun; at - begun < WARM_UP_MS + MEASURE_MS; at = performance.now()) {
    before()
    const started = process.hrtime.bigint()
    pass()
    const ns = Number(process.hrtime.bigint() - started)
    if (at - begun >= WARM_UP_MS) found.push(ns / ROWS)
  }
  return { best: found.reduce((least, one) => Math.min(least, one)), middle: median(found) }
}

function joined(parts) {
  const ends = [0]
  for (const part of parts) ends.push(ends.at(-1) + part.length)
  return { bytes: Buffer.concat(parts), ends }
}

function chunks(bytes) {
  const count = Math.ceil(bytes.length / CHUNK)
  return Array.from({ length: count }, (_, i) => bytes.subarray(i * CHUNK, (i + 1) * CHUNK))
}

/** What a client that decodes makes of a row. */
function toValues([id, customer, status, amount, created, note, active, score]) {
  return {
    id: Number(id),
    customer: Number(customer),
    status,
    amount,
    created,
    note,
    active: active === 't',
    score: Number(score),
  }
}

function toRecord(row, seq) {
  return {
    operation: 'create',
    schema: 'public',
    table: 'bench',
    key: { id: row.id },
    after: row,
    lsn: '0/16B3748',
    seq,
    xid: 741,
    committedAt: '2026-11-21T10:00:00.123456Z',
    id: `0/16B3748/${seq}`,
  }
}
