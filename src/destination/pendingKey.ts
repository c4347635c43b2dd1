import type { Table } from '../core/table.js'
import type { QualifiedName } from '../postgres/identifier.js'
import type { Batch } from '../source/batch.js'
import { type Place, StreamPosition } from '../source/position.js'
import { firstUnread } from '../source/scan/stretches.js'
import type { ParsedDestination } from './options.js'
import { keyOf } from './target.js'

/** The rows of one table of the source, read once: none of them comes twice, but for a run that begins anew. */
export interface TableReading {
  /** OID of the source's table. */
  readonly relation: number
  /** The part of the rows' ids that names the snapshot; empty: none goes on. */
  readonly snapshot: string
}

/** A key that a table which we made gets when the rows of its first copy are there. */
export interface PendingKey extends QualifiedName {
  /** What is being copied. */
  readonly reading: TableReading
  /** pg_attribute.attnum of the key's columns, which may be renamed meanwhile. */
  readonly columns: readonly number[]
}

/**
 * Whether the key of a table that is to be made can wait: nothing but the source's own index keeps rows of one key from
 * coming twice until then, and nothing but that key finds a row.
 */
export function keyMayWait(table: Table, { keys, mode }: Pick<ParsedDestination, 'keys' | 'mode'>): boolean {
  const isItsOwn = keyOf(table, keys) === table.key
  return mode.kind !== 'history' && table.key.length > 0 && table.keyIsUnique && isItsOwn
}

/** Whether all rows of a reading were handed on before `place`. */
export function isRead({ relation }: TableReading, { snapshot }: Place): boolean {
  if (snapshot === undefined) return true
  // A snapshot that nobody can go on with does not say how far it is.
  if (snapshot.tables === undefined || snapshot.intent === true) return false
  const table = snapshot.tables.find(({ oid }) => oid === relation)
  return table === undefined || firstUnread(table.stretches) < 0
}

export function isSameReading(a: TableReading, b: TableReading | undefined): boolean {
  return a.relation === b?.relation && a.snapshot === b.snapshot && a.snapshot !== ''
}

/** What the rows of a batch are of, if they are none that may come again: of a table that is read once more, or by long polling. */
export function readingOf<Tables extends object>(
  { rows, position, range }: Pick<Batch<Tables>, 'rows' | 'position' | 'range'>,
  { oid }: Table,
): TableReading | undefined {
  const isOnce = range?.again !== true && position instanceof StreamPosition && position.place.polling === undefined
  return isOnce && rows.snapshotId !== '' ? { relation: oid, snapshot: rows.snapshotId } : undefined
}
