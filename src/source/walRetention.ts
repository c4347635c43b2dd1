import type { SlotWal } from '../postgres/slotWal.js'

/** How near a slot's WAL is to its limit: from half of it, near, reached (the server may take it away), lost. */
export type RetentionLevel = 'ok' | 'half' | 'near' | 'reached' | 'lost'

export interface WalRetention {
  readonly level: RetentionLevel
  /** WAL that the server keeps for the slot, from its restart_lsn on. */
  readonly heldBytes: number
  /** Of it what the slot has not confirmed. The rest is kept for a transaction that is open, or for the next restart. */
  readonly unconfirmedBytes: number
  /** How much may be held in all by the limit that is nearest; undefined where there is none. */
  readonly limitBytes: number | undefined
  readonly limit: 'max_slot_wal_keep_size' | 'walBudgetBytes' | undefined
  /** How fast it grows, over the last minute or what there is of it. */
  readonly bytesPerSecond: number
  /** Until the limit, at that rate; undefined without a limit, or while nothing grows. */
  readonly secondsToLimit: number | undefined
}

const HALF = 0.5
const NEAR = 0.8
/** With less time left than this it is near, whatever the share. */
const NEAR_SECONDS = 300
/** What the growth of a moment makes of a small share is no news. */
const LEAST_SHARE = 0.2

const ORDER: readonly RetentionLevel[] = ['ok', 'half', 'near', 'reached', 'lost']

export function isAtLeast(level: RetentionLevel, other: RetentionLevel): boolean {
  return ORDER.indexOf(level) >= ORDER.indexOf(other)
}

/** What is to be said of the WAL that a slot holds. Pure. */
export function judgeRetention(wal: SlotWal, growth: Growth, budgetBytes: number | undefined): WalRetention {
  const heldBytes = wal.retainedBytes ?? 0
  const { confirmedFlushLsn, endLsn, safeBytes } = wal
  const unconfirmed = confirmedFlushLsn === undefined ? 0 : Number(endLsn - confirmedFlushLsn)
  const limits = [
    ...(budgetBytes === undefined
      ? []
      : [{ limit: 'walBudgetBytes' as const, limitBytes: budgetBytes, leftBytes: budgetBytes - heldBytes }]),
    ...(safeBytes === undefined
      ? []
      : [{ limit: 'max_slot_wal_keep_size' as const, limitBytes: heldBytes + safeBytes, leftBytes: safeBytes }]),
  ]
  const nearest = limits.sort((a, b) => a.leftBytes - b.leftBytes)[0]
  const { bytesPerSecond } = growth
  const secondsToLimit =
    nearest === undefined || bytesPerSecond <= 0 ? undefined : Math.max(0, nearest.leftBytes) / bytesPerSecond
  return {
    level: levelOf(wal, nearest, growth.certain ? secondsToLimit : undefined),
    heldBytes,
    unconfirmedBytes: Math.min(heldBytes, Math.max(0, unconfirmed)),
    limitBytes: nearest?.limitBytes,
    limit: nearest?.limit,
    bytesPerSecond,
    secondsToLimit,
  }
}

function levelOf(
  wal: SlotWal,
  nearest: { readonly limitBytes: number; readonly leftBytes: number } | undefined,
  secondsToLimit: number | undefined,
): RetentionLevel {
  if (wal.invalidation !== undefined) return 'lost'
  if (wal.walStatus === 'unreserved') return 'reached'
  if (nearest === undefined) return 'ok'
  if (nearest.leftBytes <= 0) return 'reached'
  const share = 1 - nearest.leftBytes / nearest.limitBytes
  if (share >= NEAR || (share >= LEAST_SHARE && (secondsToLimit ?? Infinity) < NEAR_SECONDS)) return 'near'
  return share >= HALF ? 'half' : 'ok'
}

export interface Growth {
  readonly bytesPerSecond: number
  /** Seen for so long that what goes up and down by itself is out of it. */
  readonly certain: boolean
}

const WINDOW_MS = 60_000
const LEAST_MS = 2000

/**
 * How fast something grows that is given back in pieces: the server frees a slot's WAL only where it has logged the
 * running transactions, every 15 seconds at most, so that what is held goes up and down like a saw. Compared is the
 * least of the window's first half with the least of its second half.
 */
export class GrowthWindow {
  #seen: { readonly at: number; readonly bytes: number }[] = []

  /** `bytes` are held `at` this time, in milliseconds. */
  add(at: number, bytes: number): Growth {
    this.#seen.push({ at, bytes })
    while (this.#seen.length > 2 && at - this.#seen[1]!.at >= WINDOW_MS) this.#seen.shift()
    const span = at - this.#seen[0]!.at
    const middle = this.#seen[0]!.at + span / 2
    const early = least(this.#seen.filter((one) => one.at <= middle))
    const late = least(this.#seen.filter((one) => one.at > middle))
    if (early === undefined || late === undefined || span < LEAST_MS) return { bytesPerSecond: 0, certain: false }
    const rate = ((late.bytes - early.bytes) * 1000) / (late.at - early.at)
    return { bytesPerSecond: Math.max(0, rate), certain: span >= WINDOW_MS }
  }
}

/** The first of the least. */
function least<One extends { readonly bytes: number }>(seen: readonly One[]): One | undefined {
  let found: One | undefined
  for (const one of seen) if (found === undefined || one.bytes < found.bytes) found = one
  return found
}

/** So long a level must be passed before a lower one counts: what is held goes up and down like a saw. */
const LOWER_MS = 60_000

/** The highest level of the last minute. */
export class RetentionLevels {
  #seen: { readonly at: number; readonly level: RetentionLevel }[] = []

  add(at: number, level: RetentionLevel): RetentionLevel {
    this.#seen = [...this.#seen.filter((one) => at - one.at < LOWER_MS && !isAtLeast(level, one.level)), { at, level }]
    return this.#seen[0]!.level
  }
}
