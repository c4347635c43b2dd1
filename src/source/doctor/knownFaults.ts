/** A fault of some minor versions of PostgreSQL that a reader of changes should know. */
export interface KnownFault {
  readonly code: string
  /** The first minor version without it, of each major that had it. */
  readonly fixedIn: Readonly<Record<number, number>>
  /** The first minor version with it, where it was not there from the start. */
  readonly since?: Readonly<Record<number, number>>
  readonly losesChanges: boolean
  /** What goes wrong, as a sentence. */
  readonly what: string
}

/** From the release notes and commits of PostgreSQL, the commit that fixed each named beside it. */
const KNOWN_FAULTS: readonly KnownFault[] = [
  {
    // "Fix data loss in logical replication", commit 4909b38af0 and its back-patches, released in May 2025
    code: 'FAULT_PUBLICATION_CHANGE',
    fixedIn: { 14: 18, 15: 13, 16: 9, 17: 5 },
    losesChanges: true,
    what: 'when a publication is altered while a transaction runs that has changed the table already, changes of later transactions may be lost too',
  },
  {
    // "Fix re-distributing previously distributed invalidation messages", June 2025, released in August 2025
    code: 'FAULT_INVALIDATION_GROWTH',
    since: { 14: 18, 15: 13, 16: 9, 17: 5 },
    fixedIn: { 14: 19, 15: 14, 16: 10, 17: 6 },
    losesChanges: false,
    what: 'decoding may stop for good with "invalid memory alloc request size" when many tables are created or altered in concurrent transactions',
  },
  {
    // "Keep WAL segments by slot's last saved restart LSN", ca307d5cec and its like of the back branches, June 2025
    code: 'FAULT_WAL_REMOVED_EARLY',
    fixedIn: { 14: 19, 15: 14, 16: 10, 17: 6 },
    losesChanges: true,
    what: 'a crash right after a checkpoint may find WAL removed that a slot still needs, and the slot is lost',
  },
  {
    // "Fix catalog lookup with the wrong snapshot during logical decoding", 7f13ac8123 and its back-patches, August 2022
    code: 'FAULT_WRONG_SNAPSHOT',
    fixedIn: { 14: 6 },
    losesChanges: true,
    what: 'after a restart of the reader rows may be decoded by a table shape that was altered in the meantime, or fail to be',
  },
]

/** Those that the server of `version` (a number: 170004) has. */
export function faultsOf(version: number): KnownFault[] {
  const major = Math.floor(version / 10_000)
  const minor = version % 10_000
  return KNOWN_FAULTS.filter(({ fixedIn, since }) => {
    const fixed = fixedIn[major]
    return fixed !== undefined && minor < fixed && minor >= (since?.[major] ?? 0)
  })
}
