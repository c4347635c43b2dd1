import type { KeyColumn } from '../../postgres/catalog/keyColumns.js'
import type { CatalogTable } from '../../postgres/catalog/tables.js'
import type { QualifiedName } from '../../postgres/identifier.js'
import { beginOf, type KeyText, type Stretch } from '../scan/stretches.js'
import type { KeyedTable } from './keyRanges.js'
import { type FileNow, type PagesRead, type Piece, type PieceReading, pagesLeft, stillRead } from './pieces.js'

/** A relation that has rows of its own: an ordinary table, or a leaf partition. */
export type Relation = QualifiedName & { readonly oid: number }

/** A part of a table that one worker reads with one COPY. */
export interface SnapshotUnit {
  readonly table: CatalogTable
  /** The relation to read: the table, or one of its leaf partitions. */
  readonly relation: Relation
  /** Read in the order of the key: behind `from`, up to and including the stretch's own end. */
  readonly range?: { readonly key: readonly KeyColumn[]; readonly from: KeyText | undefined; readonly stretch: Stretch }
  /** First page, and the page behind the last; the last range is open, for rows on pages added meanwhile. */
  readonly fromPage: number
  readonly toPage: number | undefined
  /** Only rows of this transaction (64 bits) and of those behind it: the others were read before. */
  readonly since?: bigint | undefined
  /** What is told when all of it was handed on. */
  readonly piece?: Piece | undefined
}

export const PAGE_BYTES = 8192

/** Smaller ranges cost more in transactions than they gain in balance. */
export const MIN_RANGE_PAGES = (64 * 1024 * 1024) / PAGE_BYTES
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
  keyed: ReadonlyMap<number, KeyedTable> = new Map(),
): SnapshotUnit[] {
  const relations = tables.flatMap((table) => relationsOf(table).map((relation) => ({ table, relation })))
  const sized = relations.map((one) => ({ ...one, pages: Math.ceil(bytesOf(one.relation.oid) / PAGE_BYTES) }))
  sized.sort((a, b) => b.pages - a.pages)
  // What must be read whole comes first, together: until it is there no place can be recorded.
  const whole = sized.filter(({ table }) => !keyed.has(table.oid))
  const units: SnapshotUnit[] = whole.flatMap(({ table, relation, pages }) =>
    rangesOf(pages, workers).map((range) => ({ table, relation, ...range })),
  )
  for (const { table, relation } of sized) {
    const { key, stretches } = keyed.get(table.oid) ?? { key: [], stretches: [] }
    for (const [index, stretch] of stretches.entries()) {
      const range = { key, from: beginOf(stretches, index), stretch }
      units.push({ table, relation, fromPage: 0, toPage: undefined, range })
    }
  }
  return units
}

/** Pages of a piece at most: it is read within a few seconds. */
const MAX_PIECE_PAGES = 4 * MIN_RANGE_PAGES

/** The same in pieces, with what was changed on pages that earlier runs have read. */
export function planPieces(
  tables: readonly CatalogTable[],
  bytesOf: (oid: number) => number,
  workers: number,
  { read }: PieceReading,
  files: ReadonlyMap<number, FileNow>,
): SnapshotUnit[] {
  const units: SnapshotUnit[] = []
  for (const table of tables) {
    for (const relation of relationsOf(table)) {
      const pages = Math.ceil(bytesOf(relation.oid) / PAGE_BYTES)
      const known = stillRead(read.get(relation.oid), files.get(relation.oid)!)
      const size = Math.min(
        MAX_PIECE_PAGES,
        Math.max(MIN_RANGE_PAGES, Math.ceil(pages / (workers * RANGES_PER_WORKER))),
      )
      const pieceOf = (part: PagesRead['pages']): Piece => {
        return { table: table.oid, relation: relation.oid, read: { ...known, pages: part } }
      }
      for (const [fromPage, toPage] of known.pages)
        units.push({ table, relation, fromPage, toPage, since: known.since })
      for (const [from, end] of pagesLeft(known.pages, pages)) {
        for (let fromPage = from; fromPage < end || fromPage === from; fromPage += size) {
          const to = Math.min(fromPage + size, end)
          // Rows on pages that were added meanwhile are in no snapshot of ours.
          units.push({
            table,
            relation,
            fromPage,
            toPage: to === pages ? undefined : to,
            piece: pieceOf([[fromPage, to]]),
          })
        }
      }
    }
  }
  return units
}

/** Where the rows of a table lie: itself, or its leaves. */
export function relationsOf(table: CatalogTable): readonly Relation[] {
  return table.kind === 'partitioned' ? table.partitions : [table]
}

/** Ranges of pages, as many as keep `workers` busy. */
export function rangesOf(pages: number, workers: number): Pick<SnapshotUnit, 'fromPage' | 'toPage'>[] {
  const size = Math.max(MIN_RANGE_PAGES, Math.ceil(pages / (workers * RANGES_PER_WORKER)))
  if (workers === 1 || pages <= size) return [{ fromPage: 0, toPage: undefined }]
  const found: Pick<SnapshotUnit, 'fromPage' | 'toPage'>[] = []
  for (let fromPage = 0; fromPage < pages; fromPage += size) {
    found.push({ fromPage, toPage: fromPage + size < pages ? fromPage + size : undefined })
  }
  return found
}
