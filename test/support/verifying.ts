import type { EmbeddedPostgres } from '../../src/cli/embedded/server.js'
import type { VerifyOptions } from '../../src/verify/options.js'
import { type Difference, type TableReport, type Verdict, verdictOf } from '../../src/verify/report.js'
import { type VerifyHooks, verify } from '../../src/verify/verify.js'
import { type TestDatabase, testDatabase } from './database.js'

/** A source and its copy: `await using pair = await databasePair(server, 'CREATE TABLE …')`. */
export class DatabasePair implements AsyncDisposable {
  readonly source: TestDatabase
  readonly target: TestDatabase

  constructor(source: TestDatabase, target: TestDatabase) {
    this.source = source
    this.target = target
  }

  /** On both sides. */
  async query(sql: string): Promise<void> {
    await Promise.all([this.source.client.query(sql), this.target.client.query(sql)])
  }

  /** Where nothing writes, unless told otherwise: differences need not stand still. */
  async verify(tables: string, options: Partial<VerifyOptions> = {}, hooks: VerifyHooks = {}): Promise<Verified[]> {
    const places = { source: this.source.url, target: this.target.url, tables }
    const report = await verify({ ...places, settleSeconds: 0, ...options }, hooks)
    return report.tables.map((table) => ({ ...table, verdict: verdictOf(table) }))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.source[Symbol.asyncDispose]()
    await this.target[Symbol.asyncDispose]()
  }
}

export interface Verified extends TableReport {
  readonly verdict: Verdict
}

/** Two databases, with `sql` run in the source and `targetSql` (else the same) in the target. */
export async function databasePair(
  servers: EmbeddedPostgres | readonly [EmbeddedPostgres, EmbeddedPostgres],
  sql: string,
  targetSql = sql,
): Promise<DatabasePair> {
  const [one, other] = Array.isArray(servers) ? servers : [servers, servers]
  const source = await testDatabase(one, sql)
  try {
    return new DatabasePair(source, await testDatabase(other, targetSql))
  } catch (error) {
    await source[Symbol.asyncDispose]()
    throw error
  }
}

/** `missing {"id":"5"}`, in no particular order of the servers'. */
export function told(differences: readonly Difference[]): string[] {
  return differences.map(({ kind, key }) => `${kind} ${JSON.stringify(key)}`).sort()
}
