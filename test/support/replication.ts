import { expect } from 'vitest'
import type { EmbeddedPostgres } from '../../src/cli/embedded/server.js'
import type { DestinationOptions } from '../../src/destination/options.js'
import { PostgresDestination } from '../../src/destination/postgresDestination.js'
import type { Batch } from '../../src/source/batch.js'
import type { SourceOptions } from '../../src/source/options.js'
import { PostgresSource } from '../../src/source/postgresSource.js'
import { type TestDatabase, testDatabase } from './database.js'

export interface ReplicationOptions {
  readonly source?: Partial<SourceOptions>
  readonly destination?: Partial<DestinationOptions>
  /** Instead of one of these settings. */
  readonly writing?: PostgresDestination
  /** Called before each batch is written. */
  readonly onBatch?: (batch: Batch) => Promise<unknown> | undefined
}

/** Two databases, and a run from one to the other whenever it is asked for: each goes on where the last one stopped. */
export class Replication implements AsyncDisposable {
  readonly from: TestDatabase
  readonly to: TestDatabase
  readonly #tables: string

  /** `sql` makes the tables on both sides, unless the target has SQL of its own. */
  static async between(
    source: EmbeddedPostgres,
    target: EmbeddedPostgres,
    tables: string,
    sql: string,
    targetSql = sql,
  ): Promise<Replication> {
    const from = await testDatabase(source, sql)
    from.expectSlots = true
    return new Replication(from, await testDatabase(target, targetSql), tables)
  }

  private constructor(from: TestDatabase, to: TestDatabase, tables: string) {
    this.from = from
    this.to = to
    this.#tables = tables
  }

  destination(options: Partial<DestinationOptions> = {}): PostgresDestination {
    return new PostgresDestination({ url: this.to.url, source: 'test', ...options })
  }

  /** Everything committed so far. */
  async run({ source, destination, onBatch, ...given }: ReplicationOptions = {}): Promise<void> {
    await using writing = given.writing ?? this.destination(destination)
    const position = await writing.open()
    await using reading = new PostgresSource({
      ...{ url: this.from.url, tables: this.#tables, slot: this.from.name, until: 'current', position },
      ...source,
    } as SourceOptions)
    for await (const batch of reading) {
      await onBatch?.(batch)
      if (await writing.write(batch)) await batch.ack()
    }
  }

  /** Runs, then expects both sides to have the same rows, as many times each. */
  async expectSame(tables: string, options: ReplicationOptions = {}): Promise<void> {
    await this.run(options)
    for (const table of tables.split(' ')) expect(await rowsOf(this.to, table)).toEqual(await rowsOf(this.from, table))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.to[Symbol.asyncDispose]()
    await this.from[Symbol.asyncDispose]()
  }
}

/** A table's rows as text, in one order. */
export async function rowsOf(db: TestDatabase, table: string): Promise<string[]> {
  const rows = await db.query<{ row: string }>(`SELECT t::text AS row FROM ${table} t ORDER BY 1`)
  return rows.map(({ row }) => row)
}

/** How a run ends in error; undefined when it does not. */
export function failureOf(
  run: Promise<unknown>,
): Promise<{ readonly code: string; readonly message: string; readonly hint: string } | undefined> {
  return run.then(
    () => undefined,
    (error) => error,
  )
}
