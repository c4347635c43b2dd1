import { SOURCE_ENDED, TEMPORARY_SLOT_LOST } from '../core/errors.js'
import type { TailraceError } from '../core/tailraceError.js'
import { timelineWhereStreams } from '../postgres/ownServer.js'
import { publicationMark } from '../postgres/publicationState.js'
import { describeCause, isTransient } from '../postgres/serverError.js'
import type { Session } from '../postgres/session.js'
import type { Batch } from './batch.js'
import type { CaptureSet } from './captureSet.js'
import { ChangeCollector } from './changeCollector.js'
import { asWarning } from './events.js'
import { PartitionWatch } from './partitionWatch.js'
import type { StreamPosition } from './position.js'
import type { Prepared } from './preparation.js'
import { PublicationWatch, type WatchedPublications } from './publicationWatch.js'
import type { RunContext } from './runContext.js'
import type { TableProgress } from './scan/progress.js'
import { Scans } from './scan/scans.js'
import { chooseStreaming } from './spool/streaming.js'
import { shapesOf } from './streamedShapes.js'
import { StreamLoop } from './streamLoop.js'
import { StreamProgress } from './streamProgress.js'
import { TableChanges } from './tableChanges.js'
import type { TableControl } from './tableControl.js'
import { TableWatch } from './tableWatch.js'
import { toastFetch } from './toast/toastFetch.js'
import { toBatch } from './toBatch.js'
import { TypeWatch } from './typeWatch.js'
import { currentLsn } from './untilLsn.js'

export interface StreamStart {
  readonly prepared: Prepared
  readonly capture: CaptureSet
  /** Those whose rows are still to be read, or whose changes are still to be judged by what was read. */
  readonly scanned: readonly TableProgress[]
  readonly resumed: StreamPosition
  readonly slot: string
  /** Of the run's publications the first. */
  readonly publicationName: string
  /** Captured no more, and in our publications until that is durable. */
  readonly leaving: readonly number[]
  /** Told where the tables can be changed. */
  readonly onTables: (tables: TableControl) => void
  readonly publications: WatchedPublications
  /** The session that owns a temporary slot. */
  readonly owner: Session | undefined
  /** The slot was made just now: the tables' shapes are those of its beginning. */
  readonly fresh: boolean
}

/** How long the end of a run waits for the acknowledgement of its last batch. */
const LAST_ACK_MS = 5000

