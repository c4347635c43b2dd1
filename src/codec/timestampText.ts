import { SERVER_EPOCH_MICROS } from '../core/calendar.js'

const SERVER_EPOCH_MS = SERVER_EPOCH_MICROS / 1000
const SECOND = 1_000_000

/** Of the last one the second that it lies in, and how that begins: transactions that follow one another have mostly the same. */
let lastSecond = Number.NaN
let lastText = ''

/** Microseconds since 2000-01-01 as `2026-11-21T10:00:00.123456Z`: a JavaScript Date would lose the last three digits. */
export function formatTimestamp(microseconds: bigint): string {
  const rest = Number(microseconds % 1_000_000n)
  const second = Number(microseconds / 1_000_000n) - (rest < 0 ? 1 : 0)
  if (second !== lastSecond) {
    lastText = new Date(second * 1000 + SERVER_EPOCH_MS).toISOString().slice(0, -'000Z'.length)
    lastSecond = second
  }
  return `${lastText}${String(SECOND + (rest < 0 ? rest + SECOND : rest)).slice(1)}Z`
}
