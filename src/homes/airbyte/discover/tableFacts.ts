import { TailraceError } from '../../../core/tailraceError.js'
import { chooseKeyByPolicy } from '../../../postgres/catalog/keyChoice.js'
import { readingObstacle } from '../../../postgres/catalog/readability.js'
import { listRelations, type Relation } from '../../../postgres/catalog/relations.js'
import { type ServerFacts, serverFacts } from '../../../postgres/catalog/server.js'
import { type CatalogTable, describeTables } from '../../../postgres/catalog/tables.js'
import { TypeCatalog } from '../../../postgres/catalog/types.js'
import type { Queryable } from '../../../postgres/queryable.js'
import { type PlannedTable, planCapture } from '../../../source/capturePlan.js'
import { generatedColumns } from '../../../source/preparation.js'
import type { AirbyteConfig } from '../config/readConfig.js'

/** A table, and in which ways it can be read. */
export interface TableFacts {
  readonly table: CatalogTable
  /** Key and columns; of a table whose changes cannot be captured those of a snapshot. */
  readonly planned: PlannedTable
  /** Why its rows cannot be read. */
  readonly unreadable: TailraceError | undefined
  /** Why its changes cannot be captured. */
  readonly refusal: TailraceError | undefined
  /** Why another key than the table's cannot be had; undefined when it can. */
  readonly keyProblem: (key: readonly string[]) => TailraceError | undefined
}

export interface DatabaseFacts {
  readonly server: ServerFacts
  readonly relations: readonly Relation[]
  readonly types: TypeCatalog
}

export async function databaseFacts(queryable: Queryable): Promise<DatabaseFacts> {
  const server = await serverFacts(queryable)
  return { server, relations: await listRelations(queryable), types: new TypeCatalog(queryable) }
}

/** The facts of these relations, in a few queries, however many they are. */
export async function factsOf(
  queryable: Queryable,
  { server, types }: DatabaseFacts,
  config: Pick<AirbyteConfig, 'publication_name' | 'source'>,
  relations: readonly Relation[],
): Promise<TableFacts[]> {
  const tables = await describeTables(
    queryable,
    relations.map(({ oid }) => oid),
  )
  await types.load(tables.flatMap(({ columns }) => columns.map(({ typeOid }) => typeOid)))
  const generated = await generatedColumns(queryable, server, config.publication_name)
  const wishes = { columns: [], keys: [], generated, serverVersion: server.version }
  const { keyless = 'refuse' } = config.source
  return tables.map((table) => {
    const plan = (policy: 'refuse' | 'inserts') => planCapture([table], { ...wishes, keyless: policy })[0]!
    const unreadable = readingObstacle([table], server.user)
    const keyProblem = (key: readonly string[]) => {
      const choice = chooseKeyByPolicy(table, { key, keyless, generated, serverVersion: server.version })
      return 'refusal' in choice ? choice.refusal : undefined
    }
    try {
      return {
        table,
        planned: plan(keyless === 'inserts' ? keyless : 'refuse'),
        unreadable,
        refusal: undefined,
        keyProblem,
      }
    } catch (refusal) {
      if (!(refusal instanceof TailraceError)) throw refusal
      return { table, planned: plan('inserts'), unreadable, refusal, keyProblem }
    }
  })
}
