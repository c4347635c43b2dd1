import { encodeNdjson } from '../codec/ndjson.js'
import { canJoin, joinRows } from '../core/joinedRows.js'
import type { ChangeRecord, ChunkRange, Position } from '../core/record.js'
import {
  HEAD,
  HEAD_FINGERPRINT,
  HEAD_OPERATION,
  HEAD_SEQ,
  HEAD_SUB,
  HEAD_TRANSACTION,
  type RowBatch,
  SNAPSHOT,
} from '../core/rowBatch.js'
import { BatchRecord } from './batchRecord.js'
import { OUTSIDE_TRANSACTION, StreamPosition } from './position.js'
import type { ProgressAt, ReadingSteps } from './scan/progress.js'
import type { Piece } from './snapshot/pieces.js'

/** Where the records of a batch stand, if not in transactions of the stream. */
export interface BatchPlaces {
  /** Of snapshot rows: how far the snapshot is behind each. */
  readonly snapshotAt?: ProgressAt | undefined
  /** The position behind each record, where it is of neither: long polling found them, or several batches were joined. */
  readonly placedAt?: ((index: number) => StreamPosition) | undefined
  readonly range?: ChunkRange | undefined
  readonly piece?: Piece | undefined
}

/**
 * Some records in order, and the position behind the last of them. A batch may be empty: then it only carries a
 * position, which is recorded and acknowledged like any other, so that an idle table holds no WAL.
 */
