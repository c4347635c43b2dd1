import type { CatalogTable } from '../../postgres/catalog/tables.js'
import type { QualifiedName } from '../../postgres/identifier.js'

/** A relation that has rows of its own: an ordinary table, or a leaf partition. */
export type Relation = QualifiedName & { readonly oid: number }

/** A part of a table that one worker reads with one COPY. */
export interface SnapshotUnit {
  readonly table: CatalogTable
  /** The relation to read: the table, or one of its leaf partitions. */
  readonly relation: Relation
  /** First page, and the page behind the last; the last range is open, for rows on pages added meanwhile. */
  readonly fromPage: number
  readonly toPage: number | undefined
}

const PAGE_BYTES = 8192

/** Smaller ranges cost more in transactions than they gain in balance. */
const MIN_RANGE_PAGES = (64 * 1024 * 1024) / PAGE_BYTES
/** Ranges a worker gets of one relation, so that all are busy to the end. */
const RANGES_PER_WORKER = 4

/**
 * Cuts the tables into units, largest relations first, so that no worker is left with a big one at the end. With one
 * worker a relation is one unit: there is nothing to balance, and a plain scan is the fastest.
 */
export function planUnits(
  tables: readonly CatalogTable[],
  bytesOf: (oid: number) => number,
  workers: number,
): SnapshotUnit[] {
  const relations = tables.flatMap((table) => relationsOf(table).map((relation) => ({ table, relation })))
  const sized = relations.map((one) => ({ ...one, pages: Math.ceil(bytesOf(one.relation.oid) / PAGE_BYTES) }))
  sized.sort((a, b) => b.pages - a.pages)
  return sized.flatMap(({ table, relation, pages }) =>
    ranges(pages, workers).map((range) => ({ table, relation, ...range })),
  )
}

/** Where the rows of a table lie: itself, or its leaves. */
export function relationsOf(table: CatalogTable): readonly Relation[] {
  return table.kind === 'partitioned' ? table.partitions : [table]
}

function ranges(pages: number, workers: number): Pick<SnapshotUnit, 'fromPage' | 'toPage'>[] {
  const size = Math.max(MIN_RANGE_PAGES, Math.ceil(pages / (workers * RANGES_PER_WORKER)))
  if (workers === 1 || pages <= size) return [{ fromPage: 0, toPage: undefined }]
  const found: Pick<SnapshotUnit, 'fromPage' | 'toPage'>[] = []
  for (let fromPage = 0; fromPage < pages; fromPage += size) {
    found.push({ fromPage, toPage: fromPage + size < pages ? fromPage + size : undefined })
  }
  return found
}
