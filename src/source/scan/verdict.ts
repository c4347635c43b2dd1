import type { KeyText } from './stretches.js'

/** The change goes on as it is. */
export const EMIT = 0
/** The rows that are read show its effect. */
export const DROP = 1
/** Not to be decided yet. */
export const WAIT = 2
/** Of a change of the key: the old row is no more; the new one is shown by rows that are read. */
export const ONLY_DELETE = 3
/** Of a change of the key: the row is new to the consumer, who has not had the old one. */
export const ONLY_CREATE = 4

/** What becomes of a change of a table whose rows are read meanwhile. */
export type Verdict = typeof EMIT | typeof DROP | typeof WAIT | typeof ONLY_DELETE | typeof ONLY_CREATE

type ScannedOperation = 'insert' | 'update' | 'delete'

/** A change of a row of the table, as far as it decides. */
export interface ScannedChange {
  readonly operation: ScannedOperation
  /** The row's key before; undefined for an insert. */
  readonly oldKey: KeyText | undefined
  /** The row's key afterwards; undefined for a delete. */
  readonly newKey: KeyText | undefined
  /** The new row is not all there: a TOASTed value that did not change was not sent. */
  readonly partial: boolean
}
