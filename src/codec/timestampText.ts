/** Milliseconds from 1970-01-01 to 2000-01-01, where PostgreSQL's clock begins. */
const EPOCH_OFFSET_MS = 946_684_800_000

/** Microseconds since 2000-01-01 as `2026-11-21T10:00:00.123456Z`: a JavaScript Date would lose the last three digits. */
export function formatTimestamp(microseconds: bigint): string {
  let milliseconds = microseconds / 1000n
  let rest = Number(microseconds % 1000n)
  if (rest < 0) {
    milliseconds -= 1n
    rest += 1000
  }
  const text = new Date(Number(milliseconds) + EPOCH_OFFSET_MS).toISOString()
  return `${text.slice(0, -1)}${String(rest).padStart(3, '0')}Z`
}
