import { sleep } from '../core/abort.js'
import { VERIFY_INTERRUPTED } from '../core/verifyErrors.js'
import { sqlName } from '../postgres/identifier.js'
import { differingBuckets, rounds, totalRows } from './buckets.js'
import type { VerifyEvent } from './events.js'
import { type RepairTarget, repairRows } from './repair.js'
import type { Difference, DifferingValue, RepairCounts, TableReport } from './report.js'
import { type FoundRow, keyOfId, type RowReader, type SeenRows } from './rowReader.js'
import { type Look, lookAgainMs, type RowState, Settling } from './settling.js'
import type { TablePair } from './tablePair.js'

export interface CompareOptions {
  readonly buckets: number
  readonly settleMs: number
  readonly values: boolean
  readonly repair: boolean
  readonly limit: number
  readonly signal: AbortSignal
  readonly onEvent: (event: VerifyEvent) => void
}

/** Rows of one round that are read here: some 30 MB of memory. */
const ROUND_ROWS = 100_000
/** Rows that look different are judged together, for the wait's sake. */
const OPEN_ROWS = 10_000
/** Rows that never stand still are given up after so many times the time to settle, half a minute at least. */
const PATIENCE = 6
const LEAST_PATIENCE_MS = 30_000

interface UnlikeRow {
  readonly id: string
  readonly source: RowState
  readonly target: RowState
}

/**
 * Compares one table: checksums of all buckets on both sides at once, then the rows of the buckets that differ, then
 * those rows that differ again and again until they have settled.
 */
export async function compareTable(
  source: RowReader,
  target: RowReader,
  options: CompareOptions,
): Promise<TableReport> {
  return new TableComparison(source, target, options).run()
}

class TableComparison {
  readonly #pair: TablePair
  readonly #source: RowReader
  readonly #target: RowReader
  readonly #options: CompareOptions
  readonly #settling: Settling
  readonly #counts = { missing: 0, extra: 0, different: 0 }
  readonly #differences: Difference[] = []
  readonly #unsettled: Readonly<Record<string, string>>[] = []
  #unsettledRows = 0
  readonly #repaired: RepairCounts | undefined

  constructor(source: RowReader, target: RowReader, options: CompareOptions) {
    const { settleMs, repair } = options
    this.#pair = source.pair
    this.#source = source
    this.#target = target
    this.#options = options
    this.#settling = new Settling({ settleMs, patienceMs: Math.max(LEAST_PATIENCE_MS, PATIENCE * settleMs) })
    this.#repaired = repair ? { inserted: 0, updated: 0, deleted: 0, equal: 0, left: 0 } : undefined
  }