export class Batch<Tables extends object = Record<string, Record<string, unknown>>>
  implements Iterable<ChangeRecord<Tables>>
{
  /** Where to resume after this batch: store it together with, or after, what was made of the records. */
  readonly position: Position
  /** Of rows that were read by key while the stream goes on: of which keys these are all rows that there were. */
  readonly range: ChunkRange | undefined
  /** @internal Of a batch without records: of a piece of a table all rows were handed on. */
  readonly piece: Piece | undefined
  /** @internal The records as numbers over the bytes received. */
  readonly rows: RowBatch
  readonly #end: StreamPosition
  readonly #snapshotAt: ProgressAt | undefined
  readonly #ack: (position: StreamPosition) => void
  readonly #placedAt: ((index: number) => StreamPosition) | undefined

  /** @internal Several that follow one another, as one. */
  static join<Tables extends object>(batches: readonly Batch<Tables>[]): Batch<Tables> {
    const [first] = batches
    const last = batches.at(-1)!
    if (first === last) return last
    const ends: number[] = []
    for (const { length } of batches) ends.push((ends.at(-1) ?? 0) + length)
    const placedAt = (index: number) => {
      const at = ends.findIndex((end) => index < end)
      return batches[at]!.#positionAt(index - (ends[at - 1] ?? 0))
    }
    return new Batch<Tables>(joinRows(batches.map(({ rows }) => rows)), last.#end, last.#ack, { placedAt: placedAt })
  }

  /** @internal Whether {@link Batch.join} can make one of this and the one that follows it. */
  joins(next: Batch<Tables>): boolean {
    return this.range === undefined && next.range === undefined && canJoin(this.rows, next.rows)
  }

  /** @internal */
  constructor(
    rows: RowBatch,
    position: StreamPosition,
    ack: (position: StreamPosition) => void,
    { snapshotAt, placedAt, range, piece }: BatchPlaces = {},
  ) {
    this.rows = rows
    this.position = this.#end = position
    this.#ack = ack
    this.#snapshotAt = snapshotAt
    this.range = range
    this.piece = piece
    this.#placedAt = placedAt
  }

  /** Number of records. */
  get length(): number {
    return this.rows.count
  }

  /** Bytes received for these records: what `maxBytes` counts. */
  get bytes(): number {
    return this.rows.bytes
  }

  /** @internal What is held for it, with what processors made. */
  get heldBytes(): number {
    return this.rows.heldBytes
  }

  /**
   * Everything up to the end of this batch is durable: the slot may let go of it. Resolves at once; the server is told
   * within a second. A batch that is never acknowledged comes again after a restart.
   */
  async ack(): Promise<void> {
    this.#ack(this.#end)
  }

  *[Symbol.iterator](): Iterator<ChangeRecord<Tables>> {
    for (let index = 0; index < this.rows.count; index++) yield this.at(index)!
  }

  /** The record at `index`; undefined beyond the last. */
  at(index: number): ChangeRecord<Tables> | undefined {
    if (!(index >= 0 && index < this.rows.count)) return undefined
    const record = new BatchRecord(this.rows, index, () => this.#positionAt(index))
    return record as unknown as ChangeRecord<Tables>
  }

  /**
   * The records as lines of JSON, in the envelope that docs/records.md describes; or those from index `from` to `to` (not
   * included).
   */
  toNdjson(from = 0, to = this.length): Uint8Array {
    return encodeNdjson(this.rows, Math.max(0, from), Math.min(to, this.length))
  }

  /** @internal Records in transactions of the stream, and nothing else: their positions differ in little. */
  get isStreamed(): boolean {
    return this.#snapshotAt === undefined && this.#placedAt === undefined && this.#end.place.snapshot === undefined
  }

  /** @internal Of rows that are read: what the positions of each are made of, if they can be. */
  get steps(): ReadingSteps | undefined {
    return this.#placedAt === undefined ? this.#snapshotAt?.steps : undefined
  }

  /** @internal Records `from` to `to` (not included) as a batch of their own. */
  part(from: number, to: number): Batch<Tables> {
    if (from === 0 && to === this.rows.count) return this
    const shifted = <Value>(at: ((index: number) => Value) | undefined) => at && ((index: number) => at(from + index))
    const places = { snapshotAt: shifted(this.#snapshotAt), placedAt: shifted(this.#placedAt) }
    return new Batch(this.rows.part(from, to), this.#positionAt(to - 1), this.#ack, places)
  }

  /** @internal Some of the records, by their indexes in order, and all that the position says. */
  pick(records: readonly number[]): Batch<Tables> {
    const placedAt = (index: number) => this.#positionAt(records[index]!)
    return new Batch<Tables>(this.rows.pick(records), this.#end, this.#ack, { placedAt, range: this.range })
  }

  /**
   * @internal The same place with other rows, made of these. `kept`: of each of them its index here, ascending; undefined:
   * none is gone.
   */
  derive(rows: RowBatch, kept: Int32Array | undefined, range: ChunkRange | undefined): Batch<Tables> {
    const moved = <Value>(at: ((index: number) => Value) | undefined) =>
      kept === undefined ? at : at && ((index: number) => at(kept[index]!))
    const places = { snapshotAt: moved(this.#snapshotAt), placedAt: moved(this.#placedAt), range }
    return new Batch<Tables>(rows, this.#end, this.#ack, places)
  }

  /** @internal `made` was made of this one, and takes its place: nobody asks this one any more, but for where its records stand. */
  givesWayTo(made: Batch<Tables>): void {
    made.rows.replaces(this.rows, this.#snapshotAt !== undefined || this.#placedAt !== undefined)
  }

  /**
   * @internal Where a record itself stands. The last one's position is the batch's, which may be further: behind what came
   * after it and was for nobody.
   */
  ownPosition(index: number): StreamPosition {
    const position = this.#positionAt(index)
    const isSnapshot = this.rows.heads[index * HEAD + HEAD_OPERATION] === SNAPSHOT
    if (index < this.rows.count - 1 || this.#placedAt !== undefined || isSnapshot) return position
    const own = this.#within(index)
    const { lsn, seq, sub } = position.place
    return lsn === own.place.lsn && seq === own.place.seq && sub === own.place.sub ? position : own
  }

  #positionAt(index: number): StreamPosition {
    if (index === this.rows.count - 1) return this.#end
    return this.#within(index)
  }

  #within(index: number): StreamPosition {
    if (this.#placedAt !== undefined) return this.#placedAt(index)
    const { origin, place } = this.#end
    const head = index * HEAD
    if (this.#snapshotAt !== undefined) {
      return new StreamPosition(origin, { ...place, snapshot: this.#snapshotAt(index) })
    }
    const { heads, transactions } = this.rows
    const lsn = transactions[heads[head + HEAD_TRANSACTION]!]!.commitLsn
    return new StreamPosition(origin, {
      lsn,
      seq: heads[head + HEAD_SEQ]!,
      sub: heads[head + HEAD_SUB]!,
      end: heads[head + HEAD_SEQ] === OUTSIDE_TRANSACTION ? lsn : undefined,
      fingerprint: heads[head + HEAD_FINGERPRINT]!,
      snapshot: place.snapshot,
    })
  }
}
