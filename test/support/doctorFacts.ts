import type { ServerFacts } from '../../src/postgres/catalog/server.js'
import type { Surroundings } from '../../src/postgres/catalog/surroundings.js'
import type { CatalogTable } from '../../src/postgres/catalog/tables.js'
import type { Publication } from '../../src/postgres/publication.js'
import type { DatabaseFacts, DoctorFacts, TableFacts } from '../../src/source/doctor/facts.js'
import type { Finding } from '../../src/source/doctor/finding.js'

const GB = 1024 ** 3

const server: ServerFacts = {
  version: 180006,
  versionText: '18.6',
  systemIdentifier: '7',
  timeline: 1,
  inRecovery: false,
  walLevel: 'logical',
  walSenderTimeoutMs: 60_000,
  maxSlotWalKeepBytes: 50 * GB,
  logicalDecodingWorkMemBytes: 64 * 1024 * 1024,
  walSegmentBytes: 16 * 1024 * 1024,
  maxReplicationSlots: 10,
  usedReplicationSlots: 1,
  maxWalSenders: 10,
  usedWalSenders: 1,
  database: 'shop',
  encoding: 'UTF8',
  lcMonetary: 'C',
  user: 'app',
  superuser: false,
  mayReplicate: true,
  bypassesRowSecurity: false,
  insertLsn: 1n,
  writtenLsn: 1n,
  flushedLsn: 1n,
}

const surroundings: Surroundings = {
  settingPrefixes: [],
  roles: [],
  aurora: false,
  mayCreate: true,
  idleSlotTimeoutSeconds: 0,
  maxPreparedTransactions: 0,
}

const way = {
  host: 'db',
  port: 5432,
  database: 'shop',
  user: 'app',
  to: 'postgres://app@db:5432/shop',
  attempt: { value: { announcedPid: 7, backendPid: 7, systemIdentifier: '7' } },
}

export interface FactChanges {
  readonly platform?: DoctorFacts['platform']
  readonly ordinary?: Partial<DoctorFacts['ordinary']>
  readonly replication?: Partial<DoctorFacts['replication']>
  readonly wishes?: Partial<DoctorFacts['wishes']>
  readonly server?: Partial<ServerFacts>
  readonly surroundings?: Partial<Surroundings>
  readonly database?: Partial<DatabaseFacts>
  readonly tables?: readonly CatalogTable[]
  readonly capture?: TableFacts['capture']
  readonly mistakes?: TableFacts['mistakes']
  readonly publication?: Publication
  readonly inserts?: Publication
}

/** A server on which everything is as it should be, but for the changes. */
export function doctorFacts(changes: FactChanges = {}): DoctorFacts {
  const { tables = [], mistakes = [] } = changes
  const owned = new Map(tables.map(({ oid }) => [oid, { owned: true, toastable: [] }]))
  return {
    platform: changes.platform ?? 'postgres',
    ordinary: { ...way, ...changes.ordinary },
    replication: { ...way, walSenderTimeoutMs: undefined, ...changes.replication },
    wishes: { slot: undefined, publication: undefined, keyless: 'refuse', ...changes.wishes },
    database: {
      now: new Date('2026-11-21T12:00:00Z'),
      server: { value: { ...server, ...changes.server } },
      surroundings: { value: { ...surroundings, ...changes.surroundings } },
      slots: { value: [] },
      transactions: { value: [] },
      tables: { value: { mistakes, tables, capture: changes.capture ?? owned, keys: new Map() } },
      publications: { value: { all: changes.publication, inserts: changes.inserts } },
      ...changes.database,
    },
  }
}

/** The findings of these codes (of their beginnings). */
export function withCode(findings: readonly Finding[], code: string): Finding[] {
  return findings.filter((one) => one.code.startsWith(code))
}

/** What can be copied and run. */
export function mendText({ mend }: Finding): string {
  return mend.map(({ text }) => text).join('\n')
}
