import { KEY_NOT_TOLD } from '../core/destinationErrors.js'
import {
  type CopyLines,
  CREATE,
  HEAD,
  HEAD_NEW,
  HEAD_OPERATION,
  HEAD_TABLE,
  HEAD_TRANSACTION,
  type RowBatch,
  SNAPSHOT,
  TRUNCATE,
} from '../core/rowBatch.js'
import { sqlName } from '../postgres/identifier.js'
import { RESTART_IDENTITY } from '../postgres/pgoutput/handler.js'
import { Fold, OPERATIONS } from './fold.js'
import type { Target } from './target.js'

/** New rows for one target, to be copied into it as they stand. */
export interface Append {
  readonly target: Target
  readonly records: number[]
}

/** The same of a snapshot's rows that nobody has looked into. */
export interface AppendedLines {
  readonly target: Target
  readonly lines: readonly CopyLines[]
}

export interface Folded {
  readonly target: Target
  readonly fold: Fold
}

/** What is applied together: first what is appended, then what was folded. */
export interface WriteStep {
  readonly appends: readonly Append[]
  readonly folds: readonly Folded[]
}

/** One TRUNCATE of several tables, as at the source: alone, one of them may be held by another's foreign key. */
export interface TruncateStep {
  readonly truncated: readonly Target[]
  readonly restartIdentity: boolean
}

/** All that a batch has, of one kind. */
export interface LinesStep {
  readonly appended: readonly AppendedLines[]
}

export type Step = WriteStep | TruncateStep

export interface StepOptions {
  /** By index of the batch's tables. */
  readonly targets: readonly Target[]
  /** Whether a snapshot's rows may be copied into the target as they stand: it is empty, or has nothing but such. */
  readonly takesCopies: (target: Target) => boolean
}

/** Records `from` to `to` (not included) of a batch as the steps that apply them, in order. */
export function planSteps(batch: RowBatch, from: number, to: number, options: StepOptions): Step[] {
  const steps: Step[] = []
  let open = new OpenStep()
  const end = () => {
    if (!open.isEmpty) steps.push(open.take())
    open = new OpenStep()
  }
  for (let record = from; record < to; record++) {
    const operation = batch.heads[record * HEAD + HEAD_OPERATION]!
    if (operation > TRUNCATE) continue
    const target = options.targets[batch.heads[record * HEAD + HEAD_TABLE]!]!
    if (operation === TRUNCATE && target.mode.kind !== 'history') {
      end()
      const after = endOfTruncate(batch, record, to)
      steps.push(truncateStep(batch, record, after, options))
      record = after - 1
      continue
    }
    if (open.hasOtherShape(target)) end()
    open.add(batch, record, operation, target, options)
  }
  end()
  return steps
}

/**
 * A whole batch as lines of COPY for targets that are written column by column as the source has them; undefined where
 * it is not only such, or somebody has looked into its rows.
 */
export function planLines(batch: RowBatch, { targets, takesCopies }: StepOptions): LinesStep | undefined {
  const { lines } = batch
  if (lines === undefined) return undefined
  const appended = new Map<Target, CopyLines[]>()
  for (const one of lines) {
    const target = targets[one.table]!
    const known = appended.get(target)
    if (known !== undefined) known.push(one)
    else {
      const isWhole = target.written.length > 0 && target.written.length === target.table.columns.length
      if (!isWhole || target.mode.kind === 'history') return undefined
      if (target.key.length > 0 && !takesCopies(target)) return undefined
      appended.set(target, [one])
    }
  }
  return { appended: [...appended].map(([target, of]) => ({ target, lines: of })) }
}

/** Where a range of records may be parted near its middle: not within what one TRUNCATE said. */
export function middleOf(batch: RowBatch, from: number, to: number): number {
  const middle = (from + to) >> 1
  for (let at = middle; at < to; at++) if (!isWithinTruncate(batch, at)) return at
  for (let at = middle; at > from; at--) if (!isWithinTruncate(batch, at)) return at
  return to
}

function isWithinTruncate(batch: RowBatch, record: number): boolean {
  return record > 0 && endOfTruncate(batch, record - 1, record + 1) === record + 1
}

/** Behind the truncates of one transaction and with the same options that begin at `record`. */
function endOfTruncate({ heads }: RowBatch, record: number, to: number): number {
  let next = record
  const same = (field: number) => heads[next * HEAD + field] === heads[record * HEAD + field]
  while (next < to && heads[next * HEAD + HEAD_OPERATION] === TRUNCATE && same(HEAD_TRANSACTION) && same(HEAD_NEW)) {
    next++
  }
  return next
}

function truncateStep(batch: RowBatch, from: number, to: number, { targets }: StepOptions): TruncateStep {
  const truncated = new Map<string, Target>()
  for (let record = from; record < to; record++) {
    const target = targets[batch.heads[record * HEAD + HEAD_TABLE]!]!
    truncated.set(target.target, target)
  }
  const restartIdentity = (batch.heads[from * HEAD + HEAD_NEW]! & RESTART_IDENTITY) !== 0
  return { truncated: [...truncated.values()], restartIdentity }
}

class OpenStep {
  readonly #appends = new Map<string, Append>()
  readonly #folds = new Map<string, Folded>()

  get isEmpty(): boolean {
    return this.#appends.size === 0 && this.#folds.size === 0
  }

  /** Columns are counted in one shape: what has another one begins a step of its own. */
  hasOtherShape(target: Target): boolean {
    const one = this.#folds.get(target.target) ?? this.#appends.get(target.target)
    return one !== undefined && one.target !== target
  }

  add(batch: RowBatch, record: number, operation: number, target: Target, { takesCopies }: StepOptions): void {
    const name = target.target
    let folded = this.#folds.get(name)
    const isCopied = folded === undefined && operation === SNAPSHOT && takesCopies(target)
    const isHistory = target.mode.kind === 'history'
    if (target.key.length === 0 || isCopied) {
      if (!isHistory && operation !== SNAPSHOT && operation !== CREATE) throw keyless(target, operation)
      const append = this.#appends.get(name)
      if (append === undefined) this.#appends.set(name, { target, records: [record] })
      else append.records.push(record)
      return
    }
    if (folded === undefined) {
      folded = { target, fold: new Fold(batch, target) }
      this.#folds.set(name, folded)
    }
    folded.fold.add(record)
  }

  take(): WriteStep {
    return { appends: [...this.#appends.values()], folds: [...this.#folds.values()] }
  }
}

function keyless({ table }: Target, operation: number): Error {
  return KEY_NOT_TOLD({
    source: sqlName(table),
    key: '',
    operation: OPERATIONS[operation]!,
  })
}
