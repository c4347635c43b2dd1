import { sleep } from '../core/abort.js'
import { SLOT_ACTIVE, SLOT_MISSING, SNAPSHOT_INTERRUPTED, SNAPSHOT_NOT_KEPT } from '../core/errors.js'
import { RowBatch } from '../core/rowBatch.js'
import { formatLsn } from '../postgres/lsn.js'
import { makeFailoverSlot } from '../postgres/replication/failoverSlot.js'
import { copySlot, dropSlot } from '../postgres/slot.js'
import type { Batch } from './batch.js'
import { restrictByPublications } from './capturePlan.js'
import { CaptureSet } from './captureSet.js'
import { leftOut } from './forgottenTables.js'
import { openSlot } from './freshSlot.js'
import { partitionMark } from './partitionWatch.js'
import { BEFORE_ROWS, StreamPosition } from './position.js'
import { type Prepared, planAgain } from './preparation.js'
import {
  dropAbandonedPublications,
  leavePublications,
  type PreparedPublications,
  temporaryName,
} from './publications.js'
import type { WatchedPublications } from './publicationWatch.js'
import { recordBegin } from './recordBegin.js'
import type { RunContext } from './runContext.js'
import { toBeRead } from './scan/scanKey.js'
import { snapshotBatches } from './snapshotBatches.js'
import { type FreshStart, originOf } from './start.js'
import { streamBatches } from './streamBatches.js'
import type { TableControl } from './tableControl.js'

/** How long a slot that was used a moment ago may count as active. */
const SLOT_ACTIVE_GRACE_MS = 10_000
const SLOT_POLL_MS = 500

export interface FreshRun {
  readonly prepared: Prepared
  readonly start: FreshStart
  /** Of the run's publications the first, if it has a name. */
  readonly publication: string | undefined
  readonly publish: (name: string) => Promise<PreparedPublications>
  readonly onTables: (tables: TableControl) => void
}

/** A slot is made; the rows come first, if they are wanted, or with the changes. */
export async function* freshBatches(context: RunContext, run: FreshRun): AsyncGenerator<Batch, void, void> {
  const { options, connections, acknowledgements, watch, emit } = context
  const { prepared, start, publication, onTables } = run
  const { control } = connections
  const slotName = start.slot
  if (start.dropSlot) await dropUnfinished(context, slotName!)
  const first = await connections.replication()
  const temporary = temporaryName(first.processId)
  if (slotName === undefined) await dropAbandonedPublications(control)
  const publicationName = publication ?? temporary
  const publications = await run.publish(publicationName)
  // Nothing of the slot that is gone is read any more: no position has to say first that they leave.
  const leaving = options.position === undefined ? [] : leftOut(options.position, prepared)
  const wishes = { name: publicationName, slot: slotName, serverVersion: prepared.facts.version }
  const watched =
    leaving.length === 0 ? publications.watched : await leavePublications(control, leaving, prepared.planned, wishes)
  // Before any row is read.
  const partitions = await partitionMark(control, prepared.planned)
  const wantsSnapshot = options.snapshot === 'initial'
  // Rows that the consumer has had are read as a repair.
  const incremental = wantsSnapshot && (options.strategy === 'incremental' || start.again)
  // Where no position is kept a slot with a snapshot is a temporary one until the snapshot is finished: a crash leaves
  // nothing that would make the next start skip it (design section 3, rule 7).
  const resumable = slotName !== undefined && (options.position !== undefined || options.existingSlot !== 'resume')
  if (incremental && slotName !== undefined && !resumable) {
    throw SNAPSHOT_NOT_KEPT({ slot: slotName })
  }
  const consistent = wantsSnapshot && !incremental
  const slot =
    slotName === undefined || (consistent && !resumable)
      ? { name: temporary, temporary: true, exportSnapshot: consistent }
      : { name: slotName, temporary: false, exportSnapshot: consistent, failover: options.failoverSlot }
  if (wantsSnapshot && resumable && slotName !== undefined) yield* intend(context, prepared, start, watched)
  const { owner, readers, created } = await openSlot(context, prepared.planned, first, slot)
  const planned = restrictByPublications(await planAgain(control, options, prepared), publications.publications)
  watch.follow(slot.name)
  const capture = new CaptureSet(prepared, planned, publications.publications, options, emit)
  const origin = { ...originOf(prepared.facts, slotName, start.epoch, capture.oids, watched), ...partitions }
  const lsn = created.consistentPoint
  if (readers !== undefined) {
    const snapshotName = created.snapshotName!
    const snapshot = { prepared, planned, origin, lsn, snapshotName, readers, owner, resumable }
    yield* snapshotBatches(context, snapshot)
  } else acknowledgements.begin(lsn, origin)
  const id = formatLsn(lsn)
  const scanned = incremental ? planned.map((one) => toBeRead(one, id, start.again)) : []
  const snapshot = incremental ? { id, rows: 0, tables: scanned } : undefined
  const place = { lsn, seq: BEFORE_ROWS, sub: 0, end: lsn, fingerprint: 0, snapshot }
  const resumed = new StreamPosition(origin, place)
  const stream = {
    prepared,
    capture,
    scanned,
    resumed,
    publications: watched,
    publicationName,
    leaving: [],
    onTables,
    fresh: true,
  }
  if (slotName === undefined) {
    yield* streamBatches(context, { ...stream, slot: temporary, owner })
    return
  }
  if (readers !== undefined && !resumable) {
    yield* makePermanent(context, temporary, slotName)
    if (options.failoverSlot) await makeFailoverSlot(owner, slotName)
    emit({ type: 'slot-created', slot: slotName, temporary: false, lsn: formatLsn(lsn) })
  }
  // With it the temporary slot goes, too.
  await owner.close()
  if (incremental) yield* recordBegin(context, resumed)
  else {
    // Says that the snapshot is finished: recorded before anything that follows.
    acknowledgements.ledger.offer(resumed, lsn)
    yield acknowledgements.batch(new RowBatch(), resumed)
  }
  yield* streamBatches(context, { ...stream, slot: slotName, owner: undefined })
}

