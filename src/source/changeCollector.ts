import { REDELIVERY_CHANGED } from '../core/errors.js'
import type { Transaction } from '../core/record.js'
import {
  CREATE,
  DELETE,
  MESSAGE,
  NO_OLD,
  OLD_KEY,
  OLD_ROW,
  RowBatch,
  SCHEMA,
  TRUNCATE,
  UPDATE,
} from '../core/rowBatch.js'
import type { Table } from '../core/table.js'
import { formatLsn, INVALID_LSN, type Lsn } from '../postgres/lsn.js'
import { PgoutputDecoder } from '../postgres/pgoutput/decoder.js'
import { NO_OLD_TUPLE, OLD_TUPLE, type OldKind, type PgoutputHandler } from '../postgres/pgoutput/handler.js'
import type { Relation } from '../postgres/pgoutput/relation.js'
import * as tag from '../postgres/pgoutput/tag.js'
import { CommittedHandler } from './committedHandler.js'
import { mixFingerprint } from './fingerprint.js'
import type { WalMessage } from './intake.js'
import { BEFORE_ROWS, type Origin, OUTSIDE_TRANSACTION, type Place, StreamPosition } from './position.js'
import { isPartial, keyTextAt } from './scan/keyText.js'
import type { Scans } from './scan/scans.js'
import type { KeyText } from './scan/stretches.js'
import type { TableScan } from './scan/tableScan.js'
import { DROP, ONLY_CREATE, ONLY_DELETE, EMIT as VERDICT_EMIT, type Verdict, WAIT } from './scan/verdict.js'
import type { CapturedShape, ShapeRegistry } from './shapeRegistry.js'

/** What came until now, to be handed on. */
export interface Collected {
  readonly batch: RowBatch
  /** A shape a table of `batch.tables`, in the same order. */
  readonly shapes: readonly CapturedShape[]
  readonly position: StreamPosition
  /** What the slot may be told once everything up to `position` is durable. */
  readonly confirmable: Lsn
}

export interface CollectorOptions {
  readonly origin: Origin
  readonly shapes: ShapeRegistry
  /** Everything at or before it was delivered. */
  readonly resumed: StreamPosition
  /** Which logical messages become records. */
  readonly messages: (prefix: string) => boolean
  readonly onRedeliveryChange: 'stop' | 'repeat'
  /** Tables whose rows are read meanwhile. */
  readonly scans?: Scans | undefined
  /** Something that a message waited for, other than a table's rows, is there. */
  readonly onReady?: () => void
  /** A truncate of a table came. */
  readonly onTruncate?: (oid: number, commitLsn: Lsn) => void
}

interface Peeking {
  readonly scan: TableScan
  readonly keys: KeyText[]
}

interface RowKeys {
  readonly oldKey?: KeyText | undefined
  readonly newKey?: KeyText | undefined
}

/** No old tuple, as a head has it. */
const NOTHING_OLD = (-1 << 2) | NO_OLD

/** How a transaction that the server sends relates to what was delivered before. */
const DELIVER = 0
/** Delivered whole. */
const SKIP_ALL = 1
/** Delivered up to a row in its middle: count up to there, compare, go on behind it. */
const SKIP_FIRST = 2

/**
 * Turns the messages of the stream into records in a batch: counts them, skips what was delivered before (by commit LSN
 * and index, never by a row's LSN), and knows the position behind the last one. Synchronous; does no I/O.
 */
export class ChangeCollector extends CommittedHandler implements PgoutputHandler {
  readonly decoder: PgoutputDecoder
  readonly #options: CollectorOptions
  #origin: Origin
  #batch = new RowBatch()
  #shapes: CapturedShape[] = []
  /** Behind the last thing that was counted or skipped, but see `#moved`. */
  #place: Place
  /** Rows were counted since: the place is where the transaction being read stands. Made only when it is asked for. */
  #moved = false
  #sub = 0
  #lastEnd: Lsn

  // The transaction being read.
  #transaction: Transaction | undefined
  #transactionIndex = -1
  #mode = DELIVER
  #seq = BEFORE_ROWS
  #messages = 0
  #fingerprint = 0
  /** The same before the row being read: a schema record stands there. */
  #messagesBefore = 0
  #fingerprintBefore = 0
  /** Where the message being read lies, here and (the low half of its LSN) in the WAL. */
  #bytes: Uint8Array = Buffer.alloc(0)
  #walPlace = 0

