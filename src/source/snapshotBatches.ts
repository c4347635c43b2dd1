import { SNAPSHOT_INTERRUPTED } from '../core/errors.js'
import { RowBatch } from '../core/rowBatch.js'
import { formatLsn, type Lsn } from '../postgres/lsn.js'
import { describeCause, isTransient } from '../postgres/serverError.js'
import type { Session } from '../postgres/session.js'
import type { Batch } from './batch.js'
import type { PlannedTable } from './capturePlan.js'
import { BEFORE_ROWS, type Origin, StreamPosition } from './position.js'
import { compileTables, type Prepared } from './preparation.js'
import { recordBegin } from './recordBegin.js'
import type { RunContext } from './runContext.js'
import type { SnapshotProgress } from './scan/progress.js'
import { ConsistentProgress } from './snapshot/consistentProgress.js'
import { LockWatch } from './snapshot/lockWatch.js'
import { readSnapshot, type SnapshotReaders } from './snapshot/snapshotPhase.js'

/**
 * Rows in binary format are handed to a thread: each batch costs as much as the work on some hundred of its rows. What is made of
 * small ones is many times as large.
 */
const BINARY_BATCH_BYTES = 512 * 1024
const BINARY_BATCH_ROWS = 4096

export interface SnapshotStart {
  readonly prepared: Prepared
  readonly planned: readonly PlannedTable[]
  readonly origin: Origin
  /** The slot's consistent point. */
  readonly lsn: Lsn
  readonly snapshotName: string
  readonly readers: SnapshotReaders
  /** The slot outlives a crash: then positions tell how far the snapshot is, and another run goes on with it. */
  readonly resumable: boolean
  /** Without it there is nothing to go on with: the session that owns the temporary slot. */
  readonly owner: Session | undefined
}

/** All rows, as batches. The first is empty: stored, its position tells that a snapshot was begun and not finished. */
export async function* snapshotBatches(context: RunContext, start: SnapshotStart): AsyncGenerator<Batch, void, void> {
  const { queue, acknowledgements, emit, signal } = context
  const { prepared, planned, origin, lsn, readers, resumable } = start
  // Once the readers have its snapshot, a slot that outlives its session needs it no more.
  const owner = resumable ? undefined : start.owner
  const id = formatLsn(lsn)
  const progress = new ConsistentProgress(id, planned)
  const at = (snapshot: SnapshotProgress) =>
    new StreamPosition(origin, { lsn, seq: BEFORE_ROWS, sub: 0, end: undefined, fingerprint: 0, snapshot })
  const begun = at(resumable ? progress.now : { id, rows: 0 })
  acknowledgements.begin(lsn, origin)
  if (resumable) {
    // The readers hold their locks while the consumer takes his time.
    const watch = new LockWatch(context.connections.control, readers.pids, emit)
    try {
      yield* recordBegin(context, begun)
    } finally {
      watch.stop()
    }
  } else {
    acknowledgements.ledger.offer(begun, lsn)
    yield acknowledgements.batch(new RowBatch(), begun)
  }

  const { host, maxBytes } = context.options
  const takesBinary = host?.takesBinary === true
  const began = performance.now()
  const ended = new AbortController()
  const lost = (cause: unknown) => ended.abort(SNAPSHOT_INTERRUPTED({ problem: describeCause(cause) }, { cause }))
  owner?.onLost(lost)
  let rows = 0
  const reading = readSnapshot({
    readers,
    planned,
    tables: compileTables(planned, prepared.compiler, emit),
    snapshotName: start.snapshotName,
    snapshotId: id,
    batchBytes: takesBinary ? Math.min(BINARY_BATCH_BYTES, maxBytes) : context.batchBytes,
    batchRows: takesBinary ? BINARY_BATCH_ROWS : Number.POSITIVE_INFINITY,
    takesBinary,
    queue,
    deliver: (batch, unit) => {
      const before = rows
      rows += batch.count
      const told = progress.delivered(batch, unit)
      const snapshotAt = resumable ? told : (index: number) => ({ id, rows: before + index + 1 })
      const position = at(snapshotAt(batch.count - 1))
      acknowledgements.ledger.offer(position, lsn)
      queue.push(acknowledgements.batch(batch, position, snapshotAt), batch.bytes)
      return told.to
    },
    finished: (unit, last) => {
      progress.finished(unit, last)
      if (unit.piece === undefined) return
      const told = acknowledgements.batch(new RowBatch(), at({ id, rows }), undefined, undefined, unit.piece)
      queue.push(told, 0)
    },
    pieces: context.options.pieces,
    onKeyed: resumable ? (keyed) => progress.ranges(keyed) : undefined,
    emit,
    signal: AbortSignal.any([signal, ended.signal]),
    control: context.connections.control,
  }).then(
    () => queue.end(),
    (error) => queue.fail(error),
  )
  try {
    for (let batch = await queue.next(); batch !== undefined; batch = await queue.next()) yield batch
  } catch (cause) {
    if (ended.signal.aborted) throw ended.signal.reason
    throw isTransient(cause) ? SNAPSHOT_INTERRUPTED({ problem: describeCause(cause) }, { cause }) : cause
  } finally {
    // Also when the consumer left in the middle: the readers wait for room that nobody makes any more.
    ended.abort(new Error('the snapshot is over'))
    await reading
    await readers.close()
  }
  emit({ type: 'snapshot-finished', rows, seconds: (performance.now() - began) / 1000 })
  queue.reopen()
}
