import { SETTING_INVALID, STANDBY_CANNOT_DECODE, TABLE_NOT_FOUND, WAL_LEVEL } from '../core/errors.js'
import type { Table } from '../core/table.js'
import type { TailraceError } from '../core/tailraceError.js'
import { JSON_CAST_NOT_USED, NEW_PARTITIONS_LACK_IDENTITY, TABLE_LEFT_OUT, type Warning } from '../core/warnings.js'
import type { GeneratedColumns } from '../postgres/catalog/identity.js'
import { readingObstacle } from '../postgres/catalog/readability.js'
import { type ServerFacts, serverFacts } from '../postgres/catalog/server.js'
import { type CatalogTable, describeTables, findTables } from '../postgres/catalog/tables.js'
import { TypeDefinitions } from '../postgres/catalog/typeDefinitions.js'
import { jsonCastsIn, nameOf, TypeCatalog } from '../postgres/catalog/types.js'
import { sqlName } from '../postgres/identifier.js'
import { inspectPublication } from '../postgres/publication.js'
import type { Queryable } from '../postgres/queryable.js'
import { FAILOVER_SLOTS } from '../postgres/replication/failoverSlot.js'
import { DECODES_ON_STANDBYS } from '../postgres/standby.js'
import { type PlannedTable, type PlanWishes, planCapture } from './capturePlan.js'
import type { SourceEvent } from './events.js'
import type { ParsedOptions } from './options.js'
import { compileCatalogTable, loadTypes } from './snapshotTable.js'
import { requireSameDatabase } from './start.js'
import type { CompilerOptions } from './streamedTable.js'

/** What a run knows before it changes anything on the server. */
export interface Prepared {
  readonly facts: ServerFacts
  readonly planned: readonly PlannedTable[]
  readonly compiler: CompilerOptions
  readonly generated: GeneratedColumns
  /** Wanted, and left out as `keyless: skip` says; by OID, with why. */
  readonly leftOut: ReadonlyMap<number, Warning>
}

/** What was read of the server a moment ago. */
export interface Found {
  readonly facts: ServerFacts
  tables?: CatalogTable[]
}

/** `publication`: the name of the one that will be used, if it may exist already; `found`: need not be read again. */
export async function prepare(
  queryable: Queryable,
  options: ParsedOptions,
  publication: string | undefined,
  found?: Found,
): Promise<Prepared> {
  const facts = found?.facts ?? (await serverFacts(queryable))
  if (options.position !== undefined) requireSameDatabase(options.position, facts)
  const polling = options.cdcMode === 'long_polling'
  const decodes = options.snapshot !== 'only' && !polling
  if (decodes && facts.inRecovery && facts.version < DECODES_ON_STANDBYS) {
    throw STANDBY_CANNOT_DECODE({ version: facts.versionText })
  }
  if (options.failoverSlot && !polling && facts.version < FAILOVER_SLOTS) {
    const problem = `the server is PostgreSQL ${facts.versionText}, and standbys keep copies of slots from 17 on`
    throw SETTING_INVALID({ name: 'failoverSlot', value: true, problem })
  }
  if (decodes && facts.walLevel !== 'logical') throw WAL_LEVEL({ found: facts.walLevel })
  const tables = found?.tables ?? (await findTables(queryable, options.include, options.excluded))
  const generated = await generatedColumns(queryable, facts, publication)
  const leftOut = new Map<number, Warning>()
  let refused: TailraceError | undefined
  const onLeftOut = (table: CatalogTable, refusal: TailraceError) => {
    refused = refusal
    leftOut.set(table.oid, TABLE_LEFT_OUT({ table: sqlName(table), sql: String(refusal.details.sql) }))
  }
  const planned = plan(tables, options, facts, generated, { onLeftOut })
  if (refused !== undefined && planned.length === 0) throw refused
  if (options.snapshot !== 'never' || options.toast === 'fetch' || polling) {
    const wanted = planned.map(({ table }) => table)
    const obstacle = readingObstacle(wanted, facts.user)
    if (obstacle !== undefined) throw obstacle
  }
  const { bigNumbers, bytea, timestamps } = options
  return {
    facts,
    generated,
    planned,
    leftOut,
    compiler: {
      types: new TypeCatalog(queryable),
      definitions: new TypeDefinitions(queryable),
      codecs: { bigNumbers, bytea, timestamps },
    },
  }
}

/** What may go wrong later, for the application too, and is said at start. */
export function warnings({ planned, leftOut }: Pick<Prepared, 'planned' | 'leftOut'>): SourceEvent[] {
  const lacking = planned.filter(({ key }) => key.newPartitionsLackIdentity)
  return [...leftOut.values(), ...lacking.map(({ table }) => NEW_PARTITIONS_LACK_IDENTITY({ table: sqlName(table) }))]
}

/** The tables once more, now that they are locked: their columns cannot change any more. */
export async function planAgain(
  queryable: Queryable,
  options: ParsedOptions,
  { facts, generated, planned, leftOut }: Prepared,
): Promise<readonly PlannedTable[]> {
  const wanted = planned.map(({ table }) => table)
  const tables = await describeTables(
    queryable,
    wanted.map(({ oid }) => oid),
  )
  const gone = wanted.filter((table) => !tables.some(({ oid }) => oid === table.oid))
  if (gone.length > 0) throw TABLE_NOT_FOUND({ names: gone.map(sqlName), nearest: [] })
  return plan(tables, options, facts, generated, { someOnly: leftOut.size > 0 })
}

/**
 * Keys and columns of these tables; `someOnly`: others are captured beside them. Tables may be left out only where
 * `onLeftOut` is told: else they are refused.
 */
export function plan(
  tables: Parameters<typeof planCapture>[0],
  { columns, keys, keyless, snapshot, cdcMode }: ParsedOptions,
  { version }: ServerFacts,
  generated: GeneratedColumns,
  { someOnly = false, onLeftOut }: Pick<PlanWishes, 'someOnly' | 'onLeftOut'> = {},
): PlannedTable[] {
  // A snapshot alone asks nothing of the replica identity, nor does polling.
  const asked = keyless === 'skip' && onLeftOut === undefined ? 'refuse' : keyless
  const policy = snapshot === 'only' || cdcMode === 'long_polling' ? 'inserts' : asked
  return planCapture(tables, { columns, keys, keyless: policy, generated, serverVersion: version, someOnly, onLeftOut })
}

/** Publications of ours carry them where the server can; one that is there already may not. */
export async function generatedColumns(
  queryable: Queryable,
  { version }: ServerFacts,
  name: string | undefined,
): Promise<GeneratedColumns> {
  const existing = name === undefined ? undefined : await inspectPublication(queryable, name)
  if (existing !== undefined) return existing.generatedColumns
  return version >= 180000 ? 'stored' : 'none'
}

/** Compiles the tables; types that only the server could make JSON of are told. */
export async function compileTables(
  planned: readonly PlannedTable[],
  compiler: CompilerOptions,
  emit: (event: SourceEvent) => void,
): Promise<Map<number, Table>> {
  await loadTypes(planned, compiler)
  const casts = new Map<string, string>()
  for (const { table } of planned) {
    for (const { typeOid } of table.columns) {
      for (const type of jsonCastsIn(compiler.types.get(typeOid)!)) casts.set(nameOf(type), type.jsonCast!)
    }
  }
  for (const [type, cast] of casts) {
    emit(JSON_CAST_NOT_USED({ type, cast }))
  }
  return new Map(planned.map((one) => [one.table.oid, compileCatalogTable(one, compiler)]))
}
