import { type Lsn, parseLsn } from '../lsn.js'
import type { Session } from '../session.js'
import { slotCommandError } from '../slot.js'
import { quoteName } from './quote.js'

export interface NewSlot {
  readonly name: string
  /** Gone with the session. */
  readonly temporary: boolean
  /** Export the snapshot in which everything before the slot's start is visible, and nothing after it. */
  readonly exportSnapshot: boolean
  /** Standbys may keep a copy of it (17 and later). Not of a temporary one. Default false. */
  readonly failover?: boolean
}

export interface CreatedSlot {
  /** Every transaction that commits after it comes from the slot. */
  readonly consistentPoint: Lsn
  /** For SET TRANSACTION SNAPSHOT, as long as `session` runs no other command. */
  readonly snapshotName: string | undefined
}

/** Options in parentheses came with 15; 14 has keywords. */
const OPTIONS_IN_PARENTHESES = 150000

/**
 * CREATE_REPLICATION_SLOT ("Streaming Replication Protocol" in the PostgreSQL docs). Waits, without a limit, for every
 * transaction that is running: see `slotCreationHolders`. `session` must be a replication session.
 */
export async function createSlot(
  session: Session,
  { name, temporary, exportSnapshot, failover }: NewSlot,
): Promise<CreatedSlot> {
  const snapshot =
    session.serverVersion >= OPTIONS_IN_PARENTHESES
      ? `(SNAPSHOT '${exportSnapshot ? 'export' : 'nothing'}'${failover ? ', FAILOVER true' : ''})`
      : exportSnapshot
        ? 'EXPORT_SNAPSHOT'
        : 'NOEXPORT_SNAPSHOT'
  const kind = temporary ? 'TEMPORARY LOGICAL' : 'LOGICAL'
  try {
    const [row] = await session.query<{ consistent_point: string; snapshot_name: string | null }>(
      `CREATE_REPLICATION_SLOT ${quoteName(name)} ${kind} pgoutput ${snapshot}`,
    )
    return { consistentPoint: parseLsn(row!.consistent_point)!, snapshotName: row!.snapshot_name ?? undefined }
  } catch (cause) {
    throw slotCommandError(cause, name)
  }
}
