import { formatSeen, parseSeen, type Seen } from './seen.js'

/** The text forms of what a table is ordered by: its cursor column, if it has one, then what tells its rows apart. */
export type OrderKey = readonly (string | null)[]

/** A stretch of a table's order, from where the one before it ends. */
export interface Part {
  /** The last row that belongs to it; undefined: it has no end. */
  readonly to: OrderKey | undefined
  /** Undefined: it was never read. */
  readonly seen: Seen | undefined
}

/** Below `to` there will be nothing new once these transactions have ended, and the rows were read once more. */
export interface Mark {
  readonly to: string
  /** Virtual ids of transactions that were open when `to` was the highest, and still are. */
  readonly waiting: readonly string[]
  /** Prepared ones of before the server's last restart, at the last look: a restart gives them other ids. */
  readonly prepared: readonly string[]
}

export interface TableState {
  readonly oid: number
  /** What it is ordered by, so that another choice is noticed. */
  readonly order: string
  /** One, unless a poll was interrupted or took several pages. */
  readonly parts: readonly Part[]
  /** With a cursor column: nothing new comes at or below it. */
  readonly floor: string | undefined
  /** The highest value of the cursor column that was delivered. */
  readonly top: string | undefined
  readonly mark: Mark | undefined
}

/** Where long polling stands: what a position keeps of it. Immutable. */
export interface PollState {
  /** Grows with every record and every poll: orders the positions of one history. */
  readonly count: number
  /** By `schema.table`. */
  readonly tables: Readonly<Record<string, TableState>>
}

export function formatPollState({ count, tables }: PollState): object {
  const formatted = Object.entries(tables).map(([name, { oid, order, parts, floor, top, mark }]) => {
    const formattedParts = parts.map(({ to, seen }) => ({
      ...(to !== undefined && { to }),
      ...(seen !== undefined && { seen: formatSeen(seen) }),
    }))
    return [name, { oid, order, parts: formattedParts, floor, top, mark }]
  })
  return { count, tables: Object.fromEntries(formatted) }
}

/** Reads what {@link formatPollState} gave; undefined when it is damaged. */
export function parsePollState(stored: unknown): PollState | undefined {
  if (!isObject(stored) || !Number.isSafeInteger(stored.count) || !isObject(stored.tables)) return undefined
  const tables: Record<string, TableState> = {}
  for (const [name, one] of Object.entries(stored.tables)) {
    const table = parseTable(one)
    if (table === undefined) return undefined
    tables[name] = table
  }
  return { count: stored.count as number, tables }
}

function parseTable(stored: unknown): TableState | undefined {
  if (!isObject(stored) || !Array.isArray(stored.parts) || stored.parts.length === 0) return undefined
  const { oid, order, floor, top } = stored
  if (!Number.isSafeInteger(oid) || typeof order !== 'string') return undefined
  const parts = stored.parts.map(parsePart)
  const mark = stored.mark === undefined ? undefined : parseMark(stored.mark)
  const whole = parts.every(
    (part, index) => part !== undefined && (part.to === undefined) === (index === parts.length - 1),
  )
  if (!whole || !isTextOrNone(floor) || !isTextOrNone(top) || (stored.mark !== undefined && mark === undefined)) {
    return undefined
  }
  return { oid: oid as number, order, parts: parts as Part[], floor, top, mark }
}

function parsePart(stored: unknown): Part | undefined {
  if (!isObject(stored)) return undefined
  const { to, seen } = stored
  if (to !== undefined && !(Array.isArray(to) && to.every((one) => one === null || typeof one === 'string'))) {
    return undefined
  }
  if (seen === undefined) return { to, seen }
  const parsed = typeof seen === 'string' ? parseSeen(seen) : undefined
  return parsed && { to, seen: parsed }
}

function parseMark(stored: unknown): Mark | undefined {
  if (!isObject(stored)) return undefined
  const { to, waiting, prepared } = stored
  if (typeof to !== 'string' || !isTexts(waiting) || !isTexts(prepared)) return undefined
  return { to, waiting, prepared }
}

function isTexts(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((one) => typeof one === 'string')
}

function isTextOrNone(value: unknown): value is string | undefined {
  return value === undefined || typeof value === 'string'
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
