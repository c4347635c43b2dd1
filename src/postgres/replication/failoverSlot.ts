import type { Session } from '../session.js'
import { quoteName } from './quote.js'

/** The first version that keeps copies of slots on standbys. */
export const FAILOVER_SLOTS = 170000

/**
 * Has standbys with sync_replication_slots keep a copy of the slot, which nobody may be reading just now
 * ("Replication Slot Synchronization" in the PostgreSQL docs). Not for temporary slots, and a copy of a slot does not
 * inherit it. `session` must be a replication session.
 */
export async function makeFailoverSlot(session: Session, slot: string): Promise<void> {
  await session.query(`ALTER_REPLICATION_SLOT ${quoteName(slot)} (FAILOVER true)`)
}
