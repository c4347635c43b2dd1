import type { Queryable } from '../../postgres/queryable.js'
import type { KeyText } from './stretches.js'
import type { TableScan } from './tableScan.js'

export interface KeyQuestionsOptions {
  readonly control: Queryable
  /** Keys of the table in the changes that wait. */
  readonly waitingKeys: (scan: TableScan) => readonly KeyText[]
  /** Where they lie is known now. */
  readonly onAnswer: () => void
  readonly onFailure: (error: unknown) => void
  readonly signal: AbortSignal
}

/** Asks the server where keys lie whose order it alone knows: for all changes of a table that wait at once. */
export class KeyQuestions {
  readonly #options: KeyQuestionsOptions
  readonly #asked = new Set<TableScan>()

  constructor(options: KeyQuestionsOptions) {
    this.#options = options
  }

  /** Nothing of the table may be handed on meanwhile. */
  isAsked(scan: TableScan): boolean {
    return this.#asked.has(scan)
  }

  async ask(scan: TableScan): Promise<void> {
    if (this.#asked.has(scan)) return
    const { control, waitingKeys, onAnswer, onFailure, signal } = this.#options
    this.#asked.add(scan)
    // What waits stands in the intake only when the message that asked is back there.
    await Promise.resolve()
    try {
      await scan.order.ask(control, waitingKeys(scan), scan.progress.stretches)
    } catch (error) {
      if (!signal.aborted) onFailure(error)
    } finally {
      this.#asked.delete(scan)
    }
    onAnswer()
  }
}
