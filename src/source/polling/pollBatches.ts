import { POLLING_HISTORY_LOST, POSITION_OTHER_MODE, TIMELINE_BEHIND } from '../../core/errors.js'
import type { RowBatch } from '../../core/rowBatch.js'
import { serverFacts } from '../../postgres/catalog/server.js'
import { describeTables } from '../../postgres/catalog/tables.js'
import type { Lsn } from '../../postgres/lsn.js'
import type { Session } from '../../postgres/session.js'
import { Batch } from '../batch.js'
import { chosenColumns } from '../capturePlan.js'
import { BEFORE_ROWS, type Origin, StreamPosition } from '../position.js'
import { compileTables, type Prepared, plan, prepare } from '../preparation.js'
import type { RunContext } from '../runContext.js'
import { originOf, requireSameDatabase } from '../start.js'
import { checkHistory } from '../streamChecks.js'
import { pollingWarnings } from './pollingWarnings.js'
import { PollLoop } from './pollLoop.js'
import type { PollState } from './pollState.js'
import { type PollTable, pollTable } from './pollTable.js'

/** Rows by long polling, as batches: no slot, no publication, nothing is made on the server. */
export async function* pollBatches(context: RunContext): AsyncGenerator<Batch, void, void> {
  const { options, connections, queue, acknowledgements, emit, signal } = context
  const { position } = options
  if (position !== undefined && position.place.polling === undefined) {
    throw POSITION_OTHER_MODE({ expected: 'logical', found: 'long_polling' })
  }
  const prepared = await prepare(connections.control, { ...options, cdcMode: 'long_polling' }, undefined)
  const { facts } = prepared
  emit({ type: 'connected', serverVersion: facts.versionText, database: facts.database })
  let origin = originOf(facts, undefined, 1)
  const state: PollState = position?.place.polling ?? { count: 0, tables: {} }
  const ended = new AbortController()
  let at = position ?? placeOf(origin, facts.insertLsn, state)
  const ack = (acked: StreamPosition) => acknowledgements.ack(acked)
  acknowledgements.begin(0n, origin)
  acknowledgements.ledger.resumed(at)
  const planned = await planTables(context, prepared)
  for (const warning of pollingWarnings(planned, facts.inRecovery)) emit(warning)
  let first: readonly PollTable[] | undefined = planned
  const loop = new PollLoop({
    context,
    plan: async () => {
      const tables = first ?? (await planTables(context, prepared))
      first = undefined
      return tables
    },
    connect: async () => {
      const session = await connections.ordinary()
      const timeline = await requireSameHistory(context, session, at)
      origin = { ...origin, timeline }
      return session
    },
    state,
    inRecovery: facts.inRecovery,
    unread: options.snapshot === 'never' ? 'none' : 'snapshot',
    deliver: (rows: RowBatch, lsn: Lsn, stateAt: (index: number) => PollState) => {
      const positionAt = (index: number) => placeOf(origin, lsn, stateAt(index))
      at = positionAt(Math.max(rows.count - 1, 0))
      acknowledgements.ledger.offer(at, 0n)
      queue.push(new Batch(rows, at, ack, { placedAt: positionAt }), rows.bytes)
    },
    signal: AbortSignal.any([signal, ended.signal]),
  })
  const running = loop.run().then(
    () => queue.end(),
    (error) => queue.fail(error),
  )
  try {
    for (let batch = await queue.next(); batch !== undefined; batch = await queue.next()) yield batch
  } finally {
    ended.abort(new Error('the polling is over'))
    queue.abandon()
    await running
  }
}

function placeOf(origin: Origin, lsn: Lsn, polling: PollState): StreamPosition {
  const place = { lsn, seq: BEFORE_ROWS, sub: 0, end: undefined, fingerprint: 0, snapshot: undefined, polling }
  return new StreamPosition(origin, place)
}

/** The tables as they are now; those that were dropped are left out. */
async function planTables({ options, connections, emit }: RunContext, prepared: Prepared): Promise<PollTable[]> {
  const { facts, generated, compiler } = prepared
  const found = await describeTables(
    connections.control,
    prepared.planned.map(({ table }) => table.oid),
  )
  const someOnly = found.length < prepared.planned.length
  const planned = plan(found, { ...options, cdcMode: 'long_polling' }, facts, generated, { someOnly })
  const cursors = chosenColumns(found, options.cursors, { someOnly })
  const tables = await compileTables(planned, compiler, emit)
  return planned.map((one) => pollTable(one, tables.get(one.table.oid)!, cursors.get(one.table)))
}

/** Xids, like LSNs, mean something in one history only. Gives the server's timeline. */
async function requireSameHistory(context: RunContext, session: Session, at: StreamPosition): Promise<number> {
  const facts = await serverFacts(session)
  requireSameDatabase(at, facts)
  const { timeline } = at.origin
  if (facts.timeline === timeline) return timeline
  if (facts.timeline < timeline) throw TIMELINE_BEHIND({ expected: timeline, found: facts.timeline })
  const replication = await context.connections.replication().catch((cause) => {
    const problem = `the server is on timeline ${facts.timeline}, the position on ${timeline}, and only a replication connection could tell whether all that was read is there`
    throw POLLING_HISTORY_LOST({ problem }, { cause })
  })
  try {
    await checkHistory(replication, at, facts.timeline)
    return facts.timeline
  } finally {
    await replication.close()
  }
}
