import type { ChunkRange } from '../core/record.js'
import {
  DELETE,
  HEAD,
  HEAD_BUFFER,
  HEAD_NEW,
  HEAD_OLD,
  HEAD_OPERATION,
  HEAD_TABLE,
  OLD_ROW,
  RowBatch,
} from '../core/rowBatch.js'
import type { Table } from '../core/table.js'
import { NULL_COLUMN, UNCHANGED_COLUMN } from '../core/tape.js'
import type { QualifiedName } from '../postgres/identifier.js'
import { RelationNames, type TablePattern } from '../postgres/tablePattern.js'
import { unfit } from './describe.js'
import { matchesOf } from './filterProcessor.js'
import type { Outcome, Plan, Processor, ProcessorNotice } from './processor.js'
import { filterRows } from './rows/filter.js'
import type { Processed } from './rows/processed.js'
import { type Applies, type Failed, type RowRewrite, rewriteRows, SAME, VALUE } from './rows/rewrite.js'
import { NO_FALLBACK, Tuple } from './rows/tuple.js'
import type { Matches, SqlCondition } from './sql/expression.js'
import { NotSent } from './sql/problem.js'

export interface StepOptions {
  readonly name: string
  readonly processor: Processor
  /** Undefined: every table. */
  readonly streams: readonly TablePattern[] | undefined
  /** Undefined: every row. */
  readonly condition: SqlCondition | undefined
  /** Where the condition cannot be answered the processor does its work, and of an update both rows are asked. */
  readonly hides: boolean
  readonly notice: (table: Table, notice: ProcessorNotice) => void
}

interface Planned {
  readonly plan: Plan | undefined
  readonly condition: Matches | undefined
}

const UNTOUCHED: Planned = { plan: undefined, condition: undefined }

/** One processor, for the tables and rows that it is for. */
export class Step {
  readonly #options: StepOptions
  readonly #planned = new WeakMap<Table, Planned>()

  constructor(options: StepOptions) {
    this.#options = options
  }

  get name(): string {
    return this.#options.name
  }

  /** What it makes of a batch: the batch itself where no table of it is touched. */
  process(rows: RowBatch, failed: Failed): Processed | Promise<Processed> {
    const planned = rows.tables.map((table) => this.#planFor(table))
    const first = planned.find(({ plan }) => plan !== undefined)?.plan
    if (first === undefined || !concerns(rows, planned)) return { rows, kept: undefined }
    const plans = planned.map(({ plan }) => plan)
    // Of which it cannot be said whether the processor is for them.
    const untold = new Set<number>()
    const applies = this.#options.condition && this.#appliesTo(rows, planned, untold)
    switch (first.kind) {
      case 'describe': {
        const described = rows.tables.map((table, i) => (plans[i]?.kind === 'describe' ? plans[i].table : table))
        return { rows: describeRows(rows, described, applies), kept: undefined }
      }
      case 'judge': {
        const judges = plans.map((plan) => (plan?.kind === 'judge' ? plan.judge : undefined))
        return filterRows(rows, judges, applies, failed)
      }
      case 'rewrite': {
        const rewrites = plans.map((plan) => (plan?.kind === 'rewrite' ? plan.rewrite : undefined))
        return rewriteRows(rows, rewrites, applies, failed)
      }
      case 'compute':
        return this.#compute(rows, plans, applies, untold, failed)
      case 'look':
        lookAt(rows, plans, applies, first.look)
        return { rows, kept: undefined }
    }
  }

  close(): Promise<void> | undefined {
    return this.#options.processor.close?.()
  }

  async #compute(
    rows: RowBatch,
    plans: readonly (Plan | undefined)[],
    applies: Applies | undefined,
    untold: ReadonlySet<number>,
    failed: Failed,
  ): Promise<Processed> {
    const { heads, count, tables } = rows
    const asked: number[][] = tables.map(() => [])
    for (let index = 0; index < count; index++) {
      const table = heads[index * HEAD + HEAD_TABLE]!
      if (table < 0 || plans[table]?.kind !== 'compute' || heads[index * HEAD + HEAD_OPERATION]! > DELETE) continue
      if (applies === undefined || applies(index)) asked[table]!.push(index)
    }
    const outcomes = new Map<number, Outcome>()
    for (const [table, plan] of plans.entries()) {
      const indexes = asked[table]!
      if (plan?.kind !== 'compute' || indexes.length === 0) continue
      for (const [i, outcome] of (await plan.compute.outcomes(rows, indexes)).entries())
        outcomes.set(indexes[i]!, outcome)
    }
    const rewrites = plans.map((plan, i) =>
      plan?.kind === 'compute' ? computed(tables[i]!, plan.compute.table, outcomes, untold) : undefined,
    )
    const kept = (index: number) => !isDropped(outcomes.get(index))
    const written = rewriteRows(rows, rewrites, undefined, failed)
    return withoutDropped(written, kept)
  }

  range(range: ChunkRange): ChunkRange | undefined {
    const { processor } = this.#options
    return processor.range === undefined || !this.#isFor(range) ? range : processor.range(range)
  }

