import { writeJsonString } from '../codec/json/text.js'
import { ByteWriter } from '../core/byteWriter.js'
import type { Transaction } from '../core/record.js'
import {
  HEAD,
  HEAD_BUFFER,
  HEAD_FINGERPRINT,
  HEAD_NEW,
  HEAD_SEQ,
  HEAD_SUB,
  HEAD_TRANSACTION,
  type RowBatch,
} from '../core/rowBatch.js'
import { formatLsn } from '../postgres/lsn.js'
import type { Batch } from './batch.js'
import { type Origin, OUTSIDE_TRANSACTION, StreamPosition } from './position.js'
import { type ReadingSteps, upToText } from './scan/progress.js'

/** Where it is written to. */
export interface PositionWriter {
  write(bytes: Uint8Array): void
  /** In UTF-8. */
  writeText(text: string): void
  /** All that another writer has. */
  writeFrom(from: ByteWriter): void
  writeDigits(value: number): void
}

const SUB = Buffer.from(',"sub":')
const FINGERPRINT = Buffer.from(',"fingerprint":')
const END = Buffer.from('}')
const TO = Buffer.from(',"to":[')
const TO_END = Buffer.from(']}}}')
const STEP_END = Buffer.from('}}}')

/**
 * Writes the text of each record's position (which says what `position.toString()` does), for hosts that store one with every
 * record: of records that follow one another in a transaction only two numbers differ.
 */
export class PositionText {
  readonly #pack: (beginning: string) => string
  #origin: Origin | undefined
  #start = ''
  #transaction: Transaction | undefined
  #head: Buffer = Buffer.alloc(0)
  #steps: ReadingSteps | undefined
  #stepHead: Buffer = Buffer.alloc(0)
  readonly #scratch = new ByteWriter(256)

  /** `pack`: what is written instead of a beginning that many positions have in common. */
  constructor(pack: (beginning: string) => string = (beginning) => beginning) {
    this.#pack = pack
  }

  write(writer: PositionWriter, batch: Batch, index: number): void {
    const { rows } = batch
    const head = index * HEAD
    const { heads } = rows
    const seq = heads[head + HEAD_SEQ]!
    if (batch.steps !== undefined && index < rows.count - 1) return this.#writeStep(writer, batch, batch.steps, index)
    const transaction = rows.transactions[heads[head + HEAD_TRANSACTION]!]
    if (!batch.isStreamed || seq === OUTSIDE_TRANSACTION || transaction === undefined) {
      return writer.writeText(batch.at(index)!.position.toString())
    }
    if (index === rows.count - 1) return this.#writeLast(writer, batch.position as StreamPosition, transaction, seq)
    this.#enter((batch.position as StreamPosition).origin, transaction)
    this.#writeRow(writer, seq, heads[head + HEAD_SUB]!)
    writer.write(FINGERPRINT)
    writer.writeDigits(heads[head + HEAD_FINGERPRINT]!)
    writer.write(END)
  }

  /** That of the batch, which may be further than its last row: behind the transaction, or idle. */
  #writeLast(writer: PositionWriter, position: StreamPosition, transaction: Transaction, rowSeq: number): void {
    const { lsn, seq, sub, end, fingerprint, polling } = position.place
    if (lsn !== transaction.commitLsn || seq !== rowSeq || polling !== undefined) {
      return writer.writeText(position.toString())
    }
    this.#enter(position.origin, transaction)
    this.#writeRow(writer, seq, sub)
    if (end === undefined) {
      writer.write(FINGERPRINT)
      writer.writeDigits(fingerprint)
      writer.write(END)
    } else writer.writeText(`,"end":"${formatLsn(end)}"}`)
  }

  #writeRow(writer: PositionWriter, seq: number, sub: number): void {
    writer.write(this.#head)
    writer.writeDigits(seq)
    writer.write(SUB)
    writer.writeDigits(sub)
  }

  /** Of rows that are read only their number and key differ. */
  #writeStep(writer: PositionWriter, { position, rows }: Batch, steps: ReadingSteps, index: number): void {
    if (steps !== this.#steps) {
      this.#steps = steps
      const { origin, place } = position as StreamPosition
      const base = new StreamPosition(origin, { ...place, snapshot: steps.base }).toString()
      // Inside of the progress, which stands last.
      this.#stepHead = Buffer.from(this.#pack(`${base.slice(0, -2)},${upToText(steps)}`))
    }
    writer.write(this.#stepHead)
    writer.writeDigits(steps.base.rows + index + 1)
    const { stretch } = steps
    if (stretch === undefined) return writer.write(STEP_END)
    if (stretch.columns === undefined) {
      return writer.writeText(`,"to":${JSON.stringify(stretch.keyOf(index))}}}}`)
    }
    writer.write(TO)
    this.#writeKey(writer, rows, index, stretch.columns)
    writer.write(TO_END)
  }

  /** As the key's texts stand in JSON, from the bytes of the row. */
  #writeKey(
    writer: PositionWriter,
    { heads, buffers, tape }: RowBatch,
    index: number,
    columns: readonly number[],
  ): void {
    const head = index * HEAD
    const bytes = buffers[heads[head + HEAD_BUFFER]!]!
    const at = heads[head + HEAD_NEW]!
    const scratch = this.#scratch
    scratch.clear()
    for (let i = 0; i < columns.length; i++) {
      if (i > 0) scratch.writeAscii(',')
      const pair = at + 2 * columns[i]!
      writeJsonString(scratch, bytes, tape.values[pair]!, tape.values[pair + 1]!)
    }
    writer.writeFrom(scratch)
  }

  #enter(origin: Origin, transaction: Transaction): void {
    if (transaction === this.#transaction && origin === this.#origin) return
    if (origin !== this.#origin) {
      this.#origin = origin
      this.#start = this.#pack(JSON.stringify({ version: 1, ...origin }).slice(0, -1))
    }
    this.#transaction = transaction
    this.#head = Buffer.from(`${this.#start},"lsn":"${formatLsn(transaction.commitLsn)}","seq":`)
  }
}
