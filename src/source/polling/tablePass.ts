import type { RowBatch } from '../../core/rowBatch.js'
import { HEAD, HEAD_FINGERPRINT } from '../../core/rowBatch.js'
import { CopyOut } from '../../postgres/copy/copyOut.js'
import type { Session } from '../../postgres/session.js'
import type { BatchQueue } from '../batchQueue.js'
import type { Page } from './page.js'
import { PollCollector } from './pollCollector.js'
import { pageSql } from './pollSql.js'
import type { OrderKey, Part, TableState } from './pollState.js'
import type { PollTable } from './pollTable.js'
import { knownXids, type Seen } from './seen.js'

export interface PassOptions {
  readonly table: PollTable
  /** Undefined: the table was never read. */
  readonly state: TableState | undefined
  /** What is done with rows of a part that was never read. */
  readonly unread: 'snapshot' | 'none'
  readonly maxXids: number
  readonly batchBytes: number
  readonly queue: Pick<BatchQueue<unknown>, 'full'>
  /** A batch whose last record, and each other one, is followed by what `stateAt` gives for its index. */
  readonly deliver: (rows: RowBatch, stateAt: (index: number) => TableState) => void
  /** Hears the COPY that runs, whose reading stops while the queue is full. */
  readonly onCopy: (copy: CopyOut | undefined) => void
}

/**
 * One reading of a table: of each of its parts, in order, the rows that were not seen there yet. Each page is read in a
 * snapshot of its own, and what lies behind it is a part of its own until the next pass has read it, too.
 */
export class TablePass {
  readonly #options: PassOptions
  /** What this pass has read, in pages that are finished. */
  #done: readonly Part[] = []
  /** What it has not, the first of which it may have begun. */
  #rest: readonly Part[]
  #at: OrderKey | undefined
  #page: { readonly horizon: number; readonly xids: number[] } | undefined
  /** The last value of the cursor column that was read. */
  lastCursor: string | undefined
  pages = 0
  heldBack = 0
  delivered = 0

  constructor(options: PassOptions) {
    this.#options = options
    this.#rest = options.state?.parts ?? [{ to: undefined, seen: undefined }]
  }

  /** Below this nothing is looked at. */
  get #floor(): string | undefined {
    return this.#options.state?.floor
  }

  /** Reads up to `limit` rows more, in the transaction of `session`; gives whether that was all. */
  async readPage(session: Session, page: Page, limit: number): Promise<boolean> {
    this.#endPage()
    this.#page = { horizon: page.horizon, xids: this.#knownAbove(page.horizon) }
    this.pages++
    for (let left = limit; this.#rest.length > 0; ) {
      const part = this.#rest[0]!
      const collector = await this.#readPart(session, page, part, left)
      this.#at = collector.last ?? this.#at
      if (collector.rows === left) return false
      left -= collector.rows
      this.#at = part.to
      this.#rest = this.#rest.slice(1)
    }
    return true
  }

  /** The parts behind a pass that has come to its end. */
  get parts(): readonly Part[] {
    return [...this.#done, { to: undefined, seen: this.#seen() }]
  }

  async #readPart(session: Session, page: Page, part: Part, limit: number): Promise<PollCollector> {
    const { table, unread, queue, batchBytes, onCopy } = this.#options
    const deliver = part.seen !== undefined ? 'create' : unread
    const { xids } = this.#page!
    // What is there but not to be delivered: only who wrote it lately has to be known.
    const nothing = deliver === 'none' ? { horizon: page.horizon, xids: [], known: 0 } : undefined
    const maxXids = deliver === 'none' ? Number.POSITIVE_INFINITY : this.#options.maxXids
    const collector = new PollCollector({ table, snapshot: page, xids, maxXids, deliver })
    const handOn = () => this.#handOn(collector)
    const read = { ...part, seen: part.seen ?? nothing }
    const sql = pageSql(table, { after: this.#at, part: read, floor: this.#floor, limit }, page.xmax)
    const copy = new CopyOut(session, sql, {
      row: (bytes, start, end) => collector.collect(bytes, start, end),
      chunkEnd: () => {
        if (collector.bytes >= batchBytes) handOn()
        if (queue.full) copy.pause()
      },
    })
    onCopy(copy)
    try {
      await copy.done
    } finally {
      onCopy(undefined)
    }
    if (table.hasCursor) this.lastCursor = collector.last?.[0] ?? this.lastCursor
    handOn()
    this.heldBack += collector.heldBack
    return collector
  }

  #handOn(collector: PollCollector): void {
    if (collector.count === 0) return
    const rows = collector.take()
    const { horizon, xids } = this.#page!
    const before = this.#done
    const rest = this.#rest
    this.delivered += rows.count
    this.#options.deliver(rows, (index) => {
      const seen = { horizon, xids, known: rows.heads[index * HEAD + HEAD_FINGERPRINT]! }
      return this.#stateOf([...before, { to: collector.keyOf(rows, index), seen }, ...rest])
    })
  }

  /**
   * Whoever was seen in any part that is left is visible in this page too, and what was not seen of him is delivered as
   * the page comes by: so it is known from the beginning, also for the place in a part where the page, or the run, ends.
   */
  #knownAbove(horizon: number): number[] {
    const all = this.#rest.flatMap(({ seen }) => (seen === undefined ? [] : knownXids(seen)))
    return [...new Set(all)].filter((xid) => xid >= horizon)
  }

  /** A page may have ended in the middle of a part. */
  #endPage(): void {
    if (this.#page === undefined) return
    if (this.#at !== undefined) this.#done = [...this.#done, { to: this.#at, seen: this.#seen() }]
    this.#page = undefined
  }

  #seen(): Seen {
    const { horizon, xids } = this.#page!
    return { horizon, xids, known: xids.length }
  }

  #stateOf(parts: readonly Part[]): TableState {
    const { table, state } = this.#options
    return {
      oid: table.catalog.oid,
      order: orderOf(table),
      parts,
      floor: state?.floor,
      top: state?.top,
      mark: state?.mark,
    }
  }
}

/** What a table is ordered by, as its state says. */
export function orderOf({ order, hasCursor }: PollTable): string {
  return `${hasCursor ? 'cursor ' : ''}${order.map(({ sql, type }) => `${sql} ${type}`).join(', ')}`
}
