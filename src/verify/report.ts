/** What the two sides show of a row that differs. */
export interface Difference {
  /** The target lacks it (or has too few of it), has it in excess, or has it with other values. */
  readonly kind: 'missing' | 'extra' | 'different'
  /** The key's columns as they print, by name; without a key the row's hash alone, as `hash`. */
  readonly key: Readonly<Record<string, string>>
  /** How many rows of that key or hash each side has. */
  readonly rows: { readonly source: number; readonly target: number }
  /** The columns that differ, as they print (NULL is null); where values were asked for. */
  readonly values: readonly DifferingValue[] | undefined
}

export interface DifferingValue {
  readonly column: string
  /** Undefined: there is no row. */
  readonly source: string | null | undefined
  readonly target: string | null | undefined
}

export interface RepairCounts {
  inserted: number
  updated: number
  deleted: number
  /** Equal by the time they were to be repaired. */
  equal: number
  /** They changed while they were to be repaired, and were left alone. */
  left: number
}

export interface TableReport {
  /** Quoted where SQL wants it. */
  readonly table: string
  readonly target: string
  /** Column names; empty: compared as a multiset. */
  readonly key: readonly string[]
  readonly notes: readonly string[]
  /** As they were counted in the pass over both tables. */
  readonly rows: { readonly source: number; readonly target: number }
  /** Of rows or, without a key, of row hashes. */
  readonly counts: { readonly missing: number; readonly extra: number; readonly different: number }
  /** Rows that changed for so long that nobody can tell, up to the limit. */
  readonly unsettled: readonly Readonly<Record<string, string>>[]
  /** How many these are. */
  readonly unsettledRows: number
  /** Those told of, up to the limit. */
  readonly differences: readonly Difference[]
  /** Whether all of the table was compared: the search ends at the limit. */
  readonly complete: boolean
  readonly repaired: Readonly<RepairCounts> | undefined
}

export interface VerifyReport {
  /** Where it looked, without passwords. */
  readonly source: string
  readonly target: string
  readonly tables: readonly TableReport[]
}

/** `repaired`: every row that differed was made equal. `unknown`: no difference is sure, but some rows kept changing. */
export type Verdict = 'equal' | 'repaired' | 'different' | 'unknown'

export function verdictOf({ counts, unsettledRows, repaired }: TableReport): Verdict {
  const differing = counts.missing + counts.extra + counts.different
  if (differing > 0 && (repaired === undefined || repaired.left > 0)) return 'different'
  if (unsettledRows > 0) return 'unknown'
  return differing > 0 ? 'repaired' : 'equal'
}
