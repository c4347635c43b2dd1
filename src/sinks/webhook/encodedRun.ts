import type { LineEncoder } from '../../codec/lines/lineEncoder.js'
import { ByteWriter } from '../../core/byteWriter.js'
import { VALUE_MALFORMED } from '../../core/errors.js'
import { VALUE_MISFIT } from '../../core/pipelineErrors.js'
import { HEAD, HEAD_OPERATION, UPDATE } from '../../core/rowBatch.js'
import type { TailraceError } from '../../core/tailraceError.js'
import type { Batch } from '../../source/batch.js'
import { tooLong } from '../files/encodeRecords.js'
import type { Reject } from '../sink.js'
import type { LinePiece } from './lineMemory.js'

const NEWLINE = 0x0a

/** Some records of a batch as lines of JSON behind one another, without an object for any of them. */
export interface EncodedRun {
  readonly batch: Batch
  readonly reject: Reject | undefined
  /** Where the bytes are, until all lines in it are delivered; others' are among them. */
  readonly piece: LinePiece
  readonly parts: readonly Uint8Array[]
  /** Of each line the index of its record: of Debezium's format two lines may be of one. */
  readonly records: readonly number[]
  /** Where in the parts each line ends, and the first begins. */
  readonly start: number
  readonly ends: readonly number[]
}

export interface RunEncoding {
  readonly encoder: LineEncoder
  /** An update may make two lines. */
  readonly isDebezium: boolean
  /** What ends each line in place of the newline. */
  readonly separator: number
  readonly maxLineBytes: number | undefined
}

/** Who cannot be written, or makes too long a line, goes to `reject`; without that the first one is thrown. */
export function encodeRuns(
  encoding: RunEncoding,
  piece: LinePiece,
  batch: Batch,
  groups: readonly (readonly number[])[],
  reject: Reject | undefined,
): readonly (EncodedRun | undefined)[] {
  const { writer } = piece
  const runs = groups.map((indexes) =>
    indexes.length === 0 ? undefined : encodeRun(encoding, writer, batch, indexes, reject),
  )
  const parts = writer.take()
  piece.add(runs.reduce((sum, run) => sum + (run?.ends.length ?? 0), 0))
  return runs.map((run) => run && { batch, reject, piece, parts, ...run })
}

type Lines = Pick<EncodedRun, 'records' | 'start' | 'ends'>

function encodeRun(
  encoding: RunEncoding,
  writer: ByteWriter,
  batch: Batch,
  indexes: readonly number[],
  reject: Reject | undefined,
): Lines | undefined {
  const { encoder, isDebezium, separator, maxLineBytes = Number.POSITIVE_INFINITY } = encoding
  const { rows } = batch
  const mark = writer.mark()
  const records: number[] = []
  const ends: number[] = []
  let size = mark.bytes
  try {
    for (const index of indexes) {
      if (isDebezium && rows.heads[index * HEAD + HEAD_OPERATION] === UPDATE) {
        carefully(encoding, writer, batch, { index, records, ends, reject })
      } else {
        encoder.write(writer, rows, index, index + 1)
        // It has no line.
        if (writer.size === size) continue
        if (writer.size - size > maxLineBytes) throw tooLong(batch, index, writer.size - size, maxLineBytes)
        writer.bytes[writer.length - 1] = separator
        records.push(index)
        ends.push(writer.size)
      }
      size = writer.size
    }
  } catch (error) {
    if (reject === undefined) throw error
    records.length = ends.length = 0
    writer.rewind(mark)
    for (const index of indexes) carefully(encoding, writer, batch, { index, records, ends, reject })
  }
  return ends.length === 0 ? undefined : { records, start: mark.bytes, ends }
}

interface Careful {
  readonly index: number
  readonly records: number[]
  readonly ends: number[]
  readonly reject: Reject | undefined
}

/** One record, whose lines are copied when they are known to be right. */
function carefully(
  { encoder, separator, maxLineBytes = Number.POSITIVE_INFINITY }: RunEncoding,
  writer: ByteWriter,
  batch: Batch,
  { index, records, ends, reject }: Careful,
): void {
  let problem: TailraceError | undefined
  const apart = new ByteWriter(4096)
  try {
    encoder.write(apart, batch.rows, index, index + 1)
  } catch (error) {
    if (!VALUE_MALFORMED.is(error) && !VALUE_MISFIT.is(error)) throw error
    problem = error
  }
  const bytes = apart.toBuffer()
  const lines: Buffer[] = []
  for (let from = 0; from < bytes.length && problem === undefined; ) {
    const end = bytes.indexOf(NEWLINE, from) + 1
    if (end - from > maxLineBytes) problem = tooLong(batch, index, end - from, maxLineBytes)
    lines.push(bytes.subarray(from, end))
    from = end
  }
  if (problem !== undefined) {
    if (reject === undefined) throw problem
    reject(index, problem)
    return
  }
  for (const line of lines) {
    writer.write(line)
    writer.bytes[writer.length - 1] = separator
    records.push(index)
    ends.push(writer.size)
  }
}

/** The bytes from one place in these parts to another, as they lie there. */
export function slicesOf(parts: readonly Uint8Array[], from: number, to: number): Uint8Array[] {
  const slices: Uint8Array[] = []
  let start = 0
  for (const part of parts) {
    const end = start + part.length
    if (end > from && start < to) slices.push(part.subarray(Math.max(0, from - start), Math.min(to, end) - start))
    start = end
  }
  return slices
}
