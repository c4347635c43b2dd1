import { viewOf } from '../../../core/byteWriter.js'
import { CREATE, DELETE } from '../../../core/rowBatch.js'
import type { Table } from '../../../core/table.js'
import { sqlName } from '../../../postgres/identifier.js'
import type { Batch } from '../../../source/batch.js'
import { describeError } from '../plugin/describeError.js'
import { log } from '../plugin/log.js'
import { HeldRecord } from './heldRecord.js'
import { type EncodedLines, LineEncoder } from './lineEncoder.js'
import type { OpenedSource } from './openedSource.js'
import { unpackPosition } from './packedPosition.js'
import type { PayloadFormat } from './payloadFormat.js'
import { openLengthAt } from './protoWriter.js'
import { halfway, type ResumedAt } from './readPosition.js'
import { positionStart, RecordMessages } from './recordMessages.js'
import { changesKey } from './recordParts.js'
import { RECORD_WORKER } from './recordThread.js'
import { isSnapshotRow, RecordWriter } from './recordWriter.js'
import { readAcks, SentRecords } from './sentRecords.js'
import type { SourceSettings } from './sourceOptions.js'

/** Where messages go: the host's stream. */
export interface Outlet {
  /** A message in pieces. False: not before `drained` more of them should be written. `done`: nobody reads this one any more. */
  write(parts: readonly Buffer[], done: () => void): boolean
  drained(): Promise<void>
}

