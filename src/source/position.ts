import { POSITION_INVALID } from '../core/errors.js'
import type { Position, PositionJson } from '../core/record.js'
import { formatLsn, type Lsn, parseLsn } from '../postgres/lsn.js'
import { formatPollState, type PollState, parsePollState } from './polling/pollState.js'
import { parseProgress, progressToJson, type SnapshotProgress } from './scan/progress.js'

/** Which history a position belongs to: LSNs of two of them must never be compared. */
export interface Origin {
  /** The cluster's system identifier (`pg_control_system`). */
  readonly system: string
  readonly timeline: number
  readonly database: string
  /** The permanent slot; null when the run has a temporary one and cannot be resumed. */
  readonly slot: string | null
  /** Counts the slots made under this name: a slot made anew begins a new epoch. */
  readonly epoch: number
  /** OIDs of the captured tables: one that is not among them when a run is resumed is to be read. */
  readonly captured?: readonly number[] | undefined
  /** OIDs of tables that are captured no more, and may still be in a publication of ours. */
  readonly leaving?: readonly number[] | undefined
  /** OIDs of the publications by which the changes were judged, parted by blanks; absent where that is not known. */
  readonly publications?: string | undefined
  /** The trees of partitioned tables whose changes were dealt with: `partitionChanges.ts` tells how. */
  readonly partitions?: string | undefined
}

/** `seq` of what stands before the first row of a transaction: an idle position, a leading message. */
export const BEFORE_ROWS = -1
/** `seq` of a logical message outside any transaction, whose LSN may be that of the next commit record. */
export const OUTSIDE_TRANSACTION = -2

export interface Place {
  /**
   * In a transaction its commit LSN; when idle the WAL position up to which everything was read; in an unfinished
   * snapshot the slot's consistent point.
   */
  readonly lsn: Lsn
  readonly seq: number
  readonly sub: number
  /** Set when everything that commits before it is included: the transaction's end, or the idle position itself. */
  readonly end: Lsn | undefined
  /** What the transaction counted so far; only while `end` is not known. */
  readonly fingerprint: number
  /** Set while a snapshot is unfinished, or the stream has not passed what it showed. */
  readonly snapshot: SnapshotProgress | undefined
  /** Set in long polling only, and then the rest says nothing but where the WAL was. */
  readonly polling?: PollState | undefined
}

/** A place in one history. Immutable; see design section 2, "Position". */
export class StreamPosition implements Position {
  readonly origin: Origin
  readonly place: Place

  constructor(origin: Origin, place: Place) {
    this.origin = origin
    this.place = place
  }

  /** Where the server is asked to begin: it resends every transaction that commits at or after this LSN. */
  get resumeLsn(): Lsn {
    return this.place.end ?? this.place.lsn
  }

  /** An unfinished snapshot that cannot be gone on with: such a position says only that all begins anew. */
  get beginsAnew(): boolean {
    const { snapshot } = this.place
    return snapshot !== undefined && (snapshot.tables === undefined || snapshot.intent === true)
  }

  /** Nothing that stands before it is to be kept. */
  get isNothing(): boolean {
    return this.beginsAnew && this.place.snapshot?.tables === undefined
  }

  /** Whoever resumes here gets some rows, which came before it, once more: those of a table that is read whole. */
  get repeats(): boolean {
    return this.beginsAnew || this.place.snapshot?.tables?.some(({ begun }) => begun) === true
  }

  /** A place of the stream and nothing else: what comes between two such is a list of transactions. */
  get isPlain(): boolean {
    return this.place.snapshot === undefined && this.place.polling === undefined
  }

  toJSON(): PositionJson {
    const { lsn, seq, sub, end, fingerprint, snapshot, polling } = this.place
    return {
      version: 1,
      ...this.origin,
      lsn: formatLsn(lsn),
      seq,
      sub,
      ...(end !== undefined && { end: formatLsn(end) }),
      ...(end === undefined && !this.beginsAnew && polling === undefined && { fingerprint }),
      ...(snapshot !== undefined && { snapshot: progressToJson(snapshot) }),
      ...(polling !== undefined && { polling: formatPollState(polling) }),
    }
  }

