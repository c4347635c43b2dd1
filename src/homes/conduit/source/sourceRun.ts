import { CREATE, DELETE } from '../../../core/rowBatch.js'
import type { Table } from '../../../core/table.js'
import { sqlName } from '../../../postgres/identifier.js'
import type { Batch } from '../../../source/batch.js'
import { describeError } from '../plugin/describeError.js'
import { log } from '../plugin/log.js'
import type { OpenedSource } from './openedSource.js'
import { unpackPosition } from './packedPosition.js'
import type { PayloadFormat } from './payloadFormat.js'
import { ProtoWriter } from './protoWriter.js'
import { halfway, type ResumedAt } from './readPosition.js'
import { changesKey } from './recordParts.js'
import { isSnapshotRow, RecordWriter } from './recordWriter.js'
import { readAcks, SentRecords } from './sentRecords.js'
import type { SourceSettings } from './sourceOptions.js'

/** Where messages go: the host's stream. */
export interface Outlet {
  /** False: not before `drained` more of them should be written. `done`: nobody reads this one any more. */
  write(message: Buffer, done: () => void): boolean
  drained(): Promise<void>
}

/** A batch that is not full, of which no delay was said, waits so long. */
const USUAL_DELAY_MS = 1000
/** Messages become no larger than that, but for one record. */
const MESSAGE_BYTES = 1024 * 1024
/** The last row read may get a better position from what follows: so long it is waited for. */
const HELD_MS = 2000

/**
 * The records of a source, in messages, until the host wants no more; and what it acknowledges.
 *
 * What the engine hands on without a record (how far it is while nothing changes, that a snapshot is finished) Conduit
 * cannot store. It is acknowledged once all records before it are; and of a snapshot the last record waits a moment for
 * what follows, and is sent with the position behind that.
 */
export class SourceRun {
  readonly #source: OpenedSource
  readonly #outlet: Outlet
  readonly #size: number
  readonly #delayMs: number
  readonly #writer = new ProtoWriter()
  readonly #records: RecordWriter
  readonly #sent = new SentRecords()
  /** Records in the writer. */
  #count = 0
  #flushing: NodeJS.Timeout | undefined
  #held: { readonly batch: Batch; readonly index: number } | undefined
  #holding: NodeJS.Timeout | undefined
  #lastPosition: Buffer = Buffer.alloc(0)
  /** In the writer: where the position of its last record lies, and where that record ends. */
  #pendingStart = 0
  #pendingEnd = 0
  #recordEnd = 0
  /** With acknowledgements, which is being read. */
  #message: Buffer = Buffer.alloc(0)
  /** Where the position lies that was acknowledged last; empty: none was. */
  #ackBytes: Buffer = Buffer.alloc(0)
  #ackStart = 0
  #ackEnd = 0
  #stopped = false
  readonly #splitsKeyChange: boolean
  /** Behind everything that was taken. */
  #before: { toString(): string } | undefined
  /** The delete of the next record was sent by a run before. */
  #half: boolean

