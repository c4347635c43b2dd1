import type { Batch } from '../../../source/batch.js'
import { openLengthAt, ProtoWriter } from './protoWriter.js'
import { positionStart } from './recordMessages.js'
import { POSITION, RECORD } from './recordTags.js'

/** The last record of a batch, which may be sent with a position further on than its own. */
export class HeldRecord {
  readonly batch: Batch
  readonly #bytes: Buffer

  /** Of `bytes`, which are the record, a copy is kept. */
  constructor(batch: Batch, bytes: Buffer) {
    this.batch = batch
    this.#bytes = Buffer.from(bytes)
  }

  /** What was made, with another position; undefined: with its own. */
  withPosition(position: string | undefined): Buffer {
    const made = this.#bytes
    if (position === undefined) return made
    const own = positionStart(0)
    const writer = new ProtoWriter()
    const record = writer.open(RECORD)
    const start = writer.open(POSITION)
    writer.writeText(position)
    writer.close(start)
    writer.write(made.subarray(own + openLengthAt(made, own)))
    writer.close(record)
    return writer.copy()
  }
}
