import { parentPort, workerData } from 'node:worker_threads'
import { WRITERS } from '../codec/builtin.js'
import { NdjsonEncoder, type NdjsonOptions } from '../codec/ndjson.js'
import { readText } from '../codec/value/text.js'
import { ByteWriter } from '../core/byteWriter.js'
import { type PackedRows, unpackRows } from '../core/packedRows.js'
import { Table } from '../core/table.js'

/** A table's shape without functions, which cannot be told to a thread: of each column the form that writes it. */
export type PlainTable = Omit<Table, 'codecs'> & { readonly forms: readonly number[] }

export interface EncodeJob {
  /** Those that were not told before; tables are numbered as they are told. */
  readonly newTables: readonly PlainTable[]
  /** Numbers of the batch's tables. */
  readonly tables: readonly number[]
  readonly rows: PackedRows
  readonly input: ArrayBuffer
  /** To write into, if it is enough. */
  readonly output: ArrayBuffer
}

export interface EncodedJob {
  readonly lines: readonly Uint8Array[]
  readonly input: ArrayBuffer
  /** Free again once the lines were written. */
  readonly output: ArrayBuffer
}

const encoder = new NdjsonEncoder(workerData as NdjsonOptions)
const known: Table[] = []

// One job after another, each answered in turn. What throws here ends the thread, and with it the run.
parentPort?.on('message', ({ newTables, tables, rows, input, output }: EncodeJob) => {
  for (const { forms, ...shape } of newTables) {
    const codecs = forms.map((form) => ({ form, writeJson: WRITERS[form]!, readValue: readText }))
    known.push(new Table({ ...shape, codecs }))
  }
  const writer = new ByteWriter(output)
  const batch = unpackRows(
    rows,
    input,
    tables.map((number) => known[number]!),
  )
  encoder.write(writer, batch)
  const lines = writer.take()
  const encoded: EncodedJob = { lines, input, output: writer.bytes.buffer as ArrayBuffer }
  // Long values lie in the input still.
  const memory = new Set([input, encoded.output, ...lines.map(({ buffer }) => buffer as ArrayBuffer)])
  parentPort!.postMessage(encoded, [...memory])
})

// Loaded: a job begins at once from now on.
parentPort?.postMessage('ready')
