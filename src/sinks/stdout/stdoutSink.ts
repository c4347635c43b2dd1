import * as z from 'zod'
import { NdjsonEncoder, type NdjsonOptions } from '../../codec/ndjson.js'
import { ByteWriter } from '../../core/byteWriter.js'
import { setting } from '../../core/setting.js'
import type { Batch } from '../../source/batch.js'
import { Output } from '../files/output.js'
import type { Sink, SinkMark } from '../sink.js'
import { sinkType } from '../sinkType.js'

const stdoutSettings = {
  format: setting(z.enum(['ndjson', 'row']).default('ndjson'), {
    description: 'ndjson: the whole record; row: only the row, of a delete its key.',
  }),
}

/** Lines of JSON on standard output: at least once, since nobody can take back what was read from a pipe. */
export class StdoutSink implements Sink {
  readonly #encoder: NdjsonEncoder
  readonly #writer = new ByteWriter()
  readonly #output = Output.stdout()

  constructor(options: NdjsonOptions) {
    this.#encoder = new NdjsonEncoder(options)
  }

  async open(): Promise<undefined> {}

  async write({ rows }: Batch): Promise<void> {
    this.#writer.clear()
    this.#encoder.write(this.#writer, rows)
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
  create: (settings) => new StdoutSink(settings),
})
