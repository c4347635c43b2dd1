import { sleep } from '../../core/abort.js'
import { type Deferred, deferred } from '../../core/deferred.js'
import type { RowBatch } from '../../core/rowBatch.js'
import type { KeyColumn } from '../../postgres/catalog/keyColumns.js'
import { keyColumns } from '../../postgres/catalog/keyColumns.js'
import { CopyOut } from '../../postgres/copy/copyOut.js'
import { sqlName } from '../../postgres/identifier.js'
import { sqlstateOf } from '../../postgres/serverError.js'
import type { Session } from '../../postgres/session.js'
import type { CapturedTable, CaptureSet } from '../captureSet.js'
import type { ControlSession } from '../controlSession.js'
import type { SourceEvent } from '../events.js'
import { withBounds } from '../partitionProbe.js'
import { RowCollector, RowUse } from '../snapshot/rowCollector.js'
import { ChunkPace } from './chunkPace.js'
import { chunkSql } from './chunkSql.js'
import { keyTextOf } from './keyText.js'
import { lockForChunk, type OpenedChunk, openChunk, replayedLsn } from './openChunk.js'
import { scanKeyOf } from './scanKey.js'
import { beginOf, countReadings, firstUnread, type KeyText, type Reading } from './stretches.js'
import type { TableScan } from './tableScan.js'
import type { Unproved } from './unproved.js'

/** Some rows of a chunk, in order; without rows the end of its stretch. */
export interface Piece {
  readonly rows: RowBatch | undefined
  readonly reading: Reading
  /** The key of row `index`; undefined for a table that is read whole. */
  readonly keyOf: (index: number) => KeyText | undefined
}

export interface ChunkReaderOptions {
  readonly control: ControlSession
  readonly capture: CaptureSet
  readonly batchBytes: number
  /** The most rows of a chunk. */
  readonly chunkRows: number | undefined
  readonly unproved: Unproved
  readonly isResting: (oid: number) => boolean
  /** Whether a piece can be handed on now. */
  readonly isOpen: () => boolean
  readonly deliver: (piece: Piece) => void
  /** Changes that waited for this chunk can be decided. */
  readonly decided: () => void
  readonly onGone: () => void
  /** The table has another key by now. */
  readonly onOtherKey: (key: readonly string[]) => void
  /** Which rows are wanted cannot be asked any more, as when a column has another name. */
  readonly onBadCondition: (cause: unknown) => void
  readonly emit: (event: SourceEvent) => void
  readonly signal: AbortSignal
}

/** Read ahead of the consumer, so that a slow one does not keep the chunk's transaction open. */
const AHEAD_BYTES = 4 * 1024 * 1024
/** So many snapshots are kept for the stream at most: then it is to catch up first. */
const MAX_READINGS = 64
const PAUSE_MS = 10
const MAX_PAUSE_MS = 500
const UNDEFINED_TABLE = '42P01'
const UNDEFINED_COLUMN = '42703'
/** Classes of what a condition can be wrong by: its values, its names and rights, what a function of it raises. */
const OF_CONDITION = /^(22|42|P0)/

/** The table in the shape that it had at the last chunk. */
interface Known {
  readonly shape: string
  readonly captured: CapturedTable
  readonly key: readonly KeyColumn[]
  /** Which rows are wanted. */
  readonly where: string | undefined
}

/** Reads one table, chunk after chunk, each in a short transaction of its own. */
export class ChunkReader {
  readonly #scan: TableScan
  readonly #options: ChunkReaderOptions
  readonly #pace: ChunkPace
  readonly #use = new RowUse()
  #known: Known | undefined
  #pieces: Piece[] = []
  #bytes = 0
  #copy: CopyOut | undefined
  #session: Session | undefined
  #delivered: Deferred<void> | undefined
  #givenUp = false
  #standby = false

  constructor(scan: TableScan, options: ChunkReaderOptions) {
    this.#scan = scan
    this.#options = options
    this.#pace = new ChunkPace(options.capture.estimatedRows(scan.progress.oid), options.chunkRows)
  }

