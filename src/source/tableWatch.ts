import { TailraceError } from '../core/tailraceError.js'
import { sqlName } from '../postgres/identifier.js'
import type { Queryable } from '../postgres/queryable.js'
import { namesOne } from '../postgres/tablePattern.js'
import type { CaptureSet } from './captureSet.js'
import { asWarning, type SourceEvent } from './events.js'
import type { ParsedOptions } from './options.js'
import type { TableChanges } from './tableChanges.js'

const LOOK_MS = 5000

export interface TableWatchOptions {
  readonly control: Queryable
  readonly options: ParsedOptions
  readonly capture: CaptureSet
  readonly changes: TableChanges
  readonly emit: (event: SourceEvent) => void
}

/**
 * Looks at the tables while the stream runs: tells of those that are dropped, which their publication loses without a word,
 * and captures what the run's patterns mean by now.
 */
export class TableWatch {
  readonly #options: TableWatchOptions
  readonly #timer: NodeJS.Timeout
  /** A name may mean another table by now; a pattern may always. */
  #newOnes: boolean
  #looking = false
  /** What new tables could not be captured for: told once. */
  readonly #told = new Set<string>()

  constructor(options: TableWatchOptions) {
    this.#options = options
    this.#newOnes = options.options.include.some((pattern) => !namesOne(pattern))
    this.#timer = setInterval(() => void this.#look(), LOOK_MS)
  }

  stop(): void {
    clearInterval(this.#timer)
  }

  async #look(): Promise<void> {
    if (this.#looking) return
    this.#looking = true
    const { control, capture, changes, emit } = this.#options
    try {
      for (const { table } of await capture.lookForDropped(control)) {
        emit({ type: 'table-dropped', table: sqlName(table) })
        this.#newOnes = true
      }
      if (this.#newOnes) await changes.look()
    } catch (error) {
      // The stream itself tells when the server is gone.
      if (error instanceof TailraceError && error.retry === 'operator') this.#tell(error)
    } finally {
      this.#looking = false
    }
  }

  #tell(error: TailraceError): void {
    // The name of a table that was dropped means none for now.
    if (error.code === 'TABLE_NOT_FOUND' || this.#told.has(error.message)) return
    this.#told.add(error.message)
    this.#options.emit(asWarning(error))
  }
}
