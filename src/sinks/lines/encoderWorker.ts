import { parentPort } from 'node:worker_threads'
import { WRITERS } from '../../codec/builtin.js'
import { readText } from '../../codec/value/text.js'
import { ByteWriter } from '../../core/byteWriter.js'
import { type PackedRows, unpackRows } from '../../core/packedRows.js'
import type { RowBatch } from '../../core/rowBatch.js'
import { Table } from '../../core/table.js'
import { readCopyRow } from '../../postgres/copy/row.js'

/** A table's shape without functions, which cannot be told to a thread: of each column the form that writes it. */
export type PlainTable = Omit<Table, 'codecs'> & { readonly forms: readonly number[] }

export interface EncodeJob<Task> {
  /** Those that were not told before; tables are numbered as they are told. */
  readonly newTables: readonly PlainTable[]
  /** Numbers of the batch's tables. */
  readonly tables: readonly number[]
  readonly rows: PackedRows
  readonly task: Task
  readonly input: ArrayBuffer
  /** To write into, if it is enough. */
  readonly output: ArrayBuffer
}

export interface EncodedJob<Told> {
  readonly lines: readonly Uint8Array[]
  readonly told: Told
  readonly input: ArrayBuffer
  /** Free again once the lines were written. */
  readonly output: ArrayBuffer
}

/**
 * In a thread of an `EncoderThread`: makes its lines by `encode`. One job after another, each answered in turn. What throws
 * ends the thread, and with it the run.
 */
export function serveEncoder<Task, Told>(encode: (writer: ByteWriter, rows: RowBatch, task: Task) => Told): void {
  const known: Table[] = []
  parentPort?.on('message', ({ newTables, tables, rows, task, input, output }: EncodeJob<Task>) => {
    for (const { forms, ...shape } of newTables) {
      const codecs = forms.map((form) => ({ form, writeJson: WRITERS[form]!, readValue: readText }))
      known.push(new Table({ ...shape, codecs }))
    }
    const writer = new ByteWriter(output)
    const named = tables.map((number) => known[number]!)
    const batch = unpackRows(rows, input, named, readCopyRow)
    const told = encode(writer, batch, task)
    batch.giveUp()
    const lines = writer.take()
    const encoded: EncodedJob<Told> = { lines, told, input, output: writer.bytes.buffer as ArrayBuffer }
    // Long values lie in the input still.
    const memory = new Set([input, encoded.output, ...lines.map(({ buffer }) => buffer as ArrayBuffer)])
    parentPort!.postMessage(encoded, [...memory])
  })
  // Loaded: a job begins at once from now on.
  parentPort?.postMessage('ready')
}
