import type { LineEncoder } from '../../codec/lines/lineEncoder.js'
import type { ByteWriter } from '../../core/byteWriter.js'
import { VALUE_MALFORMED } from '../../core/errors.js'
import { LINE_TOO_LONG, VALUE_MISFIT } from '../../core/pipelineErrors.js'
import type { TailraceError } from '../../core/tailraceError.js'
import { sqlName } from '../../postgres/identifier.js'
import type { Batch } from '../../source/batch.js'
import type { Reject } from '../sink.js'

export interface EncodeOptions {
  /** Of a line; undefined: there is no limit. */
  readonly maxBytes: number | undefined
  readonly reject: Reject | undefined
}

/** Records as lines. Those that have none, or one that is too long, go to `reject`; without that the first one is thrown. */
export function encodeRecords(
  encoder: LineEncoder,
  writer: ByteWriter,
  batch: Batch,
  range: EncodeOptions & { readonly from: number; readonly to: number },
): void {
  const { from, to, maxBytes = Number.POSITIVE_INFINITY, reject } = range
  if (from === to) return
  if (reject === undefined && maxBytes === Number.POSITIVE_INFINITY) return encoder.write(writer, batch.rows, from, to)
  const before = writer.mark()
  let problem: TailraceError
  try {
    encoder.write(writer, batch.rows, from, to)
    const bytes = writer.size - before.bytes
    if (bytes <= maxBytes) return
    problem = tooLong(batch, from, bytes, maxBytes)
  } catch (error) {
    if (!VALUE_MALFORMED.is(error) && !VALUE_MISFIT.is(error)) throw error
    problem = error
  }
  writer.rewind(before)
  if (to - from === 1) {
    if (reject === undefined) throw problem
    return reject(from, problem)
  }
  const middle = (from + to) >> 1
  encodeRecords(encoder, writer, batch, { ...range, to: middle })
  encodeRecords(encoder, writer, batch, { ...range, from: middle })
}

/** A record's line is longer than those who read it take. */
export function tooLong(batch: Batch, index: number, bytes: number, limit: number): TailraceError {
  const { id, table } = batch.at(index)!
  return LINE_TOO_LONG({ table: table === undefined ? 'a logical message' : sqlName(table), id, bytes, limit })
}
