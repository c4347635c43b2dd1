import type { Lsn } from '../../postgres/lsn.js'
import type { ReadApart } from './apart.js'
import { PASSED, type Reading, type Stretch } from './stretches.js'

/** What was read of a table. */
interface Read {
  readonly stretches: readonly Stretch[]
  readonly apart: readonly ReadApart[]
}

/** In which a change of the table is looked for. */
export function readingsOf({ stretches, apart }: Read): readonly Reading[] {
  return [...stretches, ...apart].flatMap(({ read }) => (isKept(read) ? [read] : []))
}

/** How far the stream must come until none is of use any more; undefined: there is none. */
export function lastUntil(readings: readonly Reading[]): Lsn | undefined {
  return readings
    .map(({ until }) => until)
    .reduce<Lsn | undefined>((last, lsn) => (last! > lsn ? last : lsn), undefined)
}

/**
 * What those that are kept until `until`, or less, show commits before `lsn`: they are of no use behind that. The WAL's
 * insert position, by which they were marked, may not be flushed for long, and the stream does not come so far.
 */
export function settled<T extends Read>(table: T, until: Lsn, lsn: Lsn): T {
  const earlier = (read: Reading): Reading => (read.until > until || read.until <= lsn ? read : { ...read, until: lsn })
  return {
    ...table,
    stretches: table.stretches.map(({ to, read }) => ({ to, read: isKept(read) ? earlier(read) : read })),
    apart: table.apart.map((one) => ({ ...one, read: earlier(one.read) })),
  }
}

function isKept(read: Stretch['read']): read is Reading {
  return read !== undefined && read !== PASSED
}

/** The consumer has had no other rows than those. */
export function exactly<T extends Read>(table: T): T {
  const exact = (read: Reading): Reading => ({ ...read, exact: true })
  return {
    ...table,
    stretches: table.stretches.map(({ to, read }) => ({ to, read: isKept(read) ? exact(read) : read })),
    apart: table.apart.map((one) => ({ ...one, read: exact(one.read) })),
  }
}