/** Every change from the position on, as batches. */
export async function* streamBatches(context: RunContext, start: StreamStart): AsyncGenerator<Batch, void, void> {
  const { options, connections, queue, acknowledgements, emit, signal } = context
  const { prepared, capture, resumed, owner } = start
  const { control } = connections
  const shapes = await shapesOf(control, prepared, capture, start.fresh)
  const scans = new Scans({
    connections,
    capture,
    workers: options.snapshotWorkers,
    batchBytes: context.batchBytes,
    resumed: resumed.place.snapshot ?? { id: '', rows: 0 },
    emit,
    signal,
  })
  const { partitions: mark } = resumed.origin
  const partitions = await PartitionWatch.open({ connections, options, capture, scans, mark, emit, signal })
  await scans.add(start.scanned)
  context.watch.onRest((paused) => {
    scans.pause(paused)
    return scans.unread
  })
  const collector = new ChangeCollector({
    origin: resumed.origin,
    shapes,
    resumed,
    messages: options.wantsMessage,
    onRedeliveryChange: options.onRedeliveryChange,
    scans,
    onReady: () => loop.decided(),
    onTruncate: (oid, lsn) => partitions.truncated(oid, lsn),
  })
  const loop: StreamLoop = new StreamLoop({
    slot: start.slot,
    publications: start.publications.names,
    messages: options.messages !== false,
    owner,
    connect: () => connections.replication(),
    probe: (session) => connections.probe(session),
    control,
    collector,
    ledger: acknowledgements.ledger,
    queue,
    toBatch: (collected) => toBatch(collected, (position) => acknowledgements.ack(position)),
    scans,
    scannedBatch: (...of) => acknowledgements.batch(...of),
    batchBytes: context.batchBytes,
    until: options.until === 'current' ? await currentLsn(control, signal) : options.until,
    ...chooseStreaming(options, owner !== undefined),
    emit,
  })
  const toast = options.toast === 'fetch' ? toastFetch(context, start.publications.names) : undefined
  context.watch.follow(start.slot, loop)
  control.onLost = () => loop.suspectShutdown()
  const progress = new StreamProgress(resumed.resumeLsn, emit)
  const { ledger } = acknowledgements
  ledger.allow(ledger.confirmed)
  let changed: TailraceError | undefined
  const publications = new PublicationWatch({
    publications: start.publications,
    control,
    isOurServer: async () => {
      const timeline = await timelineWhereStreams(control, start.slot, loop.processId)
      // A standby is promoted while it streams.
      if (timeline !== undefined && timeline > collector.position.origin.timeline) collector.follow({ timeline })
      return timeline !== undefined
    },
    onUnchanged: (lsn, states, tables) => {
      collector.follow({ publications: publicationMark(states, tables) })
      ledger.allow(lsn)
      loop.confirmSoon()
      progress.report(lsn)
    },
    onChanged: (change) => {
      if (options.onPublicationChange === 'continue') {
        emit(asWarning(change))
        return true
      }
      changed = change
      queue.fail(change)
      return false
    },
    emit,
  })
  acknowledgements.onAck = () => {
    loop.confirmSoon()
    if (ledger.holds) void publications.look()
  }
  const ended = new AbortController()
  const changes = new TableChanges({
    options,
    prepared,
    control,
    capture,
    scans,
    shapes,
    publications,
    publication: start.publicationName,
    slot: start.slot,
    leaving: start.leaving,
    onCaptured: (now) => collector.follow(now),
    recorded: async (holds) => {
      // Nobody goes on from a position of a run with a temporary slot.
      if (owner !== undefined) return
      const ask = () => loop.offerPosition()
      await acknowledgements.until(({ origin }) => holds(origin.captured ?? []), ask, ended.signal)
    },
    emit,
    signal,
  })
  start.onTables(changes)
  const watch = new TableWatch({ control, options, capture, changes, emit })
  partitions.begin({
    changes,
    serverVersion: prepared.facts.version,
    readTo: () => collector.readTo,
    onMark: (partitions) => collector.follow({ partitions }),
  })
  const types = new TypeWatch(prepared.compiler, shapes, emit)
  const end = () => {
    queue.abandon()
    void publications.end(ledger.holds).then(() => loop.stop())
  }
  signal.addEventListener('abort', end, { once: true })
  if (signal.aborted) end()
  const running = loop.run().then(
    () => queue.end(),
    (cause) => {
      const lost = owner !== undefined && isTransient(cause)
      const error = lost ? TEMPORARY_SLOT_LOST({ problem: describeCause(cause) }, { cause }) : cause
      queue.fail(error)
      toast?.fail(error)
    },
  )
  try {
    for (let batch = await queue.next(); batch !== undefined; batch = await queue.next()) {
      progress.took(batch)
      if (toast === undefined) yield batch
      else yield* toast.filled(batch)
    }
    // At the end of `until`: the slot moves with the last acknowledgement, which comes after the last batch.
    if (owner === undefined && !signal.aborted) yield* acknowledgements.settle(signal, LAST_ACK_MS)
    await publications.end(true)
    if (changed !== undefined && !signal.aborted) throw changed
  } finally {
    signal.removeEventListener('abort', end)
    ended.abort(SOURCE_ENDED({}))
    context.watch.stop()
    watch.stop()
    partitions.stop()
    types.stop()
    await toast?.close()
    // Nobody waits for a server that is away; what is still asked is the clean-up.
    control.end()
    await publications.end(ledger.holds)
    await loop.stop()
    await running
  }
}
