import { type KeyColumn, keyColumns } from '../../postgres/catalog/keyColumns.js'
import { quoteIdentifier, sqlName } from '../../postgres/identifier.js'
import type { Queryable } from '../../postgres/queryable.js'
import type { PlannedTable } from '../capturePlan.js'
import { scanKeyOf } from '../scan/scanKey.js'
import { type Stretch, UNREAD } from '../scan/stretches.js'
import { MIN_RANGE_PAGES, rangesOf } from './units.js'

/** A table that is read in the order of its key, so that an interrupted snapshot can go on behind what it has. */
export interface KeyedTable {
  readonly key: readonly KeyColumn[]
  readonly stretches: readonly Stretch[]
}

/** Pages that a sample is taken of, and rows, about: those of one page say little more than one of them. */
const SAMPLED_PAGES = 100
const SAMPLED_ROWS = 1000
/** The server's estimate of rows may be an old one. */
const LEAST_OF_PAGE = 0.1
/**
 * Rows that lie in the order of the key this well are read by an index nearly as fast as one after the other; else each
 * would be another page.
 */
const ENOUGH_CORRELATION = 0.8

/**
 * Cuts a table by its key into ranges of about the same number of rows; undefined where it is better read as it lies, and
 * read whole again after a crash: without a key, in partitions, or with its rows in another order.
 */
export async function planKeyRanges(
  readers: readonly Queryable[],
  planned: PlannedTable,
  pages: number,
): Promise<KeyedTable | undefined> {
  const { table } = planned
  const names = scanKeyOf(planned)
  if (names.length === 0 || table.kind === 'partitioned') return undefined
  const [key, stretches] = await Promise.all([
    keyColumns(readers.at(-1)!, table.oid, names),
    pages <= MIN_RANGE_PAGES ? UNREAD : cut(readers[0]!, planned, names, pages, readers.length),
  ])
  return stretches && { key, stretches }
}

/** Undefined: its rows lie in another order. */
async function cut(
  reader: Queryable,
  { table }: PlannedTable,
  names: readonly string[],
  pages: number,
  workers: number,
): Promise<readonly Stretch[] | undefined> {
  const columns = names.map(quoteIdentifier).join(', ')
  const count = rangesOf(pages, workers).length
  const share = Math.min(1, SAMPLED_PAGES / pages)
  const rows = Math.max(1, share * (table.estimatedRows ?? 0))
  // Of the sample only the ends of ranges are wanted, with its first row: to read all of it takes as long as to take it.
  const [first, ...bounds] = await reader.query<{ key: string[]; correlation: number | null }>(
    `WITH sample AS (
       SELECT ${columns}, ctid FROM ONLY ${sqlName(table)} TABLESAMPLE SYSTEM (${100 * share})
        WHERE pg_catalog.random() < ${Math.min(1, Math.max(LEAST_OF_PAGE, SAMPLED_ROWS / rows))}
     ), ranked AS (
       SELECT ARRAY[${names.map((name) => `${quoteIdentifier(name)}::pg_catalog.text`).join(', ')}] AS key,
              pg_catalog.row_number() OVER (ORDER BY ${columns}) AS rank,
              pg_catalog.row_number() OVER (ORDER BY ctid) AS place
         FROM sample
     ), whole AS (
       SELECT pg_catalog.count(*) AS count, pg_catalog.abs(pg_catalog.corr(rank, place)) AS correlation FROM ranked
     )
     SELECT ranked.key, whole.correlation
       FROM pg_catalog.generate_series(0, ${count - 1}) AS part (number), whole, ranked
      WHERE ranked.rank = part.number * whole.count / ${count} + 1
      ORDER BY part.number`,
  )
  if ((first?.correlation ?? 0) < ENOUGH_CORRELATION) return undefined
  const distinct = bounds.filter(
    ({ key }, index) => index === 0 || key.join('\0') !== bounds[index - 1]!.key.join('\0'),
  )
  return [...distinct.map(({ key }) => ({ to: key, read: undefined })), { to: undefined, read: undefined }]
}
