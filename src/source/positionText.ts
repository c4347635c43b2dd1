import type { Transaction } from '../core/record.js'
import { HEAD, HEAD_BUFFER, HEAD_FINGERPRINT, HEAD_NEW, HEAD_SEQ, HEAD_SUB, type RowBatch } from '../core/rowBatch.js'
import { formatLsn } from '../postgres/lsn.js'
import type { Batch } from './batch.js'
import { type Origin, OUTSIDE_TRANSACTION, StreamPosition } from './position.js'
import { type ReadingSteps, upToText } from './scan/progress.js'
import { type PositionWriter, stepOf, writePlace, writeStep } from './stepText.js'

/** What a text begins with that has nothing in common with others. */
const NO_BEGINNING = Buffer.alloc(0)

/** How a position is written. */
const OF_STEP = 0
const OF_ROW = 1
/** That of the batch, in the transaction of its last row. */
const OF_BATCH = 2
const AS_IT_IS = 3

/** What is written instead of a beginning that many positions have in common; what stands behind it tells. */
export interface PositionPacking {
  /** Behind it stands a step, as `stepText` reads it. */
  beforeStep(beginning: string): string
  /** Behind it stands a place, as `placeText` reads it. */
  beforePlace(beginning: string): string
}

/**
 * Writes each record's position (which says what `position.toString()` does), for hosts that store one with every record, in two
 * parts: the beginning is the same for records that follow one another, and the rest is short.
 */
export class PositionText {
  readonly #packing: PositionPacking
  #origin: Origin | undefined
  #start = ''
  #transaction: Transaction | undefined
  #head = NO_BEGINNING
  #steps: ReadingSteps | undefined
  #stepHead = NO_BEGINNING
  #how = AS_IT_IS

  constructor(packing: PositionPacking) {
    this.#packing = packing
  }

  /** What the position of the record at `index` begins with: the same buffer as long as it is the same. */
  beginningOf(batch: Batch, index: number): Buffer {
    this.#how = this.#howOf(batch, index)
    if (this.#how === AS_IT_IS) return NO_BEGINNING
    if (this.#how === OF_STEP) return this.#enterSteps(batch, batch.steps!)
    return this.#enter((batch.position as StreamPosition).origin, batch.rows.transactionAt(index * HEAD)!)
  }

  /** Writes what follows the beginning that was asked for last. */
  writeRest(writer: PositionWriter, batch: Batch, index: number): void {
    const { heads } = batch.rows
    const head = index * HEAD
    switch (this.#how) {
      case OF_STEP:
        return this.#writeStep(writer, batch.rows, batch.steps!, index)
      case OF_ROW:
        return writePlace(writer, heads[head + HEAD_SEQ]!, heads[head + HEAD_SUB]!, heads[head + HEAD_FINGERPRINT]!)
      case OF_BATCH: {
        const { seq, sub, end, fingerprint } = (batch.position as StreamPosition).place
        return writePlace(writer, seq, sub, end === undefined ? fingerprint : formatLsn(end))
      }
      default:
        writer.writeText(batch.at(index)!.position.toString())
    }
  }

  #howOf(batch: Batch, index: number): number {
    const { rows } = batch
    const isLast = index === rows.count - 1
    if (!isLast && batch.steps !== undefined) return OF_STEP
    const transaction = rows.transactionAt(index * HEAD)
    const rowSeq = rows.heads[index * HEAD + HEAD_SEQ]!
    if (!batch.isStreamed || rowSeq === OUTSIDE_TRANSACTION || transaction === undefined) return AS_IT_IS
    if (!isLast) return OF_ROW
    // It may be further than its last row: behind the transaction, or idle.
    const { lsn, seq, polling } = (batch.position as StreamPosition).place
    return lsn === transaction.commitLsn && seq === rowSeq && polling === undefined ? OF_BATCH : AS_IT_IS
  }

  /** Of rows that are read only their number and key differ. */
  #enterSteps({ position }: Batch, steps: ReadingSteps): Buffer {
    if (steps !== this.#steps) {
      this.#steps = steps
      const { origin, place } = position as StreamPosition
      const base = new StreamPosition(origin, { ...place, snapshot: steps.base }).toString()
      // Inside of the progress, which stands last.
      this.#stepHead = Buffer.from(this.#packing.beforeStep(`${base.slice(0, -2)},${upToText(steps)}`))
    }
    return this.#stepHead
  }

  #writeStep(writer: PositionWriter, rows: RowBatch, { base, stretch }: ReadingSteps, index: number): void {
    const count = base.rows + index + 1
    if (stretch !== undefined && stretch.columns === undefined) {
      return writer.writeText(stepOf(count, stretch.keyOf(index)!))
    }
    const head = index * HEAD
    const bytes = rows.buffers[rows.heads[head + HEAD_BUFFER]!]!
    writeStep(writer, count, stretch?.columns, bytes, rows.tape.values, rows.heads[head + HEAD_NEW]!)
  }

  /** Of records that follow one another in a transaction only two numbers differ. */
  #enter(origin: Origin, transaction: Transaction): Buffer {
    if (transaction === this.#transaction && origin === this.#origin) return this.#head
    if (origin !== this.#origin) {
      this.#origin = origin
      this.#start = this.#packing.beforePlace(JSON.stringify({ version: 1, ...origin }).slice(0, -1))
    }
    this.#transaction = transaction
    this.#head = Buffer.from(`${this.#start}${formatLsn(transaction.commitLsn)},`)
    return this.#head
  }
}