  // The relation of the last change, which is nearly always that of the next one too.
  #relation: Relation | undefined
  #shape: CapturedShape | undefined
  #tableIndex = -1
  /** The message being read cannot be decided yet: it left no trace, and comes again. */
  #waits = false
  #peeking: Peeking | undefined
  /** Relations, by OID, whose shape changed: to be told before the next row of each. */
  readonly #changedShapes = new Set<number>()
  /** Where skipping ended in the transaction being read: a schema record there was delivered, too. */
  #skippedSeq = BEFORE_ROWS
  #skippedSub = 0

  constructor(options: CollectorOptions) {
    super()
    this.#options = options
    this.#origin = options.origin
    this.#place = options.resumed.place
    this.#lastEnd = options.resumed.resumeLsn
    this.decoder = new PgoutputDecoder(this, { protocolVersion: 1, streaming: 'off' })
    this.decoder.tape = this.#batch.tape
  }

  /** Records waiting to be taken. */
  get count(): number {
    return this.#batch.count
  }

  /** Bytes received of the records waiting to be taken. */
  get bytes(): number {
    return this.#batch.bytes
  }

  /** Behind everything that was read, taken or not. */
  get position(): StreamPosition {
    this.#settlePlace()
    const snapshot = this.#options.scans?.progressAt(this.#place)
    return new StreamPosition(this.#origin, snapshot === undefined ? this.#place : { ...this.#place, snapshot })
  }

  /** What the slot may be told once everything up to the position is durable. */
  get confirmable(): Lsn {
    return this.#lastEnd
  }

  /** A promotion has taken the server to another timeline, or the publications are others: positions say so from now on. */
  follow(now: Partial<Pick<Origin, 'timeline' | 'publications' | 'captured' | 'leaving' | 'partitions'>>): void {
    this.#origin = { ...this.#origin, ...now }
  }

  /** The server was read up to here. */
  get readTo(): Lsn {
    return this.#place.end ?? this.#place.lsn
  }

  /** Between two transactions: a keepalive's WAL end may be taken for read. */
  get betweenTransactions(): boolean {
    return this.#transaction === undefined
  }

  /** The connection was lost: the transaction in the middle of which that was comes again, whole. */
  reconnected(): void {
    this.#settlePlace()
    this.decoder.reset()
    this.#transaction = undefined
    this.#relation = undefined
  }

  /** Everything the server wrote up to `walEnd` was read, and nothing of it is waiting. */
  idle(walEnd: Lsn): void {
    if (walEnd <= this.readTo) return
    this.#mustHaveCome()
    this.#lastEnd = walEnd
    this.#place = { lsn: walEnd, seq: BEFORE_ROWS, sub: 0, end: walEnd, fingerprint: 0, snapshot: undefined }
  }

  /** One message of the plugin; `walPlace` is the low half of its LSN. False: it is to come again later. */
  collect(bytes: Buffer, start: number, end: number, walPlace: number): boolean {
    this.#bytes = bytes
    this.#walPlace = walPlace
    this.#waits = false
    this.decoder.decode(bytes, start, end)
    return !this.#waits
  }

  /** The keys of the rows of a scanned table in messages that are still to be collected, as far as its shape is known. */
  keysOf(scan: TableScan, messages: Iterable<WalMessage>): readonly KeyText[] {
    const peeking = { scan, keys: [] as KeyText[] }
    this.#peeking = peeking
    try {
      for (const { bytes, start, end } of messages) {
        const kind = bytes[start]
        if (kind === tag.RELATION) break
        this.#bytes = bytes
        if (kind === tag.INSERT || kind === tag.UPDATE || kind === tag.DELETE) this.decoder.decode(bytes, start, end)
      }
    } finally {
      this.#peeking = undefined
    }
    return peeking.keys
  }

  /** What came until now; a new batch begins. */
  take(): Collected {
    const { position } = this
    const collected = { batch: this.#batch, shapes: this.#shapes, position, confirmable: this.#lastEnd }
    this.#batch = new RowBatch(this.#batch)
    this.#shapes = []
    this.decoder.tape = this.#batch.tape
    this.#transactionIndex = -1
    this.#relation = undefined
    // Not before: a position in the middle of the batch still needs what its end has passed.
    if (this.#options.scans?.active) this.#options.scans.passed(this.readTo)
    return collected
  }

  begin(finalLsn: Lsn, commitTime: bigint, xid: number): void {
    this.#transaction = { xid, commitLsn: finalLsn, commitTime }
    this.#transactionIndex = -1
    this.#seq = BEFORE_ROWS
    this.#messages = 0
    this.#fingerprint = 0
    this.#skippedSeq = BEFORE_ROWS
    this.#skippedSub = 0
    const { lsn, end } = this.#place
    if (end === undefined) this.#mode = finalLsn < lsn ? SKIP_ALL : finalLsn === lsn ? SKIP_FIRST : DELIVER
    else this.#mode = finalLsn < end ? SKIP_ALL : DELIVER
    if (this.#mode === DELIVER) this.#mustHaveCome()
  }

  commit(commitLsn: Lsn, endLsn: Lsn): void {
    if (this.#mode === SKIP_FIRST) this.#endOfSkipped()
    if (this.#mode === DELIVER) {
      this.#moved = false
      this.#place = {
        lsn: commitLsn,
        seq: this.#seq,
        sub: 2 * this.#messages,
        end: endLsn,
        fingerprint: 0,
        snapshot: undefined,
      }
      this.#lastEnd = endLsn
    }
    this.#transaction = undefined
  }

  insert(relation: Relation, newAt: number, length: number): void {
    this.#row(CREATE, relation, newAt, -1, NO_OLD_TUPLE, newAt, length)
  }

  update(relation: Relation, oldKind: OldKind, oldAt: number, newAt: number, length: number): void {
    this.#row(UPDATE, relation, newAt, oldAt, oldKind, oldKind === NO_OLD_TUPLE ? newAt : oldAt, length)
  }

  delete(relation: Relation, oldKind: OldKind, oldAt: number, length: number): void {
    this.#row(DELETE, relation, -1, oldAt, oldKind, oldAt, length)
  }

  truncate(relations: readonly Relation[], options: number, length: number): void {
    for (const relation of relations) {
      this.#options.onTruncate?.(relation.oid, this.#transaction!.commitLsn)
      if (!this.#count(relation.oid, TRUNCATE, length)) {
        this.#changedShapes.delete(relation.oid)
        continue
      }
      const shape = this.#enter(relation)
      if (shape === undefined) continue
      const scan = this.#options.scans?.of(relation.oid)
      if (scan !== undefined) this.#options.scans!.truncate(scan, this.#transaction!, this.#seq)
      if (this.#changedShapes.size > 0) this.#tellShape(relation)
      this.#batch.bytes += length
      this.#add(TRUNCATE, this.#seq, 0, options, NOTHING_OLD, this.#fingerprint)
    }
  }

  message(
    transactional: boolean,
    lsn: Lsn,
    prefix: string,
    bytes: Uint8Array,
    start: number,
    end: number,
    length: number,
  ): void {
    if (!transactional) return this.#messageOutside(lsn, prefix, bytes, start, end, length)
    this.#messages++
    if (this.#mode !== DELIVER && this.#skips(this.#seq, 2 * this.#messages)) return
    this.#advance(2 * this.#messages)
    if (!this.#options.messages(prefix)) return
    const { messages } = this.#batch
    messages.push({ transactional, prefix, content: bytes.subarray(start, end) })
    this.#batch.bytes += length
    this.#tableIndex = -1
    this.#relation = undefined
    this.#add(MESSAGE, this.#seq, 2 * this.#messages, messages.length - 1, NOTHING_OLD, this.#fingerprint)
  }

  relation(relation: Relation): void {
    this.#relation = undefined
    const learned = this.#options.shapes.learn(relation)
    if (learned?.changed) this.#changedShapes.add(relation.oid)
  }

  #row(
    operation: number,
    relation: Relation,
    newAt: number,
    oldAt: number,
    oldKind: OldKind,
    tapeStart: number,
    length: number,
  ): void {
    const scan = this.#options.scans?.active ? this.#options.scans.of(relation.oid) : undefined
    if (this.#peeking !== undefined) {
      this.#peek(this.#peeking, relation, newAt, oldAt)
      this.#batch.tape.length = tapeStart
      return
    }
    const verdict = scan === undefined ? VERDICT_EMIT : this.#judge(scan, operation, relation, newAt, oldAt)
    if (verdict === WAIT) {
      this.#batch.tape.length = tapeStart
      return
    }
    if (!this.#count(relation.oid, operation, length)) {
      this.#batch.tape.length = tapeStart
      this.#changedShapes.delete(relation.oid)
      return
    }
    if (relation !== this.#relation) this.#enter(relation)
    if (this.#shape === undefined || verdict === DROP) {
      this.#batch.tape.length = tapeStart
      return
    }
    if (this.#changedShapes.size > 0) this.#tellShape(relation)
    this.#batch.bytes += length
    if (verdict === ONLY_CREATE) return this.#add(CREATE, this.#seq, 0, newAt, NOTHING_OLD, this.#fingerprint)
    const kind = oldKind === NO_OLD_TUPLE ? NO_OLD : oldKind === OLD_TUPLE ? OLD_ROW : OLD_KEY
    const old = (oldAt << 2) | kind
    if (verdict === ONLY_DELETE) this.#add(DELETE, this.#seq, 0, -1, old, this.#fingerprint)
    else this.#add(operation, this.#seq, 0, newAt, old, this.#fingerprint)
  }

  /** What becomes of a row of a table that is read meanwhile. Before it is counted: one that has to wait leaves no trace. */
  #judge(scan: TableScan, operation: number, relation: Relation, newAt: number, oldAt: number): Verdict {
    const shape = this.#options.shapes.of(relation)
    if (shape === undefined || this.#isDelivered(this.#seq + 1, 0)) return VERDICT_EMIT
    const { table, failed } = shape
    // The batch fails with it.
    if (failed) return VERDICT_EMIT
    if (table === undefined) {
      this.#waits = true
      const { onReady = () => {} } = this.#options
      shape.ready.then(onReady, onReady)
      return WAIT
    }
    const { oldKey, newKey } = this.#keys(scan, table, newAt, oldAt)
    const kind = operation === CREATE ? 'insert' : operation === UPDATE ? 'update' : 'delete'
    const partial = newAt >= 0 && isPartial(this.#batch.tape.values, newAt, table.columns.length)
    // Under another name than the catalog has by now, or not sent: a consumer that keeps rows by key is right with all.
    const verdict =
      oldKey === undefined && newKey === undefined
        ? scan.judgeUnknown(this.#transaction!)
        : scan.judge({ operation: kind, oldKey, newKey, partial }, this.#transaction!)
    if (verdict === WAIT) this.#waits = true
    return verdict
  }

  #peek({ scan, keys }: Peeking, relation: Relation, newAt: number, oldAt: number): void {
    const table = this.#options.shapes.of(relation)?.table
    if (table === undefined || this.#options.scans?.of(relation.oid) !== scan) return
    const { oldKey, newKey } = this.#keys(scan, table, newAt, oldAt)
    if (oldKey !== undefined) keys.push(oldKey)
    if (newKey !== undefined && newKey !== oldKey) keys.push(newKey)
  }

  #keys(scan: TableScan, table: Table, newAt: number, oldAt: number): RowKeys {
    const columns = scan.columnsIn(table)
    if (columns === undefined) return {}
    const { values } = this.#batch.tape
    const oldKey = oldAt < 0 ? undefined : keyTextAt(this.#bytes, values, oldAt, columns)
    // What was not sent of it is as it was.
    const newKey = newAt < 0 ? undefined : (keyTextAt(this.#bytes, values, newAt, columns) ?? oldKey)
    return { oldKey, newKey }
  }

  /** Whether (seq, sub) of the transaction being read was delivered before. */
  #isDelivered(seq: number, sub: number): boolean {
    if (this.#mode === DELIVER) return false
    if (this.#mode === SKIP_ALL) return true
    return seq < this.#place.seq || (seq === this.#place.seq && sub <= this.#place.sub)
  }

  /** Counts one row (or one table of a truncate) as the server sends it; false when it was delivered before. */
  #count(relation: number, kind: number, length: number): boolean {
    const seq = this.#seq + 1
    const skipped = this.#mode !== DELIVER && this.#skips(seq, 0)
    this.#seq = seq
    this.#messagesBefore = this.#messages
    this.#messages = 0
    this.#fingerprintBefore = this.#fingerprint
    this.#fingerprint = mixFingerprint(this.#fingerprint, relation, kind, length, this.#walPlace)
    if (!skipped) this.#advance(0)
    return !skipped
  }

  /** Whether (seq, sub) of the transaction being read was delivered before. The first that was not ends the skipping. */
  #skips(seq: number, sub: number): boolean {
    if (this.#isDelivered(seq, sub)) return true
    this.#endOfSkipped()
    return false
  }

  /** All that the position counted of this transaction came again: were it the same rows? */
  #endOfSkipped(): void {
    this.#mode = DELIVER
    const { lsn, seq, sub, fingerprint } = this.#place
    if (this.#seq === seq && this.#fingerprint === fingerprint) {
      this.#skippedSeq = seq
      this.#skippedSub = sub
      return
    }
    this.#stopOnRedeliveryChange()
    // Its beginning is gone past: whoever runs the stream asks for it again from here.
    this.#place = { lsn, seq: BEFORE_ROWS, sub: 0, end: lsn, fingerprint: 0, snapshot: undefined }
    throw new RepeatTransaction()
  }

  /** What comes now lies behind the transaction that the position stands in: one with rows is sent again, and before. */
  #mustHaveCome(): void {
    if (this.#place.end === undefined && this.#place.seq > BEFORE_ROWS) this.#stopOnRedeliveryChange()
  }

  #stopOnRedeliveryChange(): void {
    const { lsn, seq } = this.#place
    if (this.#options.onRedeliveryChange === 'stop') throw REDELIVERY_CHANGED({ lsn: formatLsn(lsn), seq: seq + 1 })
  }

  #advance(sub: number): void {
    this.#moved = true
    this.#sub = sub
  }

  #settlePlace(): void {
    if (!this.#moved) return
    this.#moved = false
    this.#place = {
      lsn: this.#transaction?.commitLsn ?? INVALID_LSN,
      seq: this.#seq,
      sub: this.#sub,
      end: undefined,
      fingerprint: this.#fingerprint,
      snapshot: undefined,
    }
  }

  /** Makes `relation` the current one; undefined when it is not captured. */
  #enter(relation: Relation): CapturedShape | undefined {
    this.#relation = relation
    this.#shape = this.#options.shapes.of(relation)
    if (this.#shape !== undefined) {
      this.#tableIndex = this.#shapes.indexOf(this.#shape)
      if (this.#tableIndex < 0) this.#tableIndex = this.#shapes.push(this.#shape) - 1
    }
    return this.#shape
  }

  /** A schema record, if the relation has a shape that was not told yet; it stands before the row at `#seq`. */
  #tellShape({ oid }: Relation): void {
    if (!this.#changedShapes.delete(oid)) return
    const sub = 2 * this.#messagesBefore + 1
    if (this.#seq - 1 === this.#skippedSeq && sub <= this.#skippedSub) return
    this.#add(SCHEMA, this.#seq - 1, sub, -1, NOTHING_OLD, this.#fingerprintBefore)
  }

  #add(operation: number, seq: number, sub: number, newAt: number, old: number, fingerprint: number): void {
    const batch = this.#batch
    batch.use(this.#bytes)
    if (this.#transactionIndex < 0) this.#transactionIndex = batch.transactions.push(this.#transaction!) - 1
    batch.add(operation, this.#tableIndex, this.#transactionIndex, seq, sub, newAt, old, fingerprint)
  }

  /** Its LSN is where its record ends, and stands in order with the transactions' commits. */
  #messageOutside(lsn: Lsn, prefix: string, bytes: Uint8Array, start: number, end: number, length: number): void {
    if (lsn <= this.readTo) return
    this.#mustHaveCome()
    this.#place = { lsn, seq: OUTSIDE_TRANSACTION, sub: 0, end: lsn, fingerprint: 0, snapshot: undefined }
    this.#lastEnd = lsn
    if (!this.#options.messages(prefix)) return
    const batch = this.#batch
    batch.messages.push({ transactional: false, prefix, content: bytes.subarray(start, end) })
    batch.bytes += length
    batch.use(bytes)
    const transaction = batch.transactions.push({ xid: 0, commitLsn: lsn, commitTime: undefined }) - 1
    batch.add(MESSAGE, -1, transaction, OUTSIDE_TRANSACTION, 0, batch.messages.length - 1, NOTHING_OLD, 0)
  }
}

/** Thrown where `onRedeliveryChange: 'repeat'` asks for the whole transaction again. */
export class RepeatTransaction extends Error {}