/** A batch that is not full, of which no delay was said, waits so long. */
const USUAL_DELAY_MS = 1000
/** Messages become no larger than that, but for one record. */
const MESSAGE_BYTES = 1024 * 1024
/** Batches of which records are being made, or are not written yet: more of them leave the processor's caches before they are written. */
const JOBS = 3
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
  readonly #messages = new RecordMessages()
  readonly #records: RecordWriter
  /** Of rows that nobody has looked into; undefined: the format has none. */
  readonly #encoder: LineEncoder | undefined
  readonly #sent = new SentRecords()
  #flushing: NodeJS.Timeout | undefined
  #held: HeldRecord | undefined
  #holding: NodeJS.Timeout | undefined
  #lastPosition: Buffer = Buffer.alloc(0)
  /** With acknowledgements, which is being read. */
  #message: Buffer = Buffer.alloc(0)
  #messageView = viewOf(this.#message)
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
  /** Batches of lines that are not written yet, each behind the one before it. */
  readonly #writing: Promise<void>[] = []
  #written: Promise<void> = Promise.resolve()
  #closing: Promise<void> | undefined

  constructor(
    source: OpenedSource,
    { values }: SourceSettings,
    format: PayloadFormat,
    outlet: Outlet,
    { position, half }: ResumedAt,
    worker: string | undefined = RECORD_WORKER,
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
    this.#encoder = format.avro && new LineEncoder(format.avro, worker)
    source.onReading((rows) => this.#encoder?.expect(rows))
  }

  /** Of the last record that was sent; empty: none was. */
  get lastPosition(): Buffer {
    return this.#lastPosition
  }

  /** Sends records until `stop`; rejects with what ends the source. */
  async run(): Promise<void> {
    try {
      for (let batch = await this.#next(); batch !== undefined; batch = await this.#next()) await this.#take(batch)
    } catch (error) {
      // What stands before it is in order; a record that could not be written to its end is none.
      this.#messages.rewind()
      this.#flush()
      throw error
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

  /** A `Source.Run.Request` has come; its memory may be used again once the next one has. Throws `ACK_OUT_OF_ORDER`. */
  acks(bytes: Buffer, start: number, end: number): void {
    if (bytes !== this.#message) {
      this.#message = bytes
      this.#messageView = viewOf(bytes)
    }
    readAcks(bytes, start, end, this.#ack)
    if (this.#ackBytes === bytes || this.#ackBytes.length === 0) return
    // None was in it: the last one will be written over.
    this.#ackBytes = Buffer.from(this.#ackBytes.subarray(this.#ackStart, this.#ackEnd))
    this.#ackEnd -= this.#ackStart
    this.#ackStart = 0
  }

  readonly #ack = (start: number, end: number): void => {
    this.#sent.ack(this.#messageView, start, end)
    this.#ackBytes = this.#message
    this.#ackStart = start
    this.#ackEnd = end
  }

  /** Everything that was acknowledged until now, to the record; nothing is made any more. */
  async settle(): Promise<void> {
    clearTimeout(this.#flushing)
    clearTimeout(this.#holding)
    this.#closing = this.#encoder?.close()
    const last = this.#ackBytes.toString('utf8', this.#ackStart, this.#ackEnd)
    if (last !== '') await this.#source.ack(unpackPosition(last))
  }

  /** Behind `settle`: no thread is left. That takes a while, in which the server can be told. */
  async ended(): Promise<void> {
    await this.#closing
  }

  /** The next batch; undefined: none is to be written. Rejects when one that came before cannot be, too. */
  async #next(): Promise<Batch | undefined> {
    if (this.#stopped) return undefined
    const next = this.#source.next()
    if (this.#writing.length > 0) {
      next.catch(() => {}) // whoever comes next sees it
      await Promise.race([next, this.#settled()])
    }
    const batch = await next
    if (batch === undefined) await this.#settled()
    return this.#stopped ? undefined : batch
  }

  /** All batches of lines that came until now are written. */
  async #settled(): Promise<void> {
    const written = this.#written
    await written
    if (written === this.#written) this.#writing.length = 0
  }

  async #take(batch: Batch): Promise<void> {
    if (this.#encoder !== undefined && LineEncoder.takes(batch)) return this.#takeLines(this.#encoder, batch)
    await this.#settled()
    if (this.#stopped) return
    const { length, position } = batch
    if (length === 0) {
      this.#before = position
      const takesMore = this.#releaseHeld(position.toString())
      this.#acknowledge(position)
      if (!takesMore) await this.#outlet.drained()
      return
    }
    if (!this.#releaseHeld()) await this.#outlet.drained()
    if (this.#stopped) return
    // Lines that are too many to be copied: those to come are not read for that.
    const isLarge = this.#encoder !== undefined && LineEncoder.takesSuch(batch)
    await this.#takeFrom(isLarge ? batch.derive(batch.rows.unnoticed(), undefined, undefined) : batch, 0)
  }

  /** Records of it are made while batches before it are written, and others come. */
  async #takeLines(encoder: LineEncoder, batch: Batch): Promise<void> {
    const schemas = this.#records.formatOf(batch.rows.tables[0]!).schemas!
    if (schemas.registered.length === 0) await schemas.register(batch.rows.rowAt(0))
    if (this.#writing.length === JOBS) await this.#writing.shift()
    if (this.#stopped) return
    const encoding = encoder.encode(batch, schemas)
    encoding.catch(() => {}) // whoever writes them sees it
    this.#written = this.#written.then(() => this.#writeLines(batch, encoding))
    this.#written.catch(() => {})
    this.#writing.push(this.#written)
  }

  async #writeLines(batch: Batch, encoding: Promise<EncodedLines>): Promise<void> {
    const made = await encoding.catch((error: unknown) => {
      if (!this.#stopped) throw error // it was ended
    })
    if (made === undefined || this.#stopped) return
    if (!this.#releaseHeld()) await this.#outlet.drained()
    this.#half = false
    const last = batch.length - 1
    let parts = 1
    const done = () => {
      if (--parts === 0) made.release()
    }
    const count = Math.min(made.count, last)
    for (let from = 0; from < count && !this.#stopped; ) {
      parts++
      from = this.#append(made, from, count, done)
      if (this.#isFull && !this.#flush()) await this.#outlet.drained()
    }
    if (this.#stopped) return
    if (made.count < batch.length) {
      // Others that are made there already are not read here for that.
      await this.#takeFrom(batch.derive(batch.rows.unnoticed(), undefined, undefined), made.count)
    } else {
      this.#hold(new HeldRecord(batch, made.bytes.subarray(made.ends[last - 1] ?? 0, made.ends[last])))
      await this.#tookAll(batch)
    }
    done()
  }

  /** Records from `from` on, up to `to` (not included) or until the message is full; gives the next one. */
  #append({ bytes, ends, checks }: EncodedLines, from: number, to: number, done: () => void): number {
    const start = ends[from - 1] ?? 0
    const most = this.#size > 0 ? Math.min(to, from + this.#size - this.#messages.count) : to
    const room = MESSAGE_BYTES - this.#messages.bytes
    // Mostly all of them have room.
    let end = (ends[most - 2] ?? 0) - start < room ? most : from + 1
    while (end < most && ends[end - 1]! - start < room) end++
    const last = (ends[end - 2] ?? 0) - start
    this.#messages.append(bytes.subarray(start, ends[end - 1]), end - from, last, done)
    this.#sent.addChecked(checks, from, end)
    this.#flushSoon()
    return end
  }

  /** The records of a batch from `from` on, one by one. */
  async #takeFrom(batch: Batch, from: number): Promise<void> {
    this.#records.begin()
    const { length } = batch
    const last = length - 1
    const holds = isSnapshotRow(batch, last)
    for (let index = from; index < length && !this.#stopped; index++) {
      for (let missing = this.#missing(batch, index); missing !== undefined; missing = this.#missing(batch, index)) {
        await missing
      }
      if (this.#stopped) return
      if (holds && index === last) this.#hold(this.#madeLast(batch))
      else this.#write(batch, index)
      if (this.#isFull && !this.#flush()) await this.#outlet.drained()
    }
    if (this.#stopped) return
    await this.#tookAll(batch)
    if (!holds) this.#done(batch)
  }

  /** All of its records are on their way, but for one that is held. */
  async #tookAll({ position }: Batch): Promise<void> {
    this.#before = position
    if (this.#delayMs === 0 && !this.#flush()) await this.#outlet.drained()
  }

  /** What is to be awaited before the record can be written: a schema that is new. */
  #missing(batch: Batch, index: number): Promise<void> | undefined {
    if (!this.#splitsKeyChange || !changesKey(batch.rows, index)) return this.#records.missing(batch, index)
    return this.#records.missing(batch, index, DELETE) ?? this.#records.missing(batch, index, CREATE)
  }

  get #isFull(): boolean {
    const { count, bytes } = this.#messages
    return (this.#size > 0 && count >= this.#size) || bytes >= MESSAGE_BYTES
  }

  /** Made at once: what cannot be written ends the run in its turn. */
  #madeLast(batch: Batch): HeldRecord {
    const { writer } = this.#messages
    const start = writer.length
    this.#half = false
    this.#makeAs(undefined, batch, batch.length - 1)
    const held = new HeldRecord(batch, writer.bytes.subarray(start, writer.length))
    writer.rewind(start)
    return held
  }

  #hold(record: HeldRecord): void {
    this.#held = record
    this.#holding = setTimeout(() => {
      this.#releaseHeld()
      if (this.#delayMs === 0) this.#flush()
    }, HELD_MS)
  }

  /** False: the host takes no more for now. */
  #releaseHeld(position?: string): boolean {
    const held = this.#held
    if (held === undefined) return true
    clearTimeout(this.#holding)
    this.#held = undefined
    this.#writeMade(held.withPosition(position))
    this.#done(held.batch)
    return this.#isFull || (position !== undefined && this.#delayMs === 0) ? this.#flush() : true
  }

  /** A record that was made elsewhere. */
  #writeMade(record: Buffer): void {
    const { writer } = this.#messages
    const start = writer.length
    writer.write(record)
    const position = positionStart(start)
    this.#wrote(start, position, position + openLengthAt(writer.bytes, position))
  }

  #write(batch: Batch, index: number): void {
    if (this.#splitsKeyChange && changesKey(batch.rows, index)) {
      const before = index === 0 ? this.#before : batch.at(index - 1)!.position
      if (this.#half || before !== undefined) {
        if (!this.#half) this.#writeAs(DELETE, batch, index, halfway(before!.toString()))
        this.#half = false
        return this.#writeAs(CREATE, batch, index)
      }
    }
    this.#half = false
    this.#writeAs(undefined, batch, index)
  }

  #writeAs(operation: number | undefined, batch: Batch, index: number, position?: string): void {
    const { writer } = this.#messages
    const before = writer.length
    if (!this.#makeAs(operation, batch, index, position)) return
    const { start, end } = this.#records.written
    this.#wrote(before, start, end)
  }

  /** False: it is none for Conduit. */
  #makeAs(operation: number | undefined, batch: Batch, index: number, position?: string): boolean {
    const { writer } = this.#messages
    const before = writer.length
    try {
      return this.#records.write(writer, batch, index, { operation, position })
    } catch (error) {
      // Others may be sent before the run ends: a record that could not be written to its end is none.
      writer.rewind(before)
      throw error
    }
  }

  /** A record is written, to the writer's end; its position lies there. */
  #wrote(record: number, start: number, end: number): void {
    this.#sent.add(this.#messages.writer.view, start, end)
    this.#messages.wrote(record)
    this.#flushSoon()
  }

  #flushSoon(): void {
    if (this.#delayMs > 0) this.#flushing ??= setTimeout(() => this.#flush(), this.#delayMs)
  }

  /** False: the host takes no more for now. */
  #flush(): boolean {
    clearTimeout(this.#flushing)
    this.#flushing = undefined
    if (this.#messages.count === 0) return true
    const { parts, lastPosition, done } = this.#messages.take()
    this.#lastPosition = lastPosition
    return this.#outlet.write(parts, done)
  }

  /** All of its records are written. */
  #done(batch: Batch): void {
    this.#acknowledge(batch.position)
    batch.rows.giveUpLines()
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
