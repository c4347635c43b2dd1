import type { Table } from '../core/table.js'
import { type QualifiedName, sqlName } from '../postgres/identifier.js'
import type { Session } from '../postgres/session.js'
import type { Batch } from '../source/batch.js'
import { onlyIt } from './applySql.js'
import { readingOf, type TableReading } from './pendingKey.js'
import type { PendingKeys } from './pendingKeys.js'
import type { Target } from './target.js'
import type { Use } from './uses.js'

export interface SessionTargetsOptions {
  /**
   * Looks a shape's target up, once a session; `reading`: what is to be copied into it, where nothing else is to be written.
   */
  readonly findTarget: (session: Session, table: Table, reading: TableReading | undefined) => Promise<Target>
  readonly pendingKeys: PendingKeys
  readonly targetOf: (table: QualifiedName) => QualifiedName
}

type Written = Pick<Batch, 'rows' | 'position' | 'range'>

/** The targets that a session knows of the source's tables: whether rows may be copied into them, and whether their keys are there. */
export class SessionTargets {
  readonly #session: Session
  readonly #options: SessionTargetsOptions
  readonly #targets = new WeakMap<Table, Target>()
  /** The last shape of each of the source's tables. */
  readonly #seen = new Map<string, Table>()
  /** By name: whether the target has nothing but snapshot rows that we copied into it. */
  readonly #takesCopies: Map<string, boolean>

  /** `takesCopies` outlives the session. */
  constructor(session: Session, takesCopies: Map<string, boolean>, options: SessionTargetsOptions) {
    this.#session = session
    this.#takesCopies = takesCopies
    this.#options = options
  }

  of(table: Table): Target | undefined {
    return this.#targets.get(table)
  }

  /** Those of a batch's tables; undefined: not all are known, or rows of something else were copied into one that is still to get its key. */
  knownOf(batch: Written): readonly Target[] | undefined {
    const { pendingKeys } = this.#options
    const targets: Target[] = []
    for (const table of batch.rows.tables) {
      const target = this.#targets.get(table)
      if (target === undefined || pendingKeys.isOfAnother(target.target, readingOf(batch, target.table)))
        return undefined
      targets.push(target)
    }
    return targets
  }

  /** The last shape of a table of the source's. */
  shapeOf(table: QualifiedName): Table | undefined {
    return this.#seen.get(sqlName(table))
  }

  sees(table: Table): void {
    this.#seen.set(sqlName(table), table)
  }

  readonly mayCopy = ({ target }: Target): boolean => this.#takesCopies.get(target) === true

  /** Finds the target of one of a batch's tables. Every batch that is not copied ahead comes by here: its key is built, where it needs one. */
  async find(batch: Written, { index, isCopied, isChanged }: Use, carefully: boolean): Promise<Target> {
    const { pendingKeys, findTarget } = this.#options
    const table = batch.rows.tables[index]!
    const reading = isChanged || carefully ? undefined : readingOf(batch, table)
    const target = this.#targets.get(table) ?? (await findTarget(this.#session, table, reading))
    this.sees(table)
    if (isCopied) await this.#lookIfEmpty(target, reading)
    if (isChanged) this.#takesCopies.set(target.target, false)
    // Not before it is known whether rows are copied: what is made ready meanwhile would be looked into, and all that follows.
    this.#targets.set(table, target)
    if (reading === undefined || !this.mayCopy(target)) await pendingKeys.build(this.#session, target.target)
    return target
  }

  /** Of what is over, or is read once more; `within`: a transaction is open with batches before it. */
  async buildKeys({ rows, position, range }: Written, uses: readonly Use[], within: boolean): Promise<void> {
    const { pendingKeys, targetOf } = this.#options
    if (range?.again === true) await pendingKeys.build(this.#session, sqlName(targetOf(range)))
    const written = uses.map(({ index }) => sqlName(targetOf(rows.tables[index]!)))
    const read = within ? [] : pendingKeys.read(position)
    for (const target of read) if (!written.includes(target)) await pendingKeys.build(this.#session, target)
  }

  /** Keys are to be built before it, which is no part of its transaction. */
  needsKeys({ rows, position }: Written): boolean {
    const { pendingKeys, targetOf } = this.#options
    return (
      pendingKeys.read(position).length > 0 || rows.tables.some((table) => pendingKeys.has(sqlName(targetOf(table))))
    )
  }

  async #lookIfEmpty(target: Target, reading: TableReading | undefined): Promise<void> {
    const { pendingKeys } = this.#options
    const isPending = reading !== undefined && pendingKeys.has(target.target)
    if (isPending && !pendingKeys.isOfAnother(target.target, reading)) {
      this.#takesCopies.set(target.target, true)
      return
    }
    if (!isPending && this.#takesCopies.has(target.target)) return
    const [row] = await this.#session.query<{ empty: boolean }>(
      `SELECT NOT EXISTS (SELECT FROM ${onlyIt(target)}) AS empty`,
    )
    if (isPending && row!.empty) await pendingKeys.begins(this.#session, target.target, reading)
    const isOfAnother = isPending && pendingKeys.isOfAnother(target.target, reading)
    this.#takesCopies.set(target.target, row!.empty && !isOfAnother)
  }
}