  /** Reads the next chunk; resolves when all of it was handed on. */
  async read(session: Session): Promise<void> {
    const { signal } = this.#options
    this.#givenUp = false
    while (countReadings(this.#scan.progress.stretches) > MAX_READINGS && !this.#givenUp) await sleep(PAUSE_MS, signal)
    if (this.#givenUp) return
    this.#session = session
    try {
      const began = performance.now()
      const opened = await this.#open(session)
      if (opened === undefined) return
      const opening = performance.now() - began
      const rows = await this.#copyRows(session, opened)
      this.#pace.read(rows, opening, performance.now() - began - opening)
    } catch (error) {
      if (!this.#givenUp) throw error
    } finally {
      this.#session = undefined
      this.#copy = undefined
      this.#drop()
    }
  }

  /** Hands on what was read, as far as there is room. */
  pump(): void {
    while (this.#pieces.length > 0 && this.#options.isOpen()) {
      const piece = this.#pieces.shift()!
      this.#bytes -= piece.rows?.bytes ?? 0
      this.#options.deliver(piece)
      if (this.#bytes < AHEAD_BYTES) this.#copy?.resume()
    }
    if (this.#pieces.length === 0) this.#delivered?.resolve()
  }

  /** What was read and not handed on is of no use. */
  giveUp(): void {
    this.#givenUp = true
    if (this.#session !== undefined) this.#options.control.abandon(this.#session)
    this.#drop()
  }

  #drop(): void {
    this.#pieces = []
    this.#bytes = 0
    this.#delivered?.resolve()
    this.#delivered = undefined
    this.#scan.rests()
    this.#options.decided()
  }

  /** Begins the transaction, and takes a snapshot which shows all that was left to it; undefined: not this time. */
  async #open(session: Session): Promise<OpenedChunk | undefined> {
    const { control, unproved, isResting, signal } = this.#options
    const { oid } = this.#scan.progress
    for (let pauseMs = PAUSE_MS; ; pauseMs = Math.min(2 * pauseMs, MAX_PAUSE_MS)) {
      const captured = (this.#known ?? (await this.#look(control, '')))?.captured
      if (captured === undefined) return undefined
      const replayed = this.#standby ? await replayedLsn(control) : undefined
      if (!(await this.#lock(session, captured))) continue
      if (this.#givenUp) return undefined
      this.#scan.asks()
      const opened = await openChunk(session, oid, replayed)
      if ('standby' in opened) this.#standby = true
      else if (!unproved.provedBy(opened.snapshot, oid)) signal.throwIfAborted()
      else {
        const known = opened.shape === this.#known?.shape ? this.#known : await this.#look(session, opened.shape)
        if (known === undefined) {
          await session.query('ROLLBACK')
          return undefined
        }
        // Another table has its name by now, and was locked.
        if (sqlName(known.captured.planned.table) !== sqlName(captured.planned.table)) {
          await this.#rollBack(session)
          continue
        }
        unproved.prune(opened.snapshot, (other) => other === oid || isResting(other))
        this.#scan.reads({ snapshot: opened.snapshot, until: opened.until })
        this.#options.decided()
        return opened
      }
      await this.#rollBack(session)
      await sleep(pauseMs, signal)
    }
  }

  async #rollBack(session: Session): Promise<void> {
    this.#scan.rests()
    this.#options.decided()
    await session.query('ROLLBACK')
  }

  /** False: it has another name by now, or is gone. */
  async #lock(session: Session, { planned }: CapturedTable): Promise<boolean> {
    const { control, emit } = this.#options
    try {
      await lockForChunk(session, planned.table, control, emit)
      return true
    } catch (error) {
      if (sqlstateOf(error) !== UNDEFINED_TABLE) throw error
      await session.query('ROLLBACK')
      this.#known = undefined
      return false
    }
  }

  /** The table as `queryable` sees it. */
  async #look(queryable: Session | ControlSession, shape: string): Promise<Known | undefined> {
    const { capture, onGone, onOtherKey } = this.#options
    const { oid, key, where } = this.#scan.progress
    const captured = await capture.look(queryable, oid)
    if (captured === undefined) {
      this.#known = undefined
      onGone()
      return undefined
    }
    const present = scanKeyOf(captured.planned)
    if (present.join('\0') !== key.join('\0')) {
      onOtherKey(present)
      return undefined
    }
    const columns = await keyColumns(queryable, oid, key)
    this.#known = { shape, captured, key: columns, where: await withBounds(queryable, where) }
    return this.#known
  }

  /** Gives how many rows there were. */
  async #copyRows(session: Session, reading: Reading): Promise<number> {
    const { onBadCondition } = this.#options
    const { captured, key, where } = this.#known!
    const { planned, table } = captured
    const { progress } = this.#scan
    const stretch = firstUnread(progress.stretches)
    const limit = this.#scan.isWhole ? undefined : this.#pace.rows
    const query = { ...captured.query, read: new Set([...captured.query.read, ...progress.key]) }
    const columns = key.map(({ name }) => table.columns.findIndex((column) => column.name === name))
    const collector = new RowCollector(table, query.columns.length + (query.withPlace ? 1 : 0), progress.id, this.#use)
    let rows = 0
    const handOn = () => {
      if (collector.count === 0 || this.#givenUp) return
      const taken = collector.take()
      rows += taken.count
      const keyOf = (index: number) => (columns.length === 0 ? undefined : keyTextOf(taken, index, columns))
      this.#add({ rows: taken, reading, keyOf })
    }
    const sql = chunkSql(
      {
        table: planned.table,
        key,
        from: beginOf(progress.stretches, stretch),
        to: progress.stretches[stretch]!.to,
        limit,
        where,
      },
      query,
    )
    this.#copy = new CopyOut(session, sql, {
      row: (bytes, start, end) => collector.collect(bytes, start, end),
      chunkEnd: () => {
        if (collector.bytes >= this.#options.batchBytes) handOn()
        if (this.#bytes >= AHEAD_BYTES) this.#copy?.pause()
      },
    })
    try {
      await this.#copy.done
    } catch (error) {
      // A column that is gone since the shape was looked at: only without a lock, as when a view stands in its place.
      if (sqlstateOf(error) === UNDEFINED_COLUMN) this.#known = undefined
      if (where === undefined || this.#givenUp || !OF_CONDITION.test(sqlstateOf(error) ?? '')) throw error
      await session.query('ROLLBACK')
      onBadCondition(error)
      return 0
    }
    handOn()
    // Nobody waits for its answer: the next chunk's statements come behind it.
    session.query('COMMIT').catch(() => {})
    if (limit === undefined || rows < limit) this.#add({ rows: undefined, reading, keyOf: () => undefined })
    if (this.#pieces.length > 0) {
      this.#delivered = deferred()
      await this.#delivered.promise
    }
    return rows
  }

  #add(piece: Piece): void {
    this.#pieces.push(piece)
    this.#bytes += piece.rows?.bytes ?? 0
    this.pump()
  }
}
