import type { TailraceError } from '../../../core/tailraceError.js'
import { type ConnectionFacts, type DoctorFacts, errorOf, knownOf } from '../facts.js'
import { advice, type Finding, verdicts } from '../finding.js'
import { directConnectionMend, hbaMend, replicationPrivilegeMend, settingMend } from '../mends.js'
import { detectPooler, type Pooler } from '../platform.js'

const { ok, problem, warning } = verdicts('connection')

const READS = 'An ordinary connection reads the catalog, the snapshot and makes the publication.'
const REPLICATES = 'Changes come over a replication connection, which the server lets in by rules of its own.'

/** Both ways to the server, and what stands in them. */
export function connectionFindings(facts: DoctorFacts): Finding[] {
  return [ordinaryWay(facts), replicationWay(facts), ...poolers(facts), ...oneServer(facts)]
}

function ordinaryWay({ ordinary }: DoctorFacts): Finding {
  const error = errorOf(ordinary.attempt)
  if (error === undefined) return ok({ code: 'CONNECTION', found: `connected to ${ordinary.to}`, why: READS })
  return problem({
    code: 'CONNECTION',
    found: `${error.message}`,
    why: READS,
    mend: [poolerOf(ordinary) === undefined ? advice(error.hint) : undefined],
  })
}

function replicationWay({ replication, platform }: DoctorFacts): Finding {
  const code = 'REPLICATION_CONNECTION'
  const error = errorOf(replication.attempt)
  if (error === undefined) {
    return ok({ code, found: `replication connection to ${replication.to}`, why: REPLICATES })
  }
  const refused = (suffix: string, mend: Finding['mend']) =>
    problem({ code: `${code}${suffix}`, found: error.message, why: REPLICATES, mend })
  const { sqlstate, text } = refusalOf(error)
  if (sqlstate === '42501') return refused('_PRIVILEGE', replicationPrivilegeMend(platform, replication.user))
  if (/no pg_hba\.conf entry|pg_hba\.conf rejects/.test(text)) return refused('_HBA', hbaMend(platform, replication))
  if (sqlstate === '53300' && text.includes('max_wal_senders')) {
    const wanted = { name: 'max_wal_senders', value: '10', restart: true }
    return refused('_SENDERS', settingMend(platform, wanted))
  }
  return refused('', poolerOf(replication) === undefined ? [advice(error.hint)] : [])
}

/** The server's own words, wherever they stand in the error. */
function refusalOf(error: TailraceError): { sqlstate: string | undefined; text: string } {
  const { sqlstate } = error.details as { sqlstate?: string }
  const said = /\[SQLSTATE (\w{5})\]/.exec(error.message)?.[1]
  return { sqlstate: sqlstate ?? said, text: error.message }
}

function poolerOf({ host, port, attempt }: ConnectionFacts): Pooler | undefined {
  const session = knownOf(attempt)
  return detectPooler({
    host,
    port,
    announcedPid: session?.announcedPid,
    backendPid: session?.backendPid,
    refusal: errorOf(attempt)?.message,
  })
}

function poolers({ ordinary, replication, platform }: DoctorFacts): Finding[] {
  const between = poolerOf(replication)
  const beside = poolerOf(ordinary)
  const why =
    'A pooler hands its connections round, while a slot, an exported snapshot and its locks belong to one session of the server.'
  if (between === undefined && beside === undefined) {
    if (errorOf(ordinary.attempt) !== undefined && errorOf(replication.attempt) !== undefined) return []
    return [ok({ code: 'POOLER', found: 'no connection pooler is seen in between', why })]
  }
  const findings: Finding[] = []
  if (between !== undefined) {
    findings.push(
      problem({
        code: 'POOLER',
        found: `${between.name} stands before ${replication.to}, where replication goes`,
        why,
        mend: directConnectionMend(platform, between.directHost),
      }),
    )
  }
  if (beside !== undefined && ordinary.to !== replication.to) {
    const { transactionMode, name, directHost } = beside
    findings.push(
      (transactionMode ? problem : warning)({
        code: 'POOLER_ORDINARY',
        found: `${name} stands before ${ordinary.to}${transactionMode ? ', in transaction mode' : ''}`,
        why: transactionMode ? why : 'In session mode a pooler does for the snapshot; in transaction mode it fails.',
        mend: directConnectionMend(platform, directHost),
      }),
    )
  }
  return findings
}

/** Two URLs may lead to two servers. */
function oneServer({ ordinary, replication, database }: DoctorFacts): Finding[] {
  const here = knownOf(database?.server)?.systemIdentifier
  const there = knownOf(replication.attempt)?.systemIdentifier
  if (here === undefined || there === undefined || ordinary.to === replication.to) return []
  const code = 'SAME_SERVER'
  const why = 'LSNs of two servers must not be compared: the snapshot and the stream would not fit together.'
  if (here === there && ordinary.database === replication.database) {
    return [ok({ code, found: 'both URLs lead to the same database of the same server', why })]
  }
  const found =
    here === there
      ? `the replication URL leads to database "${replication.database}", the other to "${ordinary.database}"`
      : `the URLs lead to two servers: system identifiers ${here} and ${there}`
  return [problem({ code, found, why, mend: [advice('Give a replication URL of the same server and database.')] })]
}
