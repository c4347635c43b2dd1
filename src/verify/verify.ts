import { keyColumns } from '../postgres/catalog/keyColumns.js'
import { sqlName } from '../postgres/identifier.js'
import { bucketCount } from './buckets.js'
import { compareTable } from './compareTable.js'
import type { VerifyEvent } from './events.js'
import { chooseHashing } from './hashing.js'
import { type ParsedVerifyOptions, parseVerifyOptions, type VerifyOptions } from './options.js'
import { planTables } from './plan.js'
import type { TableReport, VerifyReport } from './report.js'
import { RowReader } from './rowReader.js'
import { Side } from './side.js'
import type { Hashing } from './sideSql.js'
import type { TablePair } from './tablePair.js'

export interface VerifyHooks {
  /** Ends it: the promise rejects with VERIFY_INTERRUPTED. */
  readonly signal?: AbortSignal
  readonly onEvent?: (event: VerifyEvent) => void
  /** Hears of each table when it is done. */
  readonly onTable?: (report: TableReport) => void | Promise<void>
}

/**
 * Compares tables of two databases, one after another, each on both sides at once; with `repair` makes the target's
 * equal. Rejects when it could not tell: what it could is in the tables told of until then.
 */
export async function verify(options: VerifyOptions, hooks: VerifyHooks = {}): Promise<VerifyReport> {
  const parsed = parseVerifyOptions(options)
  const { signal = new AbortController().signal, onEvent = () => {}, onTable } = hooks
  await using source = await Side.connect('source', parsed.source, { signal, writable: false })
  await using target = await Side.connect('target', parsed.target, { signal, writable: parsed.repair })
  const pairs = await planTables(source, target, parsed)
  const hashing = await chooseHashing(source, target)
  onEvent({ type: 'connected', source: source.to, target: target.to, tables: pairs.length })
  const tables: TableReport[] = []
  for (const pair of pairs) {
    const report = await comparePair(pair, { source, target, hashing, options: parsed, signal, onEvent })
    tables.push(report)
    await onTable?.(report)
  }
  return { source: source.to, target: target.to, tables }
}

interface Comparison {
  readonly source: Side
  readonly target: Side
  readonly hashing: Hashing
  readonly options: ParsedVerifyOptions
  readonly signal: AbortSignal
  readonly onEvent: (event: VerifyEvent) => void
}

async function comparePair(pair: TablePair, comparison: Comparison): Promise<TableReport> {
  const { source, target, hashing, options, signal, onEvent } = comparison
  const { settleMs, values, repair, limit } = options
  const estimates = [pair.source.estimatedRows, pair.target.estimatedRows].filter((rows) => rows !== undefined)
  const estimatedRows = estimates.length === 0 ? undefined : Math.max(...estimates)
  onEvent({ type: 'reading', table: sqlName(pair.source), target: sqlName(pair.target), estimatedRows })
  const buckets = bucketCount(estimatedRows)
  const names = pair.key.map(({ name }) => name)
  const [from, to] = await Promise.all(
    [source, target].map(async (side) => {
      const columns = await keyColumns(side, pair[side.name].oid, names)
      return new RowReader(pair, side, { hashing, keyColumns: columns, buckets })
    }),
  )
  return compareTable(from!, to!, { buckets, settleMs, values, repair, limit, signal, onEvent })
}
