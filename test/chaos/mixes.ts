import { type SmallChange, smallChanges } from './changes.js'
import type { Kind } from './transactions.js'

/** What the writers do. */
export interface Mix {
  /** Transactions by kind, and how often they come. */
  readonly kinds: Readonly<Record<Kind, number>>
  /** Small changes inside of them. */
  readonly small: readonly SmallChange[]
  /** A writer rests so long after a transaction at most: what it leaves of the machine is for those it tests. */
  readonly maxPauseMs: number
}

const KINDS = { tiny: 60, medium: 12, savepoints: 12, held: 5, prepared: 4, rolledBack: 6, truncate: 2, large: 2 }
const EVEN: Mix = { kinds: KINDS, small: smallChanges(/./), maxPauseMs: 15 }

export const MIXES = {
  even: EVEN,
  /** Keys change, and are exchanged. */
  keys: { ...EVEN, small: smallChanges(/^(move|swap|mirror|insert|delete)/) },
  /** Values that do not change are not sent. */
  toast: { ...EVEN, small: smallChanges(/Document|Note$|swapItems|Label/) },
  truncates: { ...EVEN, kinds: { ...KINDS, truncate: 9 } },
  /** Snapshots that show less than they seem to. */
  open: { ...EVEN, kinds: { ...KINDS, held: 25, prepared: 20 } },
  /** Most of them in the tables that take long to read. */
  rush: {
    kinds: { ...KINDS, tiny: 90, medium: 20, truncate: 3, large: 1 },
    small: smallChanges(/Item|Label|Session|Order|Document|Reading/),
    maxPauseMs: 3,
  },
} as const satisfies Readonly<Record<string, Mix>>
export type MixName = keyof typeof MIXES
