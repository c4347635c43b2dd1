import { encodeNdjson } from '../codec/ndjson.js'
import { ROW_REJECTED } from '../core/destinationErrors.js'
import type { Position } from '../core/record.js'
import { HEAD, HEAD_OPERATION, HEAD_TABLE, type RowBatch, SNAPSHOT, TRUNCATE } from '../core/rowBatch.js'
import type { Table } from '../core/table.js'
import type { TailraceError } from '../core/tailraceError.js'
import { type QualifiedName, sqlName } from '../postgres/identifier.js'
import { sqlstateOf } from '../postgres/serverError.js'
import type { Session } from '../postgres/session.js'
import type { Batch } from '../source/batch.js'
import { StreamPosition } from '../source/position.js'
import { Applier } from './applier.js'
import { onlyIt } from './applySql.js'
import { blamedColumns } from './blame.js'
import type { Checkpoint } from './checkpoint.js'
import { isOfRows, serverText } from './failure.js'
import { deleteGoneRows } from './goneRows.js'
import { middleOf, planSteps, type StepOptions } from './steps.js'
import type { Target } from './target.js'

export interface BatchWriterOptions {
  readonly checkpoint: Checkpoint
  /** Looks a shape's target up, once a session. */
  readonly findTarget: (session: Session, table: Table) => Promise<Target>
  readonly targetOf: (table: QualifiedName) => QualifiedName
  readonly deadLetters: boolean
  /** Hears why records were put aside, when that is committed. */
  readonly onPutAside: (problems: readonly string[]) => void
}

/** Writes batches over one session, in transactions. What fails leaves the session to be rolled back. */
export class BatchWriter {
  readonly session: Session
  readonly #options: BatchWriterOptions
  readonly #applier: Applier
  readonly #targets = new WeakMap<Table, Target>()
  /** The last shape of each of the source's tables. */
  readonly #seen = new Map<string, Table>()
  /** By name: whether the target has nothing but snapshot rows that we copied into it. */
  readonly #takesCopies: Map<string, boolean>

  /** `takesCopies` outlives the session. */
  constructor(session: Session, takesCopies: Map<string, boolean>, options: BatchWriterOptions) {
    this.session = session
    this.#options = options
    this.#takesCopies = takesCopies
    this.#applier = new Applier(session)
  }

  /** A transaction is open with batches in it that were not committed: they are lost with the session. */
  get holds(): boolean {
    return this.#holds
  }
  #holds = false
  /** In the open transaction. */
  #aside: string[] = []

