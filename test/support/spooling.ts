import type { WalMessage, WalMessages } from '../../src/source/intake.js'
import { TransactionSpool } from '../../src/source/spool/transactionSpool.js'
import { PgoutputRecorder } from './pgoutputRecorder.js'
import type { PgoutputEvent } from './pgoutputTwin.js'

export interface SpoolingOptions {
  readonly folder: string
  readonly memoryBytes?: number
  readonly maxBytes?: number
}

/** A spool that is fed by hand, and what it gives on, as far as it was asked for. */
export class Spooling {
  readonly spool: TransactionSpool
  readonly failures: unknown[] = []
  readonly progress: { readonly xid: number; readonly bytes: number }[] = []
  #given: (WalMessage | WalMessages)[] = []
  #room = () => {}

  constructor({ folder, memoryBytes = 1 << 24, maxBytes }: SpoolingOptions) {
    this.spool = new TransactionSpool({
      folder,
      memoryBytes,
      maxBytes,
      intake: {
        wal: (bytes, start, end, walPlace) => this.#given.push({ bytes, start, end, walPlace }),
        insert: (messages) => this.#given.push(messages),
      },
      onRoom: () => this.#room(),
      onProgress: (xid, bytes) => this.progress.push({ xid, bytes }),
      onFailure: (error) => this.failures.push(error),
    })
  }

  /** As the socket does it: rests while the spool is full. Each message is amid other bytes, of which none may change. */
  async feed(messages: readonly Buffer[]): Promise<void> {
    for (const [index, message] of messages.entries()) {
      const chunk = Buffer.concat([AMID, message, AMID])
      this.spool.wal(chunk, AMID.length, AMID.length + message.length, index)
      if (!chunk.subarray(0, AMID.length).equals(AMID) || !chunk.subarray(-AMID.length).equals(AMID)) {
        throw new Error('bytes outside the message were changed')
      }
      if (!this.spool.full) continue
      await new Promise<void>((resolve) => {
        this.#room = resolve
      })
    }
  }

  /** What came until now, as messages of protocol 1. */
  async taken(): Promise<WalMessage[]> {
    const messages: WalMessage[] = []
    for (const given of this.#given.splice(0)) {
      if (!('next' in given)) messages.push(given)
      else
        for (let part = await given.next(); part.done !== true; part = await given.next()) messages.push(...part.value)
    }
    return messages
  }

  /** The same, decoded. */
  async events(): Promise<PgoutputEvent[]> {
    return eventsOf((await this.taken()).map(({ bytes, start, end }) => bytes.subarray(start, end)))
  }
}

/** What a decoder of protocol 1 makes of messages. */
export function eventsOf(messages: readonly Buffer[]): PgoutputEvent[] {
  const recorder = new PgoutputRecorder({ protocolVersion: 1, streaming: 'off' })
  return messages.map((message) => recorder.decode(message))
}

const AMID = Buffer.from('amid other bytes')

/** Messages of protocol 2, made by hand. */
export const streamedMessages = {
  start: (xid: number, first = true) => Buffer.concat([Buffer.from('S'), int32(xid), Buffer.from([first ? 1 : 0])]),
  stop: () => Buffer.from('E'),
  /** A message of protocol 1 as it is in a streamed block. */
  inBlock: (xid: number, message: Buffer) => Buffer.concat([message.subarray(0, 1), int32(xid), message.subarray(1)]),
  commit: (xid: number, lsn: bigint, end: bigint) =>
    Buffer.concat([Buffer.from('c'), int32(xid), Buffer.from([0]), int64(lsn), int64(end), int64(5n)]),
  abort: (xid: number, subxid: number) => Buffer.concat([Buffer.from('A'), int32(xid), int32(subxid)]),
}

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}

function int64(value: bigint): Buffer {
  const bytes = Buffer.alloc(8)
  bytes.writeBigInt64BE(value)
  return bytes
}
