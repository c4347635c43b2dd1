/**
 * Which row versions of a table have been read, told by who wrote them: `xmin`, widened to 64 bits (numbers below 2^53).
 *
 * Everything below `horizon` had ended when it was read, so whatever of it was committed has been seen. Of what is at or
 * above it, exactly `xids` have: each of them is the `xmin` of a row that was there. So no list of running transactions
 * is asked, which would lack subtransactions (a row's xmin may be one), and which a standby does not have.
 */
export interface Seen {
  readonly horizon: number
  /** May grow at its end while a poll goes on: only the first `known` belong to this. In no order. */
  readonly xids: readonly number[]
  readonly known: number
}

const XIDS = 2 ** 32
/** Of a row that a server before 9.4 froze: it is older than anything. */
const FROZEN_XID = 2

/** The 64-bit xid of a row that a snapshot with this xmax shows: the youngest below it that ends in these 32 bits. */
export function widenXmin(raw: number, xmax: number): number {
  if (raw <= FROZEN_XID) return raw
  const behind = (xmax - raw) % XIDS
  return xmax - (behind < 0 ? behind + XIDS : behind)
}

/** The SQL condition of a row version that `seen` has not; `xmax` is that of the snapshot that it is read in. */
export function unseenSql(seen: Seen, xmax: number): string {
  const age = `((${xmax} - xmin::pg_catalog.text::pg_catalog.int8) & ${XIDS - 1})`
  const conditions = [`${age} <= ${xmax - seen.horizon}`, `xmin <> '${FROZEN_XID}'::pg_catalog.xid`]
  const xids = knownXids(seen).map((xid) => xid % XIDS)
  if (xids.length > 0) conditions.push(`xmin <> ALL ('{${xids.join(',')}}'::pg_catalog.xid[])`)
  return conditions.join(' AND ')
}

/** Those above the horizon that were seen. */
export function knownXids({ xids, known }: Seen): readonly number[] {
  return xids.length === known ? xids : xids.slice(0, known)
}

/** `753`, or `753+1.3.k`: the horizon and, in base 36, how far each xid lies behind the one before. */
export function formatSeen(seen: Seen): string {
  let before = seen.horizon
  const steps = [...knownXids(seen)]
    .sort((a, b) => a - b)
    .map((xid) => {
      const step = xid - before
      before = xid
      return step.toString(36)
    })
  return steps.length === 0 ? String(seen.horizon) : `${seen.horizon}+${steps.join('.')}`
}

/** Undefined when the text is none. */
export function parseSeen(text: string): Seen | undefined {
  const match = /^(\d{1,16})(?:\+([0-9a-z]+(?:\.[0-9a-z]+)*))?$/.exec(text)
  if (match === null) return undefined
  const horizon = Number(match[1])
  let xid = horizon
  const xids = (match[2]?.split('.') ?? []).map((step) => {
    xid += Number.parseInt(step, 36)
    return xid
  })
  return Number.isSafeInteger(xid) ? { horizon, xids, known: xids.length } : undefined
}