  /**
   * Writes a batch, `carefully` where something of it was rejected; true: it is committed, with its position. Where the
   * source says that whoever goes on from that position gets rows once more (of a table without a key, while it is read),
   * nothing is committed before a position that does not.
   */
  async write<Tables extends object>(batch: Batch<Tables>, carefully: boolean): Promise<boolean> {
    const { checkpoint } = this.#options
    const { rows } = batch
    const targets = await this.#resolve(rows)
    const takesCopies = (target: Target) => !carefully && this.#takesCopies.get(target.target) === true
    const repeats = saysItRepeats(batch.position)
    if (carefully || repeats || this.#holds) {
      await this.#applier.prepareAll(new Set(targets.filter((target) => target !== undefined)))
      if (!(await this.#begin())) return true
      this.#holds = repeats || this.#holds
      await this.#deleteGone(batch)
      await this.#writeRange(batch, 0, rows.count, { targets, takesCopies })
    } else {
      const steps = planSteps(rows, 0, rows.count, { targets, takesCopies })
      const loaded = steps.map((step) => this.#applier.load(rows, step))
      for (const step of loaded) await this.#applier.prepare(step)
      if (!(await this.#begin())) return true
      await this.#deleteGone(batch)
      for (const step of loaded) await this.#applier.apply(step)
    }
    if (repeats) return false
    await checkpoint.commit(this.session, batch.position.toJSON())
    this.#options.onPutAside(this.#aside)
    this.#holds = false
    return true
  }

  /** First, since a row that is gone may have what is unique. */
  async #deleteGone<Tables extends object>({ range, rows }: Batch<Tables>): Promise<void> {
    if (range?.again !== true) return
    const table = this.#seen.get(sqlName(range))
    await deleteGoneRows(this.session, range, rows, table, this.#options.targetOf(range))
  }

  async #begin(): Promise<boolean> {
    if (this.#holds) return true
    this.#applier.begin()
    this.#aside = []
    return this.#options.checkpoint.begin(this.session)
  }

  /**
   * Where something is rejected as a whole it is tried in two halves, one after the other: so a row that is to blame is
   * found, and what only a fold could not do (values of a unique column that change hands) is done in the source's order.
   */
  async #writeRange<Tables extends object>(
    batch: Batch<Tables>,
    from: number,
    to: number,
    options: StepOptions,
  ): Promise<void> {
    if (from === to) return
    await this.session.query('SAVEPOINT tailrace')
    try {
      for (const step of planSteps(batch.rows, from, to, options)) {
        await this.#applier.apply(this.#applier.load(batch.rows, step))
      }
      await this.session.query('RELEASE SAVEPOINT tailrace')
      return
    } catch (error) {
      if (!isOfRows(error)) throw error
      await this.session.query('ROLLBACK TO SAVEPOINT tailrace; RELEASE SAVEPOINT tailrace')
      const middle = middleOf(batch.rows, from, to)
      const { targets } = options
      if (to - from === 1 || middle === to) return this.#reject(batch, from, targets, error as TailraceError)
      const inHalves = { targets, takesCopies: () => false }
      await this.#writeRange(batch, from, middle, inHalves)
      await this.#writeRange(batch, middle, to, inHalves)
    }
  }

  async #reject<Tables extends object>(
    batch: Batch<Tables>,
    index: number,
    targets: readonly Target[],
    cause: TailraceError,
  ): Promise<void> {
    const {
      target,
      facts: { columns },
    } = targets[batch.rows.heads[index * HEAD + HEAD_TABLE]!]!
    const record = batch.at(index)!
    const { constraint, hint } = cause.details as Partial<Record<string, string>>
    const problem = serverText(cause)
    const sqlstate = sqlstateOf(cause)
    if (this.#options.deadLetters) {
      const line = encodeNdjson(batch.rows.part(index, index + 1))
        .toString()
        .trimEnd()
      await this.#options.checkpoint.addDeadLetter(this.session, {
        ...{ id: record.id, target, sqlstate, problem },
        record: line,
      })
      this.#aside.push(problem)
      return
    }
    const key = 'key' in record && record.key !== undefined ? keyText(record.key) : ''
    const facts = { table: target, operation: record.operation, key, id: record.id, problem, sqlstate }
    const column = await blamedColumns(this.session, cause, columns.keys())
    throw ROW_REJECTED({ ...facts, column, constraint, hint: hint ?? ownHint(cause) }, { cause })
  }

  /** The target of each of the batch's tables that rows or truncates are of. */
  async #resolve(batch: RowBatch): Promise<Target[]> {
    const { heads } = batch
    const used = new Set<number>()
    const copied = new Set<number>()
    const changed = new Set<number>()
    for (let head = 0; head < batch.count * HEAD; head += HEAD) {
      const operation = heads[head + HEAD_OPERATION]!
      if (operation > TRUNCATE) continue
      const index = heads[head + HEAD_TABLE]!
      used.add(index)
      ;(operation === SNAPSHOT ? copied : changed).add(index)
    }
    const targets: Target[] = []
    for (const index of used) {
      const table = batch.tables[index]!
      let target = this.#targets.get(table)
      if (target === undefined) {
        target = await this.#options.findTarget(this.session, table)
        this.#targets.set(table, target)
      }
      targets[index] = target
      this.#seen.set(sqlName(table), table)
    }
    for (const index of copied) await this.#lookIfEmpty(targets[index]!)
    for (const index of changed) this.#takesCopies.set(targets[index]!.target, false)
    return targets
  }

  async #lookIfEmpty(target: Target): Promise<void> {
    if (this.#takesCopies.has(target.target)) return
    const [row] = await this.session.query<{ empty: boolean }>(
      `SELECT NOT EXISTS (SELECT FROM ${onlyIt(target)}) AS empty`,
    )
    this.#takesCopies.set(target.target, row!.empty)
  }
}

function saysItRepeats(position: Position): boolean {
  return position instanceof StreamPosition && position.repeats && !position.beginsAnew
}

function ownHint(cause: TailraceError): string | undefined {
  return sqlstateOf(cause) === undefined ? cause.hint : undefined
}

/** `id=5, code=abc`. */
function keyText(key: Readonly<Record<string, unknown>>): string {
  const text = (value: unknown) => (value instanceof Uint8Array ? `\\x${Buffer.from(value).toString('hex')}` : value)
  return Object.entries(key)
    .map(([name, value]) => `${name}=${text(value)}`)
    .join(', ')
}