  toString(): string {
    return JSON.stringify(this)
  }

  /** Reads what `toJSON` or `toString` gave. */
  static parse(stored: unknown): StreamPosition {
    if (stored instanceof StreamPosition) return stored
    const json = typeof stored === 'string' ? parseJson(stored) : stored
    if (typeof json !== 'object' || json === null) throw POSITION_INVALID({ problem: 'it is no JSON object' })
    const fields = json as Record<string, unknown>
    if (fields.version !== 1) throw POSITION_INVALID({ problem: `its version is ${String(fields.version)}, not 1` })
    const origin: Origin = {
      system: text(fields, 'system'),
      timeline: integer(fields, 'timeline'),
      database: text(fields, 'database'),
      slot: fields.slot === null ? null : text(fields, 'slot'),
      epoch: integer(fields, 'epoch'),
      ...(fields.captured !== undefined && { captured: integers(fields, 'captured') }),
      ...(fields.leaving !== undefined && { leaving: integers(fields, 'leaving') }),
      ...(fields.publications !== undefined && { publications: text(fields, 'publications') }),
      ...(fields.partitions !== undefined && { partitions: text(fields, 'partitions') }),
    }
    const { snapshot } = fields
    return new StreamPosition(origin, {
      lsn: lsn(fields, 'lsn'),
      seq: integer(fields, 'seq'),
      sub: integer(fields, 'sub'),
      end: fields.end === undefined ? undefined : lsn(fields, 'end'),
      fingerprint: fields.fingerprint === undefined ? 0 : integer(fields, 'fingerprint'),
      snapshot: snapshot === undefined ? undefined : parseProgress(snapshot),
      ...(fields.polling !== undefined && { polling: pollingOf(fields.polling) }),
    })
  }
}

/** Whether two positions can be compared at all. */
export function isOfOneHistory({ origin: a }: StreamPosition, { origin: b }: StreamPosition): boolean {
  return (
    a.system === b.system &&
    a.timeline === b.timeline &&
    a.database === b.database &&
    a.slot === b.slot &&
    a.epoch === b.epoch
  )
}

/** Negative when `a` comes before `b`. Both must be of one history. */
export function comparePlaces(a: Place, b: Place): number {
  if (a.polling !== undefined && b.polling !== undefined) return a.polling.count - b.polling.count
  if (a.lsn !== b.lsn) return a.lsn < b.lsn ? -1 : 1
  const ends = a.seq - b.seq || a.sub - b.sub || compareEnds(a.end, b.end)
  return ends || (a.snapshot?.rows ?? 0) - (b.snapshot?.rows ?? 0)
}

/** The same last record with its transaction whole comes after it with the end unknown. */
function compareEnds(a: Lsn | undefined, b: Lsn | undefined): number {
  if (a === b) return 0
  return (a ?? 0n) < (b ?? 0n) ? -1 : 1
}

function parseJson(stored: string): unknown {
  try {
    return JSON.parse(stored)
  } catch (cause) {
    throw POSITION_INVALID({ problem: 'it is no JSON' }, { cause })
  }
}

function pollingOf(stored: unknown): PollState {
  const state = parsePollState(stored)
  if (state === undefined) throw POSITION_INVALID({ problem: 'its "polling" is damaged' })
  return state
}

function text(fields: Record<string, unknown>, name: string): string {
  const value = fields[name]
  if (typeof value !== 'string') throw POSITION_INVALID({ problem: `its "${name}" is no string` })
  return value
}

function integer(fields: Record<string, unknown>, name: string): number {
  const value = fields[name]
  if (!Number.isSafeInteger(value)) throw POSITION_INVALID({ problem: `its "${name}" is no whole number` })
  return value as number
}

function integers(fields: Record<string, unknown>, name: string): readonly number[] {
  const value = fields[name]
  if (Array.isArray(value) && value.every(Number.isSafeInteger)) return value
  throw POSITION_INVALID({ problem: `its "${name}" is no list of whole numbers` })
}

function lsn(fields: Record<string, unknown>, name: string): Lsn {
  const value = parseLsn(text(fields, name))
  if (value === undefined) throw POSITION_INVALID({ problem: `its "${name}" is no LSN` })
  return value
}
