import { type LineEncoder, type LineOptions, lineEncoder } from '../../codec/lines/lineEncoder.js'
import { ByteWriter } from '../../core/byteWriter.js'
import type { Batch } from '../../source/batch.js'
import { encodeRecords } from '../files/encodeRecords.js'
import type { Reject } from '../sink.js'
import type { SinkPlace } from '../sinkType.js'

/** A version of what docs/sinks/websocket.md says. */
const PROTOCOL = 1
const NEWLINE = 0x0a
const COMMA = 0x2c
/** So many records are encoded between two looks at the length of a frame. */
const SLICE = 64

/** What comes first on each connection. */
export function helloFrame({ pipeline, sink }: Pick<SinkPlace, 'pipeline' | 'sink'>): string {
  return JSON.stringify({ type: 'hello', protocol: PROTOCOL, pipeline, sink })
}

/** `lines` of JSON as a frame of records. They are changed. */
export function recordsFrame(id: number, lines: Buffer): Buffer {
  for (let at = lines.indexOf(NEWLINE); at >= 0; at = lines.indexOf(NEWLINE, at + 1)) lines[at] = COMMA
  const head = Buffer.from(`{"type":"records","id":${id},"records":[`)
  return Buffer.concat([head, lines.subarray(0, -1), Buffer.from(']}')])
}

/** Each line by itself, without its end. */
export function singleFrames(lines: Buffer): readonly Buffer[] {
  const frames: Buffer[] = []
  for (let start = 0; start < lines.length; ) {
    const end = lines.indexOf(NEWLINE, start)
    frames.push(lines.subarray(start, end))
    start = end + 1
  }
  return frames
}

/** The id that a peer's frame acknowledges; undefined: it is of another type, which is for later versions. */
export function readAck(frame: Buffer, isBinary: boolean): { readonly id: number } | undefined | 'invalid' {
  if (isBinary) return 'invalid'
  let json: unknown
  try {
    json = JSON.parse(frame.toString())
  } catch {
    return 'invalid'
  }
  if (typeof json !== 'object' || json === null) return 'invalid'
  const { type, id } = json as { readonly type?: unknown; readonly id?: unknown }
  if (typeof type !== 'string') return 'invalid'
  if (type !== 'ack') return undefined
  return Number.isSafeInteger(id) ? { id: id as number } : 'invalid'
}

/** Makes the lines of frames: of about so many bytes, or of one record that has more. */
export class FrameLines {
  readonly #lines: LineOptions
  readonly #frameBytes: number
  readonly #maxBytes: number | undefined
  readonly #writer = new ByteWriter()
  #encoder: LineEncoder

  constructor(lines: LineOptions, frameBytes: number, maxLineBytes: number | undefined) {
    this.#lines = lines
    this.#frameBytes = frameBytes
    this.#maxBytes = maxLineBytes
    this.#encoder = lineEncoder(lines)
  }

  /** As if nothing had been encoded yet. */
  clear(): void {
    this.#encoder = lineEncoder(this.#lines)
    this.#writer.clear()
  }

  /** The lines of each frame, in memory of its own; none for records that have no line. */
  *of(batch: Batch, reject: Reject | undefined): Generator<Buffer> {
    for (let from = 0; from < batch.length; from += SLICE) {
      const to = Math.min(batch.length, from + SLICE)
      encodeRecords(this.#encoder, this.#writer, batch, { from, to, maxBytes: this.#maxBytes, reject })
      const isLast = to === batch.length
      if (this.#writer.size === 0 || (!isLast && this.#writer.size < this.#frameBytes)) continue
      const lines = this.#writer.toBuffer()
      this.#writer.clear()
      yield* this.#cut(lines)
    }
  }

  *#cut(lines: Buffer): Generator<Buffer> {
    for (let start = 0; start < lines.length; ) {
      const rest = lines.length - start
      const within =
        rest <= this.#frameBytes ? lines.length - 1 : lines.lastIndexOf(NEWLINE, start + this.#frameBytes - 1)
      const end = (within >= start ? within : lines.indexOf(NEWLINE, start)) + 1
      yield lines.subarray(start, end)
      start = end
    }
  }
}
