import { OPEN_BYTES, openLengthAt, ProtoWriter } from './protoWriter.js'

/** One that is to be sent. */
export interface RecordMessage {
  readonly parts: readonly Buffer[]
  /** Of its last record. */
  readonly lastPosition: Buffer
  /** Nobody reads it any more. */
  readonly done: () => void
}

/**
 * Records on their way into a `Source.Run.Response`: written one by one, or many that were made elsewhere, which stay where
 * they lie.
 */
export class RecordMessages {
  readonly writer = new ProtoWriter()
  /** Records of the next message. */
  count = 0
  #parts: Buffer[] = []
  #partBytes = 0
  #done: (() => void)[] = []
  /** Where the last record begins: in the writer, or in the last part. */
  #last = 0
  /** In the writer: behind its last record. */
  #end = 0

  /** Bytes of the next message. */
  get bytes(): number {
    return this.#partBytes + this.writer.length
  }

  /** A record was written, from there to the writer's end. */
  wrote(start: number): void {
    this.#last = start
    this.#end = this.writer.length
    this.count++
  }

  /** What is written and is no record yet will be none. */
  rewind(): void {
    this.writer.rewind(this.#end)
  }

  /** So many records, the last of them from `last` on. */
  append(records: Buffer, count: number, last: number, done: () => void): void {
    this.#seal()
    this.#parts.push(records)
    this.#done.push(done)
    this.#partBytes += records.length
    this.#last = last
    this.count += count
  }

  /** Begins the next message. There must be a record. */
  take(): RecordMessage {
    this.#seal()
    const parts = this.#parts
    const done = this.#done
    const start = positionStart(this.#last)
    const last = parts.at(-1)!
    const lastPosition = Buffer.from(last.subarray(start, start + openLengthAt(last, start)))
    this.#parts = []
    this.#done = []
    this.#partBytes = this.count = 0
    return {
      parts,
      lastPosition,
      done: () => {
        for (const one of done) one()
      },
    }
  }

  #seal(): void {
    if (this.#end === 0) return
    const message = this.writer.take()
    this.#end = 0
    this.#parts.push(message)
    this.#partBytes += message.length
    this.#done.push(() => this.writer.reuse(message))
  }
}

/** Where the position begins of the record at `record`, in which it stands first. */
export function positionStart(record: number): number {
  return record + 2 * OPEN_BYTES
}
