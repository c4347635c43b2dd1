import type { Batch } from '../../../source/batch.js'
import { openLengthAt, ProtoWriter } from './protoWriter.js'
import { positionStart } from './recordMessages.js'
import { POSITION, RECORD } from './recordTags.js'

/** The last record of a batch, which may be sent with a position further on than its own. */
export class HeldRecord {
  readonly batch: Batch
  readonly index: number
  /** It was made already. */
  readonly bytes: Buffer | undefined

  private constructor(batch: Batch, index: number, bytes: Buffer | undefined) {
    this.batch = batch
    this.index = index
    this.bytes = bytes
  }

  /** It is to be written. */
  static ofRow(batch: Batch, index: number): HeldRecord {
    return new HeldRecord(batch, index, undefined)
  }

  /** It was made: of `bytes` a copy is kept. */
  static ofBytes(batch: Batch, bytes: Buffer): HeldRecord {
    return new HeldRecord(batch, batch.length - 1, Buffer.from(bytes))
  }

  /** What was made, with another position; undefined: with its own. */
  withPosition(position: string | undefined): Buffer {
    const made = this.bytes!
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