  async run(): Promise<TableReport> {
    const [source, target] = await Promise.all([this.#source.sums(), this.#target.sums()])
    const rows = { source: totalRows(source), target: totalRows(target) }
    const buckets = differingBuckets(source, target)
    if (buckets.length > 0) this.#tell({ type: 'narrowing', buckets: buckets.length, of: this.#options.buckets })
    const complete = await this.#search([...rounds(buckets, ROUND_ROWS)])
    const { source: table, target: copy, key, notes } = this.#pair
    return {
      table: sqlName(table),
      target: sqlName(copy),
      key: key.map(({ name }) => name),
      notes,
      rows,
      counts: this.#counts,
      unsettled: this.#unsettled,
      unsettledRows: this.#unsettledRows,
      differences: this.#differences.sort(byKey),
      complete,
      repaired: this.#repaired,
    }
  }

  /** Whether all of them were searched: without repair enough is told at the limit. */
  async #search(buckets: readonly (readonly number[])[]): Promise<boolean> {
    for (const [at, round] of buckets.entries()) {
      const { rows, look } = await this.#unlikeRows(round)
      for (const [place, { id, source, target }] of rows.entries()) {
        this.#settling.add(id, source, target, look)
        const last = place === rows.length - 1
        const { size } = this.#settling
        if (size >= OPEN_ROWS || (last && this.#found + size >= this.#options.limit)) await this.#settle()
        if (this.#enough && !(last && at === buckets.length - 1)) return false
      }
    }
    await this.#settle()
    return true
  }

  get #found(): number {
    const { missing, extra, different } = this.#counts
    return missing + extra + different
  }

  get #enough(): boolean {
    return !this.#options.repair && this.#found >= this.#options.limit
  }

  async #unlikeRows(buckets: readonly number[]): Promise<{ rows: UnlikeRow[]; look: Look }> {
    const { sides, look } = await this.#both((reader) => reader.rowsOf(buckets))
    const [source, target] = sides
    const rows = [...new Set([...source.keys(), ...target.keys()])].map((id) => ({
      id,
      source: source.get(id)?.state ?? '',
      target: target.get(id)?.state ?? '',
    }))
    return { rows: rows.filter((row) => row.source !== row.target), look }
  }

  /** Looks at the open rows until each is decided, then repairs those that differ if that was asked for. */
  async #settle(): Promise<void> {
    const { settleMs, values, signal } = this.#options
    const found: FoundRow[] = []
    if (this.#settling.size > 0) this.#tell({ type: 'settling', rows: this.#settling.size, seconds: settleMs / 1000 })
    for (;;) {
      const ids = this.#settling.open
      if (ids.length === 0) break
      const { sides, look } = await this.#both((reader) => reader.look(ids, { values }))
      const [source, target] = sides
      for (const id of ids) {
        const seen = { id, source: source.get(id), target: target.get(id) }
        const outcome = this.#settling.judge(id, seen.source?.state ?? '', seen.target?.state ?? '', look)
        if (outcome === 'different') found.push(seen)
        else if (outcome === 'unsettled') this.#addUnsettled(id)
      }
      if (this.#settling.size === 0) break
      await sleep(lookAgainMs(look.endedMs - look.begunMs, settleMs), signal).catch((cause: unknown) => {
        throw VERIFY_INTERRUPTED({}, { cause })
      })
    }
    for (const row of found) this.#addDifference(row)
    if (this.#repaired !== undefined && found.length > 0) await this.#repair(found, this.#repaired)
  }

  async #repair(found: readonly FoundRow[], counts: RepairCounts): Promise<void> {
    const sides: RepairTarget = { source: this.#source, target: this.#target }
    await repairRows(sides, found, counts)
    this.#tell({ type: 'repaired', ...counts })
  }

  async #both(read: (reader: RowReader) => Promise<SeenRows>): Promise<{ sides: [SeenRows, SeenRows]; look: Look }> {
    const begunMs = performance.now()
    const sides = await Promise.all([read(this.#source), read(this.#target)])
    return { sides, look: { begunMs, endedMs: performance.now() } }
  }

  #addUnsettled(id: string): void {
    this.#unsettledRows++
    if (this.#unsettled.length < this.#options.limit) this.#unsettled.push(this.#describe(id))
  }

  #addDifference(row: FoundRow): void {
    const rows = { source: row.source?.rows ?? 0, target: row.target?.rows ?? 0 }
    const keyed = this.#pair.key.length > 0
    const both = keyed && rows.source > 0 && rows.target > 0
    const kind = both ? 'different' : rows.source > rows.target ? 'missing' : 'extra'
    this.#counts[kind]++
    if (this.#differences.length >= this.#options.limit) return
    const values = this.#options.values ? differingValues(this.#pair, row) : undefined
    this.#differences.push({ kind, key: this.#describe(row.id), rows, values })
  }

  #describe(id: string): Record<string, string> {
    const { key } = this.#pair
    if (key.length === 0) return { hash: id }
    const texts = keyOfId(id)
    return Object.fromEntries(key.map(({ name }, at) => [name, texts[at]!]))
  }

  #tell(event: Omit<Extract<VerifyEvent, { type: 'narrowing' }>, 'table'>): void
  #tell(event: Omit<Extract<VerifyEvent, { type: 'settling' }>, 'table'>): void
  #tell(event: Omit<Extract<VerifyEvent, { type: 'repaired' }>, 'table'>): void
  #tell(event: object): void {
    this.#options.onEvent({ ...event, table: sqlName(this.#pair.source) } as VerifyEvent)
  }
}

/** In an order that people expect: 2 before 10. */
let numeric: Intl.Collator | undefined

function byKey(one: Difference, other: Difference): number {
  numeric ??= new Intl.Collator('en', { numeric: true })
  const { compare } = numeric
  const places = Object.keys(one.key).map((name) => compare(one.key[name]!, other.key[name]!))
  return places.find((place) => place !== 0) ?? 0
}

/** Of a row that one side lacks all its values, but the key's, which is told anyway. */
function differingValues(pair: TablePair, { source, target }: FoundRow): DifferingValue[] {
  return pair.columns.flatMap((column, at) => {
    const values = { source: source?.values?.[at], target: target?.values?.[at] }
    const told = source !== undefined && target !== undefined && pair.key.length > 0
    if (told ? values.source === values.target : pair.key.includes(column)) return []
    return [{ column: column.name, ...values }]
  })
}
