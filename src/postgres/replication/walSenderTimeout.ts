import { SERVER_ERROR } from '../../core/errors.js'
import type { Session } from '../session.js'

// As SHOW prints an integer setting of unit ms: in the largest unit that gives a whole number (guc.c).
const MILLISECONDS: Readonly<Record<string, number>> = { ms: 1, s: 1000, min: 60_000, h: 3_600_000, d: 86_400_000 }

/**
 * The `wal_sender_timeout` that holds for a replication session: a role's or a database's own setting reaches the
 * walsender, so another session's may differ. 0: the server waits for ever.
 */
export async function walSenderTimeoutMs(session: Session): Promise<number> {
  const [row] = await session.query<{ wal_sender_timeout: string }>('SHOW wal_sender_timeout')
  return readDuration(row!.wal_sender_timeout)
}

/** `1min`, `500ms`, `0`. */
export function readDuration(shown: string): number {
  const [, number, unit] = /^(\d+)(ms|s|min|h|d)?$/.exec(shown) ?? []
  if (number === undefined)
    throw SERVER_ERROR({ sqlstate: '08P01', message: `it shows wal_sender_timeout as "${shown}"` })
  return Number(number) * (unit === undefined ? 1 : MILLISECONDS[unit]!)
}
