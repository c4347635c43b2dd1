import type { RowBatch } from '../core/rowBatch.js'
import { runScript } from '../postgres/copy/script.js'
import { sqlstateOf } from '../postgres/serverError.js'
import type { Session } from '../postgres/session.js'
import { Applier, type LoadedStep } from './applier.js'
import { onlyIt } from './applySql.js'
import { CarefulWriter, loadSteps } from './carefulWriter.js'
import { directStatements, isSmall } from './directWrite.js'
import { isOfRows, isOfShape, isPassing } from './failure.js'
import { planSteps, type StepOptions } from './steps.js'
import type { Target } from './target.js'
import { usesOf } from './uses.js'

/** What the target rejects, by index of the record. */
export type RejectedRows = ReadonlyMap<number, unknown>

/** Updates that found no row at a target that has what they left out. */
export interface MissingRows {
  readonly target: Target
  readonly count: number
}

export interface Written {
  readonly rejected: RejectedRows
  readonly missing: readonly MissingRows[]
}

const NOTHING: RejectedRows = new Map()
const BEGIN = 'BEGIN ISOLATION LEVEL READ COMMITTED'
const INSUFFICIENT_PRIVILEGE = '42501'

/**
 * Writes batches over one session, a transaction each, and nothing beside them: what was written before may be written
 * again, and comes to the same. What fails leaves the session to be rolled back.
 */
export class PlainWriter {
  readonly session: Session
  readonly #applier: Applier
  /** By name: whether the target has nothing but snapshot rows that we copied into it. */
  readonly #takesCopies: Map<string, boolean>
  #missing: MissingRows[] = []

  /** `takesCopies` outlives the session. */
  constructor(session: Session, takesCopies: Map<string, boolean>) {
    this.session = session
    this.#takesCopies = takesCopies
    this.#applier = new Applier(session, (target, count) => this.#missing.push({ target, count }))
  }

  /** All rows, or nothing: rejects with what is wrong. `targets`: by index of the batch's tables. */
  async write(rows: RowBatch, targets: readonly Target[]): Promise<Written> {
    await this.#lookIfEmpty(rows, targets)
    const options: StepOptions = { targets, takesCopies: (target) => this.#takesCopies.get(target.target) === true }
    this.#missing = []
    if (!(await this.#writeDirectly(rows, options))) await this.#writeStaged(rows, options)
    return { rejected: NOTHING, missing: this.#missing }
  }

  /**
   * All rows that the target takes. `immediately`: constraints that are checked at the commit are checked with each row, so
   * that it is told which one breaks them.
   */
  async writeCarefully(rows: RowBatch, targets: readonly Target[], immediately: boolean): Promise<Written> {
    const rejected = new Map<number, unknown>()
    this.#missing = []
    await this.#applier.prepareAll(targets)
    await this.session.query(immediately ? `${BEGIN}; SET CONSTRAINTS ALL IMMEDIATE` : BEGIN)
    this.#applier.begin()
    const careful = new CarefulWriter({
      session: this.session,
      applier: this.#applier,
      isRejection,
      reject: async (record, cause) => {
        rejected.set(record, cause)
        return 'aside'
      },
    })
    await careful.write(rows, 0, rows.count, { targets, takesCopies: () => false })
    await this.session.query('COMMIT')
    return { rejected, missing: this.#missing }
  }

  /** False: nothing was written, and how it is to be written is found elsewhere. */
  async #writeDirectly(rows: RowBatch, options: StepOptions): Promise<boolean> {
    if (!isSmall(rows)) return false
    const steps = planSteps(rows, 0, rows.count, options)
    const statements = directStatements(rows, steps, (target) => this.#applier.sqlOf(target))
    if (statements === undefined) return false
    try {
      await this.session.query([BEGIN, ...statements, 'COMMIT'].join(';\n'))
      return true
    } catch (error) {
      if (isPassing(error)) throw error
      await this.session.query('ROLLBACK')
      return false
    }
  }

  async #writeStaged(rows: RowBatch, options: StepOptions): Promise<void> {
    const loaded = loadSteps(this.#applier, rows, 0, rows.count, options)
    for (const step of loaded) await this.#applier.prepare(step)
    if (!loaded.some(hasGaps)) return runScript(this.session, [BEGIN, ...this.#applier.script(loaded), 'COMMIT'])
    await this.session.query(BEGIN)
    this.#applier.begin()
    for (const step of loaded) await this.#applier.apply(step)
    await this.session.query('COMMIT')
  }

  async #lookIfEmpty(rows: RowBatch, targets: readonly Target[]): Promise<void> {
    for (const { index, isCopied, isChanged } of usesOf(rows)) {
      const target = targets[index]!
      const name = target.target
      if (isChanged) this.#takesCopies.set(name, false)
      else if (isCopied && !this.#takesCopies.has(name)) {
        const [row] = await this.session.query<{ empty: boolean }>(
          `SELECT NOT EXISTS (SELECT FROM ${onlyIt(target)}) AS empty`,
        )
        this.#takesCopies.set(name, row!.empty)
      }
    }
  }
}

/** What the server refuses may be one record's fault, or one table's; of what passes it is not. */
export function isRejection(error: unknown): boolean {
  if (isPassing(error)) return false
  return isOfRows(error) || isOfShape(error) || sqlstateOf(error) === INSUFFICIENT_PRIVILEGE
}

/** How many of their rows are there is asked for, which a script cannot. */
function hasGaps(step: LoadedStep): boolean {
  if ('truncated' in step) return false
  return step.works.some(({ staged }) => staged.movedRows > 0 || staged.updatedRows > 0)
}
