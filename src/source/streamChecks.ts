import {
  POSITION_DIVERGED,
  POSITION_OTHER_SERVER,
  PUBLICATION_MISSING,
  SERVER_ERROR,
  SLOT_AHEAD,
  SLOT_LOST,
  SLOT_MISSING,
  SLOT_SYNCHRONISED,
  STANDBY_CANNOT_DECODE,
  TIMELINE_BEHIND,
} from '../core/errors.js'
import { identifySystem } from '../postgres/catalog/server.js'
import { formatLsn, type Lsn, laterLsn } from '../postgres/lsn.js'
import { missingPublications } from '../postgres/publication.js'
import type { Queryable } from '../postgres/queryable.js'
import { timelineHistory } from '../postgres/replication/timelineHistory.js'
import type { Session } from '../postgres/session.js'
import { inspectSlot, slotCommandError } from '../postgres/slot.js'
import { DECODES_ON_STANDBYS, standbyFacts } from '../postgres/standby.js'
import type { StreamPosition } from './position.js'
import { requireInWal } from './start.js'

/**
 * LSNs of another server, or of a history that this one has left, mean nothing here. Gives the server's timeline, in
 * which the stream goes on.
 */
export async function checkServer(session: Session, slot: string, position: StreamPosition): Promise<number> {
  const { system, timeline } = position.origin
  const found = await identifySystem(session)
  if (found.systemIdentifier !== system) {
    throw POSITION_OTHER_SERVER({ expected: system, found: found.systemIdentifier })
  }
  if (found.timeline < timeline) throw TIMELINE_BEHIND({ expected: timeline, found: found.timeline })
  if (found.timeline > timeline) await checkHistory(session, position, found.timeline)
  const insertLsn = await checkStandby(session, slot)
  if (insertLsn !== undefined) requireInWal(position, { timeline: found.timeline, insertLsn, slot })
  return found.timeline
}

/**
 * Gives where a primary's WAL ends; undefined: it is a standby. In a failover the next primary is met as one at first: what it cannot do
 * yet is to be waited for.
 */
async function checkStandby(session: Session, slot: string): Promise<Lsn | undefined> {
  const { standby, version, synced, insertLsn } = await standbyFacts(session, slot)
  if (!standby) return insertLsn
  if (session.serverVersion < DECODES_ON_STANDBYS) throw STANDBY_CANNOT_DECODE({ version })
  if (synced) throw SLOT_SYNCHRONISED({ slot })
  return undefined
}

/** Throws unless the history of timeline `found` has everything up to the position, of an older one. */
export async function checkHistory(
  session: Session,
  { origin, resumeLsn }: StreamPosition,
  found: number,
): Promise<void> {
  const left = (await timelineHistory(session, found)).get(origin.timeline)
  if (left !== undefined && resumeLsn <= left) return
  throw POSITION_DIVERGED({
    position: formatLsn(resumeLsn),
    expected: origin.timeline,
    found,
    left: left === undefined ? undefined : formatLsn(left),
  })
}

/**
 * The server moves a start before the slot's confirmed LSN forward without a word: then changes were read by somebody
 * else, or the slot was made anew. Asked once the slot is ours, so that nobody can move it after the answer. `ours`:
 * what we confirmed ourselves.
 */
export async function checkSlotPlace(control: Queryable, slot: string, startLsn: Lsn, ours: Lsn): Promise<void> {
  const confirmed = (await inspectSlot(control, slot))?.confirmedFlushLsn
  if (confirmed === undefined || confirmed <= laterLsn(startLsn, ours)) return
  throw SLOT_AHEAD({ slot, confirmed: formatLsn(confirmed), position: formatLsn(startLsn) })
}

/**
 * What the server says differs from version to version, and is in a language of its own: what is there tells more. Of a
 * missing slot it says the same (42704) as of a missing publication, and one that is there now may have been missing when
 * a change was made. That it gave up the slot it says as SQLSTATE 55000, of which much else is, or as a missing file.
 */
export async function explainStreamError(
  control: Queryable,
  { slot, publications, position }: StreamedFrom,
  error: unknown,
): Promise<unknown> {
  const explained = slotCommandError(error, slot)
  if (!SLOT_MISSING.is(explained) && !SERVER_ERROR.is(explained)) return explained
  try {
    const found = await inspectSlot(control, slot)
    if (found?.invalidation !== undefined) return SLOT_LOST({ slot, reason: found.invalidation }, { cause: error })
    if (found === undefined || !SLOT_MISSING.is(explained)) return explained
    const missing = await missingPublications(control, publications)
    const publication = (missing.length > 0 ? missing : publications).join(', ')
    return PUBLICATION_MISSING({ publication, lsn: formatLsn(position.resumeLsn) }, { cause: error })
  } catch {
    return error
  }
}

export interface StreamedFrom {
  readonly slot: string
  readonly publications: readonly string[]
  readonly position: StreamPosition
}
