import type { RowBatch } from '../core/rowBatch.js'
import type { Session } from '../postgres/session.js'
import type { Applier, LoadedStep } from './applier.js'
import { directStatements } from './directWrite.js'
import { isWorthOneByOne, writeOneByOne } from './oneByOne.js'
import { middleOf, planLines, planSteps, type StepOptions } from './steps.js'

/** It was put aside; or what rejected it is no more, and it is to be written again. */
export type Rejected = 'aside' | 'again'

export interface CarefulWriterOptions {
  readonly session: Session
  readonly applier: Applier
  /** Whether an error may be of one record; all others end the writing. */
  readonly isRejection: (error: unknown) => boolean
  /** Something is about to be tried in halves, which is by key. */
  readonly beforeHalves?: () => Promise<void>
  /** The target rejects a record; throws where the others are not to be written then. */
  readonly reject: (record: number, cause: unknown) => Promise<Rejected>
}

/**
 * Writes records of a batch of which something was rejected, in the open transaction: all but what is rejected by itself.
 *
 * Where something is rejected as a whole it is tried in two halves, one after the other: so a row that is to blame is
 * found, and what only a fold could not do (values of a unique column that change hands) is done in the source's order.
 */
export class CarefulWriter {
  readonly #options: CarefulWriterOptions
  #rejected = 0

  constructor(options: CarefulWriterOptions) {
    this.#options = options
  }

  /** Records `from` to `to`, not included. */
  async write(rows: RowBatch, from: number, to: number, options: StepOptions): Promise<void> {
    if (from === to) return
    const { session, applier, isRejection } = this.#options
    await session.query('SAVEPOINT tailrace')
    try {
      for (const step of loadSteps(applier, rows, from, to, options)) await applier.apply(step)
      await session.query('RELEASE SAVEPOINT tailrace')
      return
    } catch (error) {
      if (!isRejection(error)) throw error
      await session.query('ROLLBACK TO SAVEPOINT tailrace; RELEASE SAVEPOINT tailrace')
      await this.#options.beforeHalves?.()
      const middle = middleOf(rows, from, to)
      if (to - from === 1 || middle === to) {
        return this.#reject(rows, from, error, options)
      }
      const inHalves = { targets: options.targets, takesCopies: () => false }
      if (isWorthOneByOne(rows, from, to, this.#rejected)) {
        return writeOneByOne(session, from, to, {
          statementsOf: (record) => this.#directly(rows, record, inHalves),
          write: (record) => this.write(rows, record, record + 1, inHalves),
          reject: (record, cause) => this.#reject(rows, record, cause, inHalves),
          isRejection,
        })
      }
      await this.write(rows, from, middle, inHalves)
      await this.write(rows, middle, to, inHalves)
    }
  }

  async #reject(rows: RowBatch, record: number, cause: unknown, { targets }: StepOptions): Promise<void> {
    if ((await this.#options.reject(record, cause)) === 'aside') this.#rejected++
    else await this.write(rows, record, record + 1, { targets, takesCopies: () => false })
  }

  #directly(rows: RowBatch, record: number, options: StepOptions): readonly string[] | undefined {
    const { applier } = this.#options
    return directStatements(rows, planSteps(rows, record, record + 1, options), (target) => applier.sqlOf(target))
  }
}

/** Records `from` to `to` (not included) as what applies them: nothing that needs the server. `overwrites`: see {@link Applier.load}. */
export function loadSteps(
  applier: Applier,
  rows: RowBatch,
  from: number,
  to: number,
  options: StepOptions,
  overwrites = false,
): LoadedStep[] {
  const lines = from === 0 && to === rows.count ? planLines(rows, options) : undefined
  if (lines !== undefined) return [applier.loadLines(lines)]
  return planSteps(rows, from, to, options).map((step) => applier.load(rows, step, overwrites))
}
