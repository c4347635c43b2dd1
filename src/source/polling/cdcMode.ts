import { POSITION_OTHER_MODE, SETTING_INVALID } from '../../core/errors.js'
import { LOGICAL_UNAVAILABLE } from '../../core/warnings.js'
import { identifySystem, type ServerFacts, serverFacts } from '../../postgres/catalog/server.js'
import { findTables } from '../../postgres/catalog/tables.js'
import { quoteIdentifier, sqlName } from '../../postgres/identifier.js'
import { inspectPublication } from '../../postgres/publication.js'
import { describeCause, isTransient } from '../../postgres/serverError.js'
import type { Found } from '../preparation.js'
import { DEFAULT_PUBLICATION } from '../publications.js'
import type { RunContext } from '../runContext.js'

export interface ChosenMode {
  readonly mode: 'logical' | 'long_polling'
  /** Read for that, a moment ago. */
  readonly found?: Found | undefined
}

/** How this run finds changes. `auto` goes on as its position began, and else has logical replication if it can be had. */
export async function chooseMode(context: RunContext): Promise<ChosenMode> {
  const { cdcMode, position, snapshot, until } = context.options
  const polled = position?.place.polling !== undefined
  if (cdcMode === 'logical' && polled) throw POSITION_OTHER_MODE({ expected: 'long_polling', found: 'logical' })
  // All rows once are read the same way in every mode.
  if (snapshot === 'only' && !polled) return { mode: 'logical' }
  if (cdcMode !== 'auto') return { mode: cdcMode }
  if (position !== undefined) return { mode: polled ? 'long_polling' : 'logical' }
  const facts = await serverFacts(context.connections.control)
  const found: Found = { facts }
  const obstacle = await logicalObstacle(context, facts, found)
  if (obstacle === undefined) return { mode: 'logical', found }
  await context.connections.letGo()
  if (until !== undefined && until !== 'current') {
    throw SETTING_INVALID({ name: 'until', value: undefined, problem: `long polling knows no LSN, and ${obstacle}` })
  }
  context.emit(LOGICAL_UNAVAILABLE({ obstacle }))
  return { mode: 'long_polling' }
}

/** Why changes cannot be had by logical replication; undefined when they can. A passing trouble is thrown. */
async function logicalObstacle(context: RunContext, facts: ServerFacts, found: Found): Promise<string | undefined> {
  const obstacle = serverObstacle(facts)
  if (obstacle !== undefined) return obstacle
  const both = [connectionObstacle(context, facts), publicationObstacle(context, facts, found)]
  const [connection, publication] = await Promise.all(both)
  return connection ?? publication
}

function serverObstacle({ walLevel, inRecovery, version, maxReplicationSlots, maxWalSenders }: ServerFacts) {
  if (inRecovery && version < 160000) return 'the server is a standby, which can decode since PostgreSQL 16 only'
  if (walLevel !== 'logical') return `wal_level is "${walLevel}", not "logical"`
  if (maxReplicationSlots === 0) return 'max_replication_slots is 0'
  if (maxWalSenders === 0) return 'max_wal_senders is 0'
  return undefined
}

/** A pooler may refuse a replication connection, or give an ordinary one for it. */
async function connectionObstacle(
  { options, connections }: RunContext,
  facts: ServerFacts,
): Promise<string | undefined> {
  if (!facts.mayReplicate && options.replication.user === facts.user) {
    return `role ${quoteIdentifier(facts.user)} has no REPLICATION privilege`
  }
  try {
    const session = await connections.replication()
    try {
      await identifySystem(session)
    } catch (error) {
      await session.close()
      throw error
    }
    connections.keep(session)
    return undefined
  } catch (error) {
    const pooler = /unsupported startup parameter/i.test(describeCause(error))
    if (isTransient(error) && !pooler) throw error
    return `${pooler ? 'a connection pooler stands in between' : 'there is no replication connection'}: ${describeCause(error)}`
  }
}

async function publicationObstacle(
  { options, connections }: RunContext,
  { inRecovery }: ServerFacts,
  found: Found,
): Promise<string | undefined> {
  const { control } = connections
  const name = options.publication ?? (options.slot === undefined ? undefined : DEFAULT_PUBLICATION)
  if (name !== undefined && (await inspectPublication(control, name)) !== undefined) return undefined
  if (inRecovery) return 'the server is a standby, where no publication can be made, and there is none to use'
  const tables = await findTables(control, options.include, options.excluded)
  found.tables = tables
  const [row] = await control.query<{ may_create: boolean; foreign: string[] }>(
    `SELECT pg_catalog.has_database_privilege(pg_catalog.current_database(), 'CREATE') AS may_create,
            ARRAY(SELECT o.name FROM pg_catalog.unnest($1::pg_catalog.text[]) AS o (name)
                   WHERE NOT pg_catalog.pg_has_role(o.name::pg_catalog.name, 'USAGE')) AS foreign`,
    [tables.map(({ owner }) => owner)],
  )
  if (!row!.may_create) return 'the role may not make a publication in this database (CREATE), and there is none to use'
  const other = tables.find(({ owner }) => row!.foreign.includes(owner))
  if (other === undefined) return undefined
  return `the role does not own table ${sqlName(other)}, so it cannot be put into a publication, and there is none to use`
}
