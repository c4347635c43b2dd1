import { sleep } from '../core/abort.js'
import { TABLES_WITHOUT_SNAPSHOT } from '../core/warnings.js'
import { formatLsn, type Lsn, lastRecordEnd } from '../postgres/lsn.js'
import { publicationMark } from '../postgres/publicationState.js'
import { describeTransaction, waitForRunningTransactions } from '../postgres/runningTransactions.js'
import { inspectSlot } from '../postgres/slot.js'
import { isBeforeSlot } from '../postgres/slotHorizon.js'
import { visibleLsn } from '../postgres/visibleLsn.js'
import { restrictByPublications } from './capturePlan.js'
import { CaptureSet } from './captureSet.js'
import { type Remembered, someOf } from './forgottenTables.js'
import { BEFORE_ROWS, type Place, StreamPosition } from './position.js'
import type { Prepared } from './preparation.js'
import { leavePublications, type PreparedPublications } from './publications.js'
import type { RunContext } from './runContext.js'
import { mayHaveMore, type SnapshotProgress, type TableProgress } from './scan/progress.js'
import { toBeRead } from './scan/scanKey.js'
import type { StreamStart } from './streamBatches.js'

export interface ResumedFrom extends Remembered {
  readonly prepared: Prepared
  /** Of the run's publications the first. */
  readonly publication: string
  readonly publications: PreparedPublications
}

export interface ResumedStart extends Omit<StreamStart, 'onTables'> {
  /** Rows are to be read, and no position was given that a crash could lead back to. */
  readonly unrecorded: boolean
}

/** What transactions that run for long may be waited for at a time, until all that is in the WAL is visible. */
const RUNNING_MS = 3000
const PAUSE_MS = 200

/** Where the stream goes on, and which rows are still to be read: of tables that are new, or were not finished. */
export async function resumedStart(
  context: RunContext,
  { prepared, position, leaving, recorded, publication, publications }: ResumedFrom,
): Promise<ResumedStart> {
  const { options, connections, acknowledgements, emit, signal } = context
  const { control } = connections
  const slot = position.origin.slot!
  const captured = prepared.planned.map(({ table }) => table.oid)
  const known = position.origin.captured
  const wishes = { name: publication, slot, serverVersion: prepared.facts.version }
  const leaves = recorded && leaving.length > 0
  const watched = leaves ? await leavePublications(control, leaving, prepared.planned, wishes) : publications.watched
  const remaining = recorded ? [] : leaving
  const planned = restrictByPublications(prepared.planned, publications.publications)
  const takesOver = options.position === undefined && options.existingSlot === 'snapshot'
  const isNew = (oid: number) => (takesOver ? true : known !== undefined && !known.includes(oid))
  const added = options.snapshot === 'never' ? [] : planned.filter(({ table }) => isNew(table.oid))
  const altered = publications.created.length > 0 || publications.altered.length > 0
  // They may have been altered for new tables a moment ago, by somebody, or by a start that was interrupted here.
  if (altered || added.length > 0) {
    await waitForRunningTransactions(control, {
      signal,
      onWaiting: (holders) =>
        emit({ type: 'waiting-for-transactions', seconds: 0, holders: holders.map(describeTransaction) }),
    })
  }
  if (altered && added.length === 0) {
    emit(TABLES_WITHOUT_SNAPSHOT({ publication }))
  }
  // What the stream has passed over of these, or never brings, the rows that are read must show.
  const visible = altered || added.length > 0 ? await allVisible(context) : undefined
  const unfinished = (position.place.snapshot?.tables ?? []).filter(({ oid }) => captured.includes(oid))
  const id = visible === undefined ? '' : formatLsn(visible)
  const toRead: readonly TableProgress[] = [
    ...unfinished,
    ...added.filter(({ table }) => unfinished.every(({ oid }) => oid !== table.oid)).map((one) => toBeRead(one, id)),
  ]
  const losesRows = planned.filter(({ plan }) => plan.key.length > 0 && !plan.insertsOnly)
  const keyed = new Set(losesRows.map(({ table }) => table.oid))
  const scanned = options.positionWithData ? toRead : toRead.map((one) => mayHaveMore(one, keyed.has(one.oid)))
  const mark = publicationMark(watched.states, watched.tables)
  const origin = { ...position.origin, captured, leaving: someOf(remaining), publications: mark }
  // Who cannot record where it begins, or does not wait until that is done, may have got rows by the place at which the
  // slot stands. From there where the publication was there: before that the slot has nothing but an error.
  const isThere = options.startBatch && takesOver && (await isPublishedBefore(context, slot, watched))
  const beginsThere = takesOver && options.host === undefined && !isThere
  const resumed = new StreamPosition(
    origin,
    placeOf(position, scanned, publications.created.length > 0 || beginsThere ? visible : undefined),
  )
  const confirmed = (await inspectSlot(control, slot))?.confirmedFlushLsn ?? 0n
  acknowledgements.begin(confirmed, position.origin)
  acknowledgements.ledger.resumed(resumed)
  const capture = new CaptureSet(prepared, planned, publications.publications, options, emit)
  return {
    prepared,
    capture,
    scanned,
    resumed,
    leaving: remaining,
    slot,
    publications: watched,
    publicationName: publication,
    owner: undefined,
    fresh: false,
    unrecorded: takesOver && scanned.length > 0,
  }
}

/** Whether the publications were there before any change that the slot gives. */
async function isPublishedBefore(
  { connections }: RunContext,
  slot: string,
  { states }: PreparedPublications['watched'],
): Promise<boolean> {
  const writtenBy = [...states.values()].map((state) => state.writtenBy)
  return !writtenBy.includes(undefined) && isBeforeSlot(connections.control, slot, writtenBy as string[])
}

/**
 * Where the stream begins. The server judges each change by the publications that there were at that change: where they
 * were made just now, older changes cannot be read.
 */
function placeOf({ place, resumeLsn }: StreamPosition, tables: readonly TableProgress[], from: Lsn | undefined): Place {
  const snapshot = tables.length === 0 && place.snapshot === undefined ? undefined : progressOf(place, tables)
  if (from !== undefined && from > resumeLsn) {
    return { lsn: from, seq: BEFORE_ROWS, sub: 0, end: from, fingerprint: 0, snapshot }
  }
  // An interrupted snapshot that was read before the stream began ends where that begins.
  const beforeStream = place.snapshot?.tables !== undefined && place.seq === BEFORE_ROWS && place.sub === 0
  const end = beforeStream ? resumeLsn : place.end
  return { ...place, end, snapshot }
}

function progressOf({ snapshot }: Place, tables: readonly TableProgress[]): SnapshotProgress {
  const { id = tables[0]?.id ?? '', rows = 0, unproved } = snapshot ?? {}
  return { id, rows, tables, unproved }
}

/** An LSN such that everything which commits before it is visible from now on. */
async function allVisible({ connections, signal }: RunContext): Promise<Lsn> {
  for (;;) {
    const { lsn, certain } = await visibleLsn(connections.control, RUNNING_MS, signal)
    if (certain) return lastRecordEnd(lsn)
    await sleep(PAUSE_MS, signal)
  }
}
