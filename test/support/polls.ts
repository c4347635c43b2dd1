import type { PositionJson } from '../../src/core/record.js'
import type { SourceOptions } from '../../src/source/options.js'
import type { TestDatabase } from './database.js'
import { readToCurrent, type SourceRecord } from './sourceReader.js'
import { requireOrder } from './sourceReplay.js'

/** Polls one after the other, each a run of its own that knows no more than the position of the one before. */
export class Polls {
  /** Of all polls. */
  readonly records: SourceRecord[] = []
  position: PositionJson | undefined
  readonly #options: SourceOptions

  constructor(db: Pick<TestDatabase, 'url'>, options: Partial<SourceOptions> = {}) {
    this.#options = {
      url: db.url,
      tables: 't',
      cdcMode: 'long_polling',
      pollIntervalMs: 10,
      ...options,
    } as SourceOptions
  }

  /** The records of one complete poll. */
  async next(options: Partial<SourceOptions> = {}): Promise<SourceRecord[]> {
    const { position } = this
    const { records, batches } = await readToCurrent({ ...this.#options, ...options, position } as SourceOptions)
    this.position = batches.at(-1)?.position.toJSON() ?? position
    this.records.push(...records)
    requireOrder(this.records)
    return records
  }

  /** Of one table's state in the position. */
  stateOf(table: string): Record<string, unknown> {
    const { tables } = this.position!.polling as { readonly tables: Record<string, Record<string, unknown>> }
    return tables[table]!
  }
}
