import {
  POSITION_AHEAD,
  POSITION_NOT_RESUMABLE,
  POSITION_OTHER_DATABASE,
  POSITION_OTHER_SERVER,
  POSITION_OTHER_SLOT,
  SLOT_AHEAD,
  SLOT_EXISTS,
  SLOT_LOST,
  SLOT_MISSING,
  TIMELINE_BEHIND,
} from '../core/errors.js'
import type { ServerFacts } from '../postgres/catalog/server.js'
import { formatLsn, type Lsn } from '../postgres/lsn.js'
import { publicationMark } from '../postgres/publicationState.js'
import { checkSlot, type Slot } from '../postgres/slot.js'
import { BEFORE_ROWS, type Origin, StreamPosition } from './position.js'
import type { WatchedPublications } from './publicationWatch.js'
import { drawnEpoch, isMarked } from './slotMark.js'

export interface StartFacts {
  readonly server: Pick<ServerFacts, 'systemIdentifier' | 'timeline' | 'database' | 'inRecovery' | 'insertLsn'>
  readonly position: StreamPosition | undefined
  /** The slot's name as the options give it; undefined: a temporary one. */
  readonly slotName: string | undefined
  /** The server's slot of that name, or of the position's. */
  readonly slot: Slot | undefined
  readonly existingSlot: 'refuse' | 'resume' | 'snapshot'
  /** Default: stop. */
  readonly onSlotLost?: 'stop' | 'resnapshot'
  /** What we confirm bears a mark: a slot beyond the position that has it was moved by us. Default: it has none. */
  readonly marked?: boolean
}

export interface FreshStart {
  readonly kind: 'fresh'
  readonly slot: string | undefined
  readonly epoch: number
  readonly dropSlot: boolean
  /** The consumer has had the tables' rows before, with another slot. */
  readonly again: boolean
}

export type Start =
  /** A slot is made; a snapshot is taken first if the options ask for one. */
  | FreshStart
  /** The stream goes on. */
  | { readonly kind: 'resume'; readonly position: StreamPosition }

/**
 * How a run begins: decided from what the consumer stored and what the server has, before anything is changed. Whatever
 * does not fit is an error: nothing is made anew silently (design section 3, rules 6 and 7).
 */
export function decideStart(facts: StartFacts): Start {
  const { server, position, slotName, slot, existingSlot, marked = false } = facts
  if (position !== undefined) return fromPosition(facts, position)
  const epoch = marked ? drawnEpoch() : 1
  if (slotName === undefined || slot === undefined) return fresh(slotName, epoch, false, false)
  if (existingSlot === 'refuse') throw SLOT_EXISTS({ slot: slotName })
  requireUsable(slot, slotName, server.database)
  const origin: Origin = originOf(server, slotName, epoch)
  const lsn = slot.confirmedFlushLsn!
  const place = { lsn, seq: BEFORE_ROWS, sub: 0, end: lsn, fingerprint: 0, snapshot: undefined }
  return { kind: 'resume', position: new StreamPosition(origin, place) }
}

export function originOf(
  server: StartFacts['server'],
  slot: string | undefined,
  epoch: number,
  captured?: readonly number[],
  publications?: WatchedPublications,
): Origin {
  const { systemIdentifier, timeline, database } = server
  const known = publications && { publications: publicationMark(publications.states, publications.tables) }
  return {
    system: systemIdentifier,
    timeline,
    database,
    slot: slot ?? null,
    epoch,
    ...(captured !== undefined && { captured }),
    ...known,
  }
}

/** Told before anything else: what does not fit there follows from it. */
export function requireSameDatabase({ origin }: StreamPosition, server: StartFacts['server']): void {
  if (origin.system !== server.systemIdentifier) {
    throw POSITION_OTHER_SERVER({ expected: origin.system, found: server.systemIdentifier })
  }
  if (origin.database !== server.database) {
    throw POSITION_OTHER_DATABASE({ expected: origin.database, found: server.database })
  }
}

/**
 * A position of a primary's own timeline beyond all that it has written is of a state that it has not now, and what it writes up to
 * there would be passed over. Not beyond what it has flushed: a place at which all was visible may be there. Of another timeline: see `checkHistory`.
 */
export function requireInWal(
  { origin, resumeLsn }: StreamPosition,
  server: { readonly timeline: number; readonly insertLsn: Lsn; readonly slot: string },
): void {
  if (server.timeline !== origin.timeline || resumeLsn <= server.insertLsn) return
  throw POSITION_AHEAD({ position: formatLsn(resumeLsn), end: formatLsn(server.insertLsn), slot: server.slot })
}

function fresh(slot: string | undefined, epoch: number, dropSlot: boolean, again: boolean): Start {
  return { kind: 'fresh', slot, epoch, dropSlot, again }
}

function fromPosition(facts: StartFacts, position: StreamPosition): Start {
  const { server, slotName, slot, onSlotLost = 'stop', marked = false } = facts
  const { origin, place } = position
  requireSameDatabase(position, server)
  if (origin.slot === null) throw POSITION_NOT_RESUMABLE({})
  if (slotName !== undefined && slotName !== origin.slot) {
    throw POSITION_OTHER_SLOT({ expected: origin.slot, found: slotName })
  }
  if (server.timeline < origin.timeline) throw TIMELINE_BEHIND({ expected: origin.timeline, found: server.timeline })
  if (position.beginsAnew) {
    // One made since the position was recorded is ours, of a run that could not record it; an older one is not.
    if (slot !== undefined && (slot.confirmedFlushLsn ?? 0n) < place.lsn) throw SLOT_EXISTS({ slot: origin.slot })
    if (slot !== undefined) requireUsable({ ...slot, invalidation: undefined }, origin.slot, server.database)
    return fresh(origin.slot, origin.epoch + 1, slot !== undefined, place.snapshot?.tables !== undefined)
  }
  try {
    requireUsable(slot, origin.slot, server.database)
  } catch (problem) {
    const lost = SLOT_MISSING.is(problem) || SLOT_LOST.is(problem)
    if (!lost || onSlotLost === 'stop') throw problem
    return fresh(origin.slot, origin.epoch + 1, slot !== undefined, true)
  }
  if (!server.inRecovery) requireInWal(position, { ...server, slot: origin.slot })
  const confirmed = slot!.confirmedFlushLsn!
  if (confirmed > position.resumeLsn) {
    // All up to there was acknowledged, or had nothing for the consumer: the server sends no more of it.
    if (marked && isMarked(confirmed, origin.epoch)) {
      return { kind: 'resume', position: new StreamPosition(origin, { ...place, end: confirmed }) }
    }
    throw SLOT_AHEAD({
      slot: origin.slot,
      confirmed: formatLsn(confirmed),
      position: formatLsn(position.resumeLsn),
    })
  }
  // Of the timeline that it was read in: whoever connects asks the server where it left that.
  return { kind: 'resume', position }
}

/** An active slot may be our own, of a connection that was cut: whoever starts the stream waits for it. */
function requireUsable(slot: Slot | undefined, name: string, database: string): void {
  const problem = checkSlot(slot === undefined ? undefined : { ...slot, active: false }, { slot: name, database })
  if (problem !== undefined) throw problem
}
