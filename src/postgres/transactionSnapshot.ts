import { type Lsn, parseLsn } from './lsn.js'

/** Which transactions a snapshot shows. */
export interface TransactionSnapshot {
  /** As it can be stored, and read again by {@link parseTransactionSnapshot}. */
  readonly text: string
  /** Whether the top-level transaction `xid` (32 bits, as pgoutput gives it), which commits at `commitLsn`, is visible. */
  sees(xid: number, commitLsn: Lsn): boolean
}

const PRIMARY = /^(\d+):(\d+):((?:\d+(?:,\d+)*)?)$/
const REPLAYED = 'replayed:'

/**
 * Reads `xmin:xmax:xip,…` ("pg_snapshot" in the PostgreSQL docs), or what {@link replayedSnapshot} gave; undefined when the
 * text is neither.
 */
export function parseTransactionSnapshot(text: string): TransactionSnapshot | undefined {
  if (text.startsWith(REPLAYED)) {
    const lsn = parseLsn(text.slice(REPLAYED.length))
    return lsn === undefined ? undefined : { text, sees: (_, commitLsn) => commitLsn < lsn }
  }
  const match = PRIMARY.exec(text)
  if (match === null) return undefined
  const xmin = Number(match[1])
  const xmax = Number(match[2])
  const running = new Set(match[3] === '' ? [] : match[3]!.split(',').map(Number))
  return {
    text,
    sees: (xid) => {
      const wide = widenXid(xid, xmax)
      return wide < xmin || (wide < xmax && !running.has(wide))
    },
  }
}

/**
 * On a standby pg_current_snapshot() lists no transaction that runs on the primary: there visible is what was replayed,
 * in the order of the WAL.
 */
export function replayedSnapshot(lsn: string): string {
  return `${REPLAYED}${lsn}`
}

const WRAP = 2 ** 32

/** The 64-bit xid, nearest to `near`, whose low half is `xid`: either side of a wraparound. */
export function widenXid(xid: number, near: number): number {
  const wide = near - (near % WRAP) + xid
  if (wide - near > WRAP / 2 && wide >= WRAP) return wide - WRAP
  return near - wide > WRAP / 2 ? wide + WRAP : wide
}