  #isFor(table: QualifiedName): boolean {
    const { streams } = this.#options
    const names = new RelationNames([table])
    return streams === undefined || streams.some((pattern) => names.match(pattern).length > 0)
  }

  #planFor(table: Table): Planned {
    const known = this.#planned.get(table)
    if (known !== undefined) return known
    const planned = this.#isFor(table) ? this.#plan(table) : UNTOUCHED
    this.#planned.set(table, planned)
    return planned
  }

  #plan(table: Table): Planned {
    const { name, processor, condition, notice } = this.#options
    const plan = processor.plan(table, (one) => notice(table, one))
    if (plan === undefined || condition === undefined) return { plan, condition: undefined }
    const key = changedKey(table, plan)
    if (key !== undefined) {
      throw unfit(
        name,
        table,
        `"${key}" belongs to the key, which must be made the same way in each row: not with "if"`,
      )
    }
    return { plan, condition: matchesOf(name, condition, table) }
  }

  /** Asks the row that there is: of a delete the one before. */
  #appliesTo(rows: RowBatch, planned: readonly Planned[], untold: Set<number>): Applies {
    const { hides } = this.#options
    const { heads, buffers, tape } = rows
    const tuple = new Tuple()
    return (index) => {
      const head = index * HEAD
      const tableIndex = heads[head + HEAD_TABLE]!
      const condition = planned[tableIndex]?.condition
      if (condition === undefined) return true
      const table = rows.tables[tableIndex]!
      const oldAt = heads[head + HEAD_OLD]! >> 2
      const isWhole = (heads[head + HEAD_OLD]! & 3) === OLD_ROW && table.replicaIdentity === 'full'
      tuple.bytes = buffers[heads[head + HEAD_BUFFER]!]!
      tuple.tape = tape.values
      const ask = (at: number, fallback: number): boolean => {
        tuple.at = at
        tuple.fallback = fallback
        try {
          return condition.matches(tuple) === true
        } catch (error) {
          if (!(error instanceof NotSent)) throw error
          untold.add(index)
          return hides
        }
      }
      if (heads[head + HEAD_OPERATION] !== DELETE) {
        const now = ask(heads[head + HEAD_NEW]!, isWhole ? oldAt : NO_FALLBACK)
        return now || (hides && isWhole && ask(oldAt, NO_FALLBACK))
      }
      const isTold = isWhole || [...condition.columns].every((column) => table.key.includes(column))
      return isTold ? ask(oldAt, NO_FALLBACK) : hides
    }
  }
}

function isDropped(outcome: Outcome | undefined): boolean {
  return outcome !== undefined && 'drop' in outcome
}

/** What others made of a table's records, as a rewrite; columns that they left alone keep their bytes. */
function computed(
  before: Table,
  table: Table,
  outcomes: ReadonlyMap<number, Outcome>,
  untold: ReadonlySet<number>,
): RowRewrite {
  const width = before.columns.length
  const make: RowRewrite['make'] = (column, _, writer, record, isOld) => {
    const outcome = outcomes.get(record)
    if (outcome !== undefined && 'failure' in outcome) throw outcome.failure
    const values = outcome === undefined || 'drop' in outcome ? undefined : isOld ? outcome.before : outcome.after
    const value = values?.get(column)
    if (value === undefined && column < width) return SAME
    if (value === undefined) return untold.has(record) && !isOld ? UNCHANGED_COLUMN : NULL_COLUMN
    if (value === null) return NULL_COLUMN
    if (value === UNCHANGED_COLUMN) return value
    writer.write(Buffer.from(value))
    return VALUE
  }
  return { table, from: table.columns.map(() => -1), make }
}

function withoutDropped({ rows, kept }: Processed, stays: (index: number) => boolean): Processed {
  const indexes = kept ?? Int32Array.from({ length: rows.count }, (_, index) => index)
  const places = Int32Array.from(indexes.keys()).filter((place) => stays(indexes[place]!))
  if (places.length === indexes.length) return { rows, kept }
  const heads = RowBatch.headsFor(places.length)
  for (const [to, place] of places.entries())
    heads.set(rows.heads.subarray(place * HEAD, (place + 1) * HEAD), to * HEAD)
  const left = rows.derive({ heads, count: places.length })
  left.replaces(rows, false)
  return { rows: left, kept: places.map((place) => indexes[place]!) }
}

/** Whether any record is of a table that is touched; what nobody has looked into is asked without that. */
function concerns(rows: RowBatch, planned: readonly Planned[]): boolean {
  return rows.lineCounts?.some(({ table }) => planned[table]!.plan !== undefined) ?? true
}

function describeRows(rows: RowBatch, described: readonly Table[], applies: Applies | undefined): RowBatch {
  if (applies === undefined) return rows.withTables(described)
  const tables = [...rows.tables]
  const indexes = described.map((table, index) => (table === tables[index] ? index : tables.push(table) - 1))
  const heads = rows.heads.slice(0, rows.count * HEAD)
  for (let index = 0; index < rows.count; index++) {
    const at = index * HEAD + HEAD_TABLE
    const table = heads[at]!
    if (table < 0 || indexes[table] === table) continue
    if (heads[at - HEAD_TABLE + HEAD_OPERATION]! > DELETE || applies(index)) heads[at] = indexes[table]!
  }
  return rows.derive({ heads, tables })
}

function lookAt(
  rows: RowBatch,
  plans: readonly (Plan | undefined)[],
  applies: Applies | undefined,
  look: (rows: RowBatch, index: number) => void,
): void {
  const { heads, count } = rows
  for (let index = 0; index < count; index++) {
    const table = heads[index * HEAD + HEAD_TABLE]!
    if (table < 0 || plans[table] === undefined) continue
    if (heads[index * HEAD + HEAD_OPERATION]! > DELETE || applies === undefined || applies(index)) look(rows, index)
  }
}

/** The name of a key's column that is another one afterwards, or has other values. */
function changedKey(table: Table, plan: Plan): string | undefined {
  if (plan.kind !== 'describe' && plan.kind !== 'rewrite') return undefined
  const after = plan.kind === 'describe' ? plan.table : plan.rewrite.table
  const changed = table.key.find((column) => {
    if (plan.kind === 'rewrite' && plan.rewrite.from[column] !== column) return true
    return after.columns[column]!.name !== table.columns[column]!.name
  })
  return changed === undefined ? undefined : table.columns[changed]!.name
}
