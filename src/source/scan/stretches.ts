import type { Lsn } from '../../postgres/lsn.js'

/** The text forms of a key's columns, in key order. */
export type KeyText = readonly string[]

/** In which snapshot rows were read, and what the stream must have reached for that to be of no more use. */
export interface Reading {
  /** As `TransactionSnapshot` has it. */
  readonly snapshot: string
  /** Whatever the snapshot shows commits before this LSN: the WAL's insert position, read after it. */
  readonly until: Lsn
  /** The consumer had no rows from before it: it cannot have one that is gone by then. */
  readonly exact?: true | undefined
}

/** The stream has passed whatever the snapshot showed: every change that comes is later. */
export const PASSED = 'passed'

/** A part of a table's key order, behind the stretch before it, up to and including `to`. */
export interface Stretch {
  /** Undefined: to the end of the table. */
  readonly to: KeyText | undefined
  /** Undefined: it is still to be read. */
  readonly read: Reading | typeof PASSED | undefined
}

/** All of a table, still to be read. */
export const UNREAD: readonly Stretch[] = [{ to: undefined, read: undefined }]

/** Index of the first stretch that is still to be read; -1 when there is none. */
export function firstUnread(stretches: readonly Stretch[]): number {
  return stretches.findIndex(({ read }) => read === undefined)
}

/** The key that the stretch begins behind; undefined: at the beginning of the table. */
export function beginOf(stretches: readonly Stretch[], index: number): KeyText | undefined {
  return index === 0 ? undefined : stretches[index - 1]!.to
}

/** Of the unread stretch `index` what lies up to `to` was read; `to` undefined: all of it. */
export function advance(
  stretches: readonly Stretch[],
  index: number,
  to: KeyText | undefined,
  read: Reading | typeof PASSED,
): readonly Stretch[] {
  const stretch = stretches[index]!
  const rest = to === undefined ? [] : [stretch]
  return merged([...stretches.slice(0, index), { to: to ?? stretch.to, read }, ...rest, ...stretches.slice(index + 1)])
}

/** The stream has reached `lsn`: snapshots that show nothing behind it are of no more use. The same if there are none. */
export function forget(stretches: readonly Stretch[], lsn: Lsn): readonly Stretch[] {
  const isOver = ({ read }: Stretch) => read !== undefined && read !== PASSED && read.until <= lsn
  if (!stretches.some(isOver)) return stretches
  return merged(stretches.map((stretch) => (isOver(stretch) ? { to: stretch.to, read: PASSED } : stretch)))
}

/** Whether nothing is left to be read, nor any snapshot to be kept. */
export function isOver(stretches: readonly Stretch[]): boolean {
  return stretches.every(({ read }) => read === PASSED)
}

/** How many snapshots are kept for changes that are still to come. */
export function countReadings(stretches: readonly Stretch[]): number {
  return stretches.filter(({ read }) => read !== undefined && read !== PASSED).length
}

/** Neighbours that were read in one snapshot are one stretch. */
function merged(stretches: readonly Stretch[]): readonly Stretch[] {
  const found: Stretch[] = []
  for (const stretch of stretches) {
    const last = found.at(-1)
    if (last !== undefined && sameReading(last.read, stretch.read)) found[found.length - 1] = stretch
    else found.push(stretch)
  }
  return found
}

function sameReading(a: Stretch['read'], b: Stretch['read']): boolean {
  if (a === undefined || b === undefined) return false
  if (a === PASSED || b === PASSED) return a === b
  return a.snapshot === b.snapshot && a.until === b.until && a.exact === b.exact
}
