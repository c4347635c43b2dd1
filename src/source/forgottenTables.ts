import { RowBatch } from '../core/rowBatch.js'
import { inspectPublication, type Publication } from '../postgres/publication.js'
import { publishes } from '../postgres/publicationCheck.js'
import { publicationMark } from '../postgres/publicationState.js'
import type { Queryable } from '../postgres/queryable.js'
import { inspectSlot } from '../postgres/slot.js'
import { RECORDED_MS } from './acknowledgements.js'
import type { Batch } from './batch.js'
import type { PlannedTable } from './capturePlan.js'
import { type Place, StreamPosition } from './position.js'
import type { Prepared } from './preparation.js'
import { possibleNames, watchPublications } from './publications.js'
import type { RunContext } from './runContext.js'

export interface Remembered {
  /** Has as captured what is captured still, without a gap. */
  readonly position: StreamPosition
  /** Were captured, and are not wanted any more: they are to leave our publications. */
  readonly leaving: readonly number[]
  /** That they are captured no more is durable. */
  readonly recorded: boolean
}

/**
 * The position without the tables that are captured no more, and without those that our publications lost since: their
 * changes meanwhile are nowhere, so that they are read like new ones. It is durable before a publication is altered: a
 * crash behind that would leave a position by which the table was captured all the time. Nobody is waited for so that a
 * table can leave, but what is to be added again cannot be before: who keeps the run from that is told (watchdog.ts).
 */
export async function* forgetTables(
  context: RunContext,
  prepared: Prepared,
  position: StreamPosition,
  publication: string,
): AsyncGenerator<Batch, Remembered, void> {
  const { acknowledgements, connections, signal } = context
  const { control } = connections
  const known = position.origin.captured
  if (known === undefined) return { position, leaving: [], recorded: true }
  const wanted = prepared.planned.filter(({ table }) => known.includes(table.oid))
  const staying = await published(control, wanted, publication)
  const leaving = leftOut(position, prepared)
  if (staying.length === known.length) return { position, leaving, recorded: true }
  const captured = staying.map(({ table }) => table.oid)
  const wishes = { name: publication, serverVersion: prepared.facts.version }
  // Where nothing stays there is nothing that could have been judged wrongly.
  const watched = staying.length === 0 ? undefined : await watchPublications(control, staying, wishes)
  const publications = watched && publicationMark(watched.states, watched.tables)
  const origin = { ...position.origin, captured, leaving: someOf(leaving), publications }
  const remembered = new StreamPosition(origin, without(position.place, captured))
  const confirmed = (await inspectSlot(control, origin.slot!))?.confirmedFlushLsn ?? 0n
  acknowledgements.begin(confirmed, origin)
  acknowledgements.ledger.offer(remembered, confirmed)
  yield acknowledgements.batch(new RowBatch(), remembered)
  yield* acknowledgements.settle(signal, staying.length === wanted.length ? RECORDED_MS : undefined)
  return { position: remembered, leaving, recorded: acknowledgements.ledger.settled }
}

/** Were captured by that position, or were to leave by it, and are not captured any more. */
export function leftOut({ origin }: StreamPosition, { planned }: Prepared): readonly number[] {
  const had = new Set([...(origin.captured ?? []), ...(origin.leaving ?? [])])
  return [...had].filter((oid) => planned.every(({ table }) => table.oid !== oid))
}

/** As positions have them. */
export function someOf(leaving: readonly number[]): readonly number[] | undefined {
  return leaving.length > 0 ? leaving : undefined
}

/** Those that some publication of the run carries; where there is none, whoever would have to make it tells. */
async function published(
  queryable: Queryable,
  planned: readonly PlannedTable[],
  name: string,
): Promise<readonly PlannedTable[]> {
  const publications: Publication[] = []
  for (const one of possibleNames(name)) {
    const publication = await inspectPublication(queryable, one)
    if (publication !== undefined) publications.push(publication)
  }
  if (publications.length === 0) return planned
  return planned.filter(({ table }) => publications.some((publication) => publishes(publication, table)))
}

function without(place: Place, captured: readonly number[]): Place {
  const tables = place.snapshot?.tables?.filter(({ oid }) => captured.includes(oid))
  return tables === undefined ? place : { ...place, snapshot: { ...place.snapshot!, tables } }
}