  constructor(
    source: OpenedSource,
    { values }: SourceSettings,
    format: PayloadFormat,
    outlet: Outlet,
    { position, half }: ResumedAt,
  ) {
    this.#source = source
    this.#before = position
    this.#half = half
    this.#splitsKeyChange = values.keyChange === 'delete-create'
    this.#outlet = outlet
    this.#size = values['sdk.batch.size']
    const delay = values['sdk.batch.delay']
    this.#delayMs = delay === 0 && this.#size > 0 ? USUAL_DELAY_MS : delay
    const told = new Set<string>()
    this.#records = new RecordWriter({
      format,
      truncate: values.truncate,
      onTruncateIgnored: (table) => tellTruncate(table, told),
    })
  }

  /** Of the last record that was sent; empty: none was. */
  get lastPosition(): Buffer {
    return this.#lastPosition
  }

  /** Sends records until `stop`; rejects with what ends the source. */
  async run(): Promise<void> {
    while (!this.#stopped) {
      const batch = await this.#source.next()
      if (batch === undefined || this.#stopped) return
      try {
        await this.#take(batch)
      } catch (error) {
        // What stands before it is in order; a record that could not be written to its end is none.
        this.#writer.rewind(this.#recordEnd)
        this.#flush()
        throw error
      }
    }
  }

  /** No record follows what is being sent. */
  stop(): void {
    if (this.#stopped) return
    this.#releaseHeld()
    this.#flush()
    this.#stopped = true
    this.#source.rest()
  }

  /** A `Source.Run.Request` has come. Throws `ACK_OUT_OF_ORDER`. */
  acks(bytes: Buffer, start: number, end: number): void {
    this.#message = bytes
    readAcks(bytes, start, end, this.#ack)
  }

  readonly #ack = (start: number, end: number): void => {
    this.#sent.ack(this.#message, start, end)
    this.#ackBytes = this.#message
    this.#ackStart = start
    this.#ackEnd = end
  }

  /** Everything that was acknowledged until now, to the record. */
  async settle(): Promise<void> {
    clearTimeout(this.#flushing)
    clearTimeout(this.#holding)
    const last = this.#ackBytes.toString('utf8', this.#ackStart, this.#ackEnd)
    if (last !== '') await this.#source.ack(unpackPosition(last))
  }

  async #take(batch: Batch): Promise<void> {
    const { length, position } = batch
    if (length === 0) {
      this.#before = position
      this.#releaseHeld(position.toString())
      this.#acknowledge(position)
      return
    }
    this.#releaseHeld()
    this.#records.begin()
    const last = length - 1
    const holds = isSnapshotRow(batch, last)
    for (let index = 0; index < length && !this.#stopped; index++) {
      for (let missing = this.#missing(batch, index); missing !== undefined; missing = this.#missing(batch, index)) {
        await missing
      }
      if (this.#stopped) return
      if (holds && index === last) this.#hold(batch, index)
      else this.#write(batch, index)
      if (this.#isFull && !this.#flush()) await this.#outlet.drained()
    }
    if (this.#stopped) return
    this.#before = position
    if (this.#delayMs === 0 && !this.#flush()) await this.#outlet.drained()
    if (!holds) this.#done(batch)
  }

  /** What is to be awaited before the record can be written: a schema that is new. */
  #missing(batch: Batch, index: number): Promise<void> | undefined {
    if (!this.#splitsKeyChange || !changesKey(batch.rows, index)) return this.#records.missing(batch, index)
    return this.#records.missing(batch, index, DELETE) ?? this.#records.missing(batch, index, CREATE)
  }

  get #isFull(): boolean {
    return (this.#size > 0 && this.#count >= this.#size) || this.#writer.length >= MESSAGE_BYTES
  }

  #hold(batch: Batch, index: number): void {
    this.#held = { batch, index }
    this.#holding = setTimeout(() => {
      this.#releaseHeld()
      if (this.#delayMs === 0) this.#flush()
    }, HELD_MS)
  }

  #releaseHeld(position?: string): void {
    if (this.#held === undefined) return
    clearTimeout(this.#holding)
    const { batch, index } = this.#held
    this.#held = undefined
    this.#write(batch, index, position)
    this.#done(batch)
    if (position !== undefined && this.#delayMs === 0) this.#flush()
  }

  #write(batch: Batch, index: number, position?: string): void {
    if (this.#splitsKeyChange && changesKey(batch.rows, index)) {
      const before = index === 0 ? this.#before : batch.at(index - 1)!.position
      if (this.#half || before !== undefined) {
        if (!this.#half) this.#writeAs(DELETE, batch, index, halfway(before!.toString()))
        this.#half = false
        return this.#writeAs(CREATE, batch, index)
      }
    }
    this.#half = false
    this.#writeAs(undefined, batch, index, position)
  }

  #writeAs(operation: number | undefined, batch: Batch, index: number, position?: string): void {
    if (!this.#records.write(this.#writer, batch, index, { operation, position })) return
    const { start, end } = this.#records.written
    this.#sent.add(this.#writer.bytes, start, end)
    this.#pendingStart = start
    this.#pendingEnd = end
    this.#recordEnd = this.#writer.length
    this.#count++
    if (this.#delayMs > 0) this.#flushing ??= setTimeout(() => this.#flush(), this.#delayMs)
  }

  /** False: the host takes no more for now. */
  #flush(): boolean {
    clearTimeout(this.#flushing)
    this.#flushing = undefined
    if (this.#count === 0) return true
    this.#lastPosition = Buffer.from(this.#writer.bytes.subarray(this.#pendingStart, this.#pendingEnd))
    this.#count = 0
    const message = this.#writer.take()
    this.#recordEnd = 0
    return this.#outlet.write(message, () => this.#writer.reuse(message))
  }

  /** All of its records are written. */
  #done(batch: Batch): void {
    this.#acknowledge(batch.position)
    batch.rows.giveUp()
  }

  /** To the engine, when all records up to there are acknowledged. */
  #acknowledge(position: Batch['position']): void {
    this.#sent.mark(() => {
      this.#source.ack(position).catch(tellFault)
    })
  }
}

function tellFault(error: unknown): void {
  log('error', `an acknowledgement could not be taken: ${describeError(error)}`)
}

function tellTruncate(table: Table, told: Set<string>): void {
  const name = sqlName(table)
  if (!told.has(name))
    log('warn', `table ${name} was truncated, which is left out as truncate = ignore says`, { table: name })
  told.add(name)
}
