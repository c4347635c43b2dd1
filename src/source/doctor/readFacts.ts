import { TailraceError } from '../../core/tailraceError.js'
import { listRelations } from '../../postgres/catalog/relations.js'
import { identifySystem, serverFacts } from '../../postgres/catalog/server.js'
import { captureFacts, readSurroundings } from '../../postgres/catalog/surroundings.js'
import { describeTables } from '../../postgres/catalog/tables.js'
import { type ConnectionOptions, describeConnection } from '../../postgres/connectionString.js'
import { inspectPublication } from '../../postgres/publication.js'
import type { Queryable } from '../../postgres/queryable.js'
import { walSenderTimeoutMs } from '../../postgres/replication/walSenderTimeout.js'
import { slotCreationHolders } from '../../postgres/runningTransactions.js'
import { Session } from '../../postgres/session.js'
import { listSlots } from '../../postgres/slotList.js'
import type { ParsedOptions } from '../options.js'
import { DEFAULT_PUBLICATION } from '../publications.js'
import { chooseKeys, chooseWhatCanBe } from './chooseWhatCanBe.js'
import {
  type Attempt,
  type ConnectionFacts,
  type DatabaseFacts,
  type DoctorFacts,
  knownOf,
  type SessionFacts,
  type TableFacts,
} from './facts.js'
import { detectPlatform, type Platform } from './platform.js'

/** A session in which the server refuses whatever would write. */
export function connectReadOnly(options: ConnectionOptions): Promise<Session> {
  return Session.connect(options, { settings: { default_transaction_read_only: 'on', row_security: 'off' } })
}

export interface ReadWishes {
  /** Of a run; its tables only where {@link tablesNamed}. */
  readonly options: ParsedOptions
  readonly tablesNamed: boolean
  /** Said by hand. Default: detected. */
  readonly platform?: Platform | undefined
}

/** Looks at everything, whatever of it fails; changes nothing. */
export async function readFacts({ options, tablesNamed, platform }: ReadWishes): Promise<DoctorFacts> {
  const { slot, keyless } = options
  // As a run chooses: without a slot it makes one of a name of its own.
  const publication = options.publication ?? (slot === undefined ? undefined : DEFAULT_PUBLICATION)
  const wishes = { slot, publication, keyless }
  // At once, since each may wait for a server that does not answer.
  const [replication, ordinary] = await Promise.all([
    lookAtReplication(options.replication),
    attempt(() => connectReadOnly(options.connection)),
  ])
  const session = knownOf(ordinary)
  if (session === undefined) {
    const signs = { host: hostOf(options.connection), settingPrefixes: [], roles: [], aurora: false }
    return {
      platform: platform ?? detectPlatform(signs),
      ordinary: way(options.connection, ordinary as Attempt<never>),
      replication,
      wishes,
      database: undefined,
    }
  }
  await using _ = session
  const facts = await attempt(() => lookAtSession(session))
  const database = await lookAtDatabase(session, options, publication, tablesNamed)
  const { settingPrefixes = [], roles = [], aurora = false } = knownOf(database.surroundings) ?? {}
  return {
    platform: platform ?? detectPlatform({ host: hostOf(options.connection), settingPrefixes, roles, aurora }),
    ordinary: way(options.connection, facts),
    replication,
    wishes,
    database,
  }
}

/** Of several the first: they are of one platform. */
function hostOf({ hosts: [first] }: ConnectionOptions): string {
  return first!.name || (first!.address ?? '')
}

function way(options: ConnectionOptions, found: Attempt<SessionFacts>): ConnectionFacts {
  const { hosts, database, user } = options
  return {
    host: hostOf(options),
    port: hosts[0]!.port,
    database,
    user,
    to: describeConnection(options),
    attempt: found,
  }
}

async function lookAtReplication(options: ConnectionOptions): Promise<DoctorFacts['replication']> {
  const connected = await attempt(() => Session.connect(options, { replication: true }))
  const session = knownOf(connected)
  if (session === undefined) return { ...way(options, connected as Attempt<never>), walSenderTimeoutMs: undefined }
  await using _ = session
  const facts = await attempt(async () => {
    const { systemIdentifier } = await identifySystem(session)
    return { ...(await lookAtSession(session)), systemIdentifier }
  })
  const timeout = await attempt(() => walSenderTimeoutMs(session))
  return { ...way(options, facts), walSenderTimeoutMs: knownOf(timeout) }
}

async function lookAtSession(session: Session): Promise<SessionFacts> {
  const [row] = await session.query<{ pid: number }>('SELECT pg_catalog.pg_backend_pid() AS pid')
  return { announcedPid: session.processId, backendPid: row!.pid, systemIdentifier: undefined }
}

async function lookAtDatabase(
  queryable: Queryable,
  options: ParsedOptions,
  publication: string | undefined,
  tablesNamed: boolean,
): Promise<DatabaseFacts> {
  const server = await attempt(() => serverFacts(queryable))
  return {
    now: new Date(),
    server,
    surroundings: await attempt(() => readSurroundings(queryable)),
    slots: await attempt(() => listSlots(queryable)),
    transactions: await attempt(() => slotCreationHolders(queryable)),
    tables: tablesNamed ? await attempt(() => lookAtTables(queryable, options)) : undefined,
    publications: await attempt(async () => ({
      all: publication === undefined ? undefined : await inspectPublication(queryable, publication),
      inserts: publication === undefined ? undefined : await inspectPublication(queryable, `${publication}_inserts`),
    })),
  }
}

async function lookAtTables(queryable: Queryable, options: ParsedOptions): Promise<TableFacts> {
  const mistakes: TailraceError[] = []
  const chosen = chooseWhatCanBe(await listRelations(queryable), options, mistakes)
  const oids = chosen.map(({ oid }) => oid)
  const tables = await describeTables(queryable, oids)
  const keys = chooseKeys(tables, options, mistakes)
  return { mistakes, tables, capture: await captureFacts(queryable, oids), keys }
}

async function attempt<T>(work: () => Promise<T>): Promise<Attempt<T>> {
  try {
    return { value: await work() }
  } catch (error) {
    if (error instanceof TailraceError) return { error }
    throw error // a fault of ours
  }
}