/** Before there is a slot its consumer knows that there may be one: a start that finds it begins anew. */
async function* intend(
  { acknowledgements, signal }: RunContext,
  { facts, planned }: Prepared,
  { slot, epoch, again }: FreshStart,
  watched: WatchedPublications,
): AsyncGenerator<Batch, void, void> {
  const origin = originOf(facts, slot, epoch, undefined, watched)
  const lsn = facts.insertLsn
  const tables = again ? planned.map((one) => toBeRead(one, '', true)) : undefined
  const snapshot = { id: '', rows: 0, tables, intent: true }
  const place = { lsn, seq: BEFORE_ROWS, sub: 0, end: undefined, fingerprint: 0, snapshot }
  const intent = new StreamPosition(origin, place)
  acknowledgements.begin(lsn, origin)
  acknowledgements.ledger.offer(intent, lsn)
  yield acknowledgements.batch(new RowBatch(), intent)
  yield* acknowledgements.settle(signal)
}

/** The snapshot is finished when its last record is durable: only then there is a slot that outlives a crash. */
async function* makePermanent(
  { acknowledgements, connections, signal }: RunContext,
  temporary: string,
  slot: string,
): AsyncGenerator<Batch, void, void> {
  yield* acknowledgements.settle(signal)
  try {
    await copySlot(connections.control, temporary, slot)
  } catch (cause) {
    throw SLOT_MISSING.is(cause) ? SNAPSHOT_INTERRUPTED({ problem: 'its slot is gone' }, { cause }) : cause
  }
}

/** Drops the slot of an unfinished snapshot; it counts as active until the server notices that its reader is gone. */
async function dropUnfinished({ connections, signal }: RunContext, name: string): Promise<void> {
  const deadline = performance.now() + SLOT_ACTIVE_GRACE_MS
  for (;;) {
    try {
      await dropSlot(connections.control, name)
      return
    } catch (error) {
      if (!SLOT_ACTIVE.is(error) || performance.now() > deadline) throw error
      await sleep(SLOT_POLL_MS, signal)
    }
  }
}
