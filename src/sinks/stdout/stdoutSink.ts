import { type LineEncoder, type LineOptions, lineEncoder } from '../../codec/lines/lineEncoder.js'
import { ByteWriter } from '../../core/byteWriter.js'
import type { Batch } from '../../source/batch.js'
import { encodeRecords } from '../files/encodeRecords.js'
import { formatSetting, lineOptions } from '../files/lineFormat.js'
import { Output } from '../files/output.js'
import { maxLineBytesSetting } from '../files/settings.js'
import type { Reject, Sink, SinkMark } from '../sink.js'
import { sinkType } from '../sinkType.js'

const stdoutSettings = {
  format: formatSetting,
  maxLineBytes: maxLineBytesSetting,
}

/** Lines of JSON on standard output: at least once, since nobody can take back what was read from a pipe. */
export class StdoutSink implements Sink {
  readonly forgets = true
  readonly #encoder: LineEncoder
  readonly #writer = new ByteWriter()
  readonly #output = Output.stdout()
  readonly #maxLineBytes: number | undefined

  constructor(lines: LineOptions, maxLineBytes?: number) {
    this.#encoder = lineEncoder(lines)
    this.#maxLineBytes = maxLineBytes
  }

  async open(): Promise<undefined> {}

  async write(batch: Batch, reject?: Reject): Promise<void> {
    this.#writer.clear()
    const maxBytes = this.#maxLineBytes
    encodeRecords(this.#encoder, this.#writer, batch, { from: 0, to: batch.length, maxBytes, reject })
    await this.#output.write(this.#writer.take())
  }

  /** What the system took is out of our hands. */
  async flush(): Promise<SinkMark> {
    return null
  }

  async close(): Promise<void> {}
}

export const stdoutSinkType = sinkType({
  settings: stdoutSettings,
  claims: () => 'standard output',
  create: ({ format, maxLineBytes }, place) => new StdoutSink(lineOptions(format, place), maxLineBytes),
})
