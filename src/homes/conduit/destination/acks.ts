import { ProtoWriter } from '../source/protoWriter.js'
import type { IncomingRecord } from './incoming.js'

/** `Destination.Run.Response`: repeated Ack acks = 1. */
const ACK = 0x0a
/** `Ack`. */
const POSITION = 0x0a
const ERROR = 0x12

const writer = new ProtoWriter()

/** The acknowledgements of records, in their order, as a `Destination.Run.Response`. `errors`: by index. */
export function acksOf(records: readonly IncomingRecord[], errors: ReadonlyMap<number, string>): Buffer {
  for (const [index, { position }] of records.entries()) {
    const ack = writer.open(ACK)
    writer.field(POSITION, position)
    const error = errors.get(index)
    if (error !== undefined) writer.field(ERROR, Buffer.from(error))
    writer.close(ack)
  }
  return writer.take()
}
