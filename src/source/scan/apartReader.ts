import { sleep } from '../../core/abort.js'
import { backoffMs } from '../../core/backoff.js'
import type { Transaction } from '../../core/record.js'
import type { RowBatch } from '../../core/rowBatch.js'
import { keyColumns } from '../../postgres/catalog/keyColumns.js'
import { CopyOut } from '../../postgres/copy/copyOut.js'
import { sqlName } from '../../postgres/identifier.js'
import { formatLsn } from '../../postgres/lsn.js'
import { isTransient, sqlstateOf } from '../../postgres/serverError.js'
import type { Session } from '../../postgres/session.js'
import { parseTransactionSnapshot } from '../../postgres/transactionSnapshot.js'
import type { CaptureSet } from '../captureSet.js'
import type { Connections } from '../connections.js'
import type { SourceEvent } from '../events.js'
import { RowCollector } from '../snapshot/rowCollector.js'
import { rowSql } from './chunkSql.js'
import { keyId } from './keyOrder.js'
import { lockForChunk, openChunk, replayedLsn } from './openChunk.js'
import { scanKeyOf } from './scanKey.js'
import type { KeyText, Reading } from './stretches.js'
import type { TableScan } from './tableScan.js'

/** The row of one key, if it is there, and in which snapshot it was looked for. */
export interface ApartRow {
  readonly key: KeyText
  readonly reading: Reading
  readonly rows: RowBatch
}

export interface ApartReaderOptions {
  readonly connections: Connections
  readonly capture: CaptureSet
  readonly emit: (event: SourceEvent) => void
  readonly deliver: (scan: TableScan, row: ApartRow) => void
  /** Whether the row is still wanted: its table is being read, by this key. */
  readonly isScanned: (scan: TableScan) => boolean
  readonly onGone: (scan: TableScan) => void
  /** The table has another key by now. */
  readonly onOtherKey: (scan: TableScan, key: readonly string[]) => void
  readonly onFailure: (error: unknown) => void
  readonly signal: AbortSignal
}

const BACKOFF = { firstMs: 10, maxMs: 1000 }
/** The table, or a column, has another name since it was looked at. */
const RENAMED: readonly (string | undefined)[] = ['42P01', '42703']

/**
 * Reads single rows in snapshots of their own: of one whose key was changed from a part of the table that is still to be
 * read into one that was read, without all of its values, no chunk will ever show these. And of one whose delete was told
 * late (`TableScan`), since what followed may not be told behind what an earlier run told.
 */
export class ApartReader {
  readonly #options: ApartReaderOptions
  /** The keys that are being read; by scan, since a table that begins anew waits for its own. */
  readonly #wanted = new WeakMap<TableScan, Set<string>>()
  #last: Promise<void> = Promise.resolve()

  constructor(options: ApartReaderOptions) {
    this.#options = options
  }

  want(scan: TableScan, key: KeyText, transaction: Transaction): void {
    const id = keyId(key)
    const wanted = this.#wanted.get(scan) ?? new Set()
    this.#wanted.set(scan, wanted)
    if (wanted.has(id)) return
    wanted.add(id)
    this.#last = this.#last
      .then(() => this.#patiently(scan, key, transaction))
      .finally(() => wanted.delete(id))
      // Whoever gets it may want it once more at once. And a session whose end fails must not bring a row twice.
      .then((row) => row && this.#options.deliver(scan, row))
      .catch((error) => {
        if (!this.#options.signal.aborted) this.#options.onFailure(error)
      })
  }

  /** Undefined: its table is not read any more. */
  async #patiently(scan: TableScan, key: KeyText, transaction: Transaction): Promise<ApartRow | undefined> {
    for (let attempt = 1; this.#options.isScanned(scan); attempt++) {
      const row = await this.#attempt(scan, key, transaction)
      if (row !== undefined) return row
      await sleep(backoffMs(attempt, BACKOFF), this.#options.signal)
    }
    return undefined
  }

  /** Undefined: not this time. */
  async #attempt(scan: TableScan, key: KeyText, transaction: Transaction): Promise<ApartRow | undefined> {
    try {
      await using session = await this.#options.connections.ordinary()
      return await this.#read(session, scan, key, transaction)
    } catch (error) {
      if (isTransient(error) || RENAMED.includes(sqlstateOf(error))) return undefined
      throw error
    }
  }

  /** Undefined: not this time, as when the snapshot does not show the transaction yet. */
  async #read(
    session: Session,
    scan: TableScan,
    key: KeyText,
    transaction: Transaction,
  ): Promise<ApartRow | undefined> {
    const { capture, connections, emit, onGone, onOtherKey } = this.#options
    const { control } = connections
    const { oid, key: names } = scan.progress
    const before = await capture.look(control, oid)
    const rows = (collector: RowCollector, reading: Reading) => ({ key, reading, rows: collector.take() })
    if (before === undefined) {
      onGone(scan)
      return undefined
    }
    const replayed = await replayedLsn(control)
    await lockForChunk(session, before.planned.table, control, emit)
    const opened = await openChunk(session, oid, replayed)
    if ('standby' in opened) return undefined
    // It may have been altered before it was locked.
    const captured = await capture.look(session, oid)
    if (captured === undefined || sqlName(captured.planned.table) !== sqlName(before.planned.table)) return undefined
    const { sees } = parseTransactionSnapshot(opened.snapshot)!
    if (!sees(transaction.xid, transaction.commitLsn)) return undefined
    const columns = await keyColumns(session, oid, names)
    if (columns.length < names.length) {
      onOtherKey(scan, scanKeyOf(captured.planned))
      return undefined
    }
    const query = { ...captured.query, read: new Set([...captured.query.read, ...names]) }
    // Another id than that of a row of this key which a chunk had, and which has moved away since.
    const id = formatLsn(opened.until)
    const collector = new RowCollector(captured.table, query.columns.length + (query.withPlace ? 1 : 0), id)
    const sql = rowSql(captured.planned.table, columns, key, query)
    await new CopyOut(session, sql, { row: (bytes, start, end) => collector.collect(bytes, start, end) }).done
    return rows(collector, { snapshot: opened.snapshot, until: opened.until })
  }
}
