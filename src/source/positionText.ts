import type { ByteWriter } from '../core/byteWriter.js'
import type { Transaction } from '../core/record.js'
import { HEAD, HEAD_FINGERPRINT, HEAD_SEQ, HEAD_SUB, HEAD_TRANSACTION } from '../core/rowBatch.js'
import { formatLsn } from '../postgres/lsn.js'
import type { Batch } from './batch.js'
import { type Origin, OUTSIDE_TRANSACTION, StreamPosition } from './position.js'
import { type ReadingSteps, upToText } from './scan/progress.js'

type Out = Pick<ByteWriter, 'write' | 'writeAscii'>

/**
 * Writes the text of each record's position (which says what `position.toString()` does), for hosts that store one with every
 * record: of records that follow one another in a transaction only two numbers differ.
 */
export class PositionText {
  #origin: Origin | undefined
  #start = ''
  #transaction: Transaction | undefined
  #head: Buffer = Buffer.alloc(0)
  #steps: ReadingSteps | undefined
  #stepHead: Buffer = Buffer.alloc(0)

  write(writer: Out, batch: Batch, index: number): void {
    const { rows } = batch
    const head = index * HEAD
    const { heads } = rows
    const seq = heads[head + HEAD_SEQ]!
    if (batch.steps !== undefined && index < rows.count - 1) return this.#writeStep(writer, batch, batch.steps, index)
    if (!batch.isStreamed || index === rows.count - 1 || seq === OUTSIDE_TRANSACTION) {
      writer.write(Buffer.from(batch.at(index)!.position.toString()))
      return
    }
    this.#enter(batch.position as StreamPosition, rows.transactions[heads[head + HEAD_TRANSACTION]!]!)
    writer.write(this.#head)
    writer.writeAscii(`${seq},"sub":${heads[head + HEAD_SUB]!},"fingerprint":${heads[head + HEAD_FINGERPRINT]!}}`)
  }

  /** Of rows that are read only their number and key differ. */
  #writeStep(writer: Out, { position }: Batch, steps: ReadingSteps, index: number): void {
    if (steps !== this.#steps) {
      this.#steps = steps
      const { origin, place } = position as StreamPosition
      const base = new StreamPosition(origin, { ...place, snapshot: steps.base }).toString()
      // Inside of the progress, which stands last.
      this.#stepHead = Buffer.from(`${base.slice(0, -2)},${upToText(steps)}`)
    }
    writer.write(this.#stepHead)
    writer.writeAscii(String(steps.base.rows + index + 1))
    if (steps.stretch === undefined) writer.writeAscii('}}}')
    else writer.write(Buffer.from(`,"to":${JSON.stringify(steps.stretch.keyOf(index))}}}}`))
  }

  #enter({ origin }: StreamPosition, transaction: Transaction): void {
    if (transaction === this.#transaction && origin === this.#origin) return
    if (origin !== this.#origin) {
      this.#origin = origin
      this.#start = JSON.stringify({ version: 1, ...origin }).slice(0, -1)
    }
    this.#transaction = transaction
    this.#head = Buffer.from(`${this.#start},"lsn":"${formatLsn(transaction.commitLsn)}","seq":`)
  }
}
