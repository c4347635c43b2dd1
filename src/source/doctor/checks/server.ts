import { describeSeconds } from '../../../core/quantity.js'
import type { ServerFacts } from '../../../postgres/catalog/server.js'
import type { Surroundings } from '../../../postgres/catalog/surroundings.js'
import { sqlstateOf } from '../../../postgres/serverError.js'
import { type DoctorFacts, errorOf, knownOf } from '../facts.js'
import { advice, type Finding, verdicts } from '../finding.js'
import { faultsOf } from '../knownFaults.js'
import { replicationPrivilegeMend, settingMend, upgradeMend } from '../mends.js'
import type { Platform } from '../platform.js'

const { ok, problem, warning } = verdicts('server')

const OLDEST = 14
const NEWEST = 18

/** What the server is, and how it is set. */
export function serverFindings(facts: DoctorFacts): Finding[] {
  const { database, platform, replication } = facts
  if (database === undefined) return []
  const error = errorOf(database.server)
  const server = knownOf(database.server)
  const surroundings = knownOf(database.surroundings)
  if (server === undefined) {
    const why = 'Every run reads these facts first.'
    return [problem({ code: 'SERVER', found: error!.message, why, mend: [advice(error!.hint)] })]
  }
  return [
    version(server),
    ...knownFaults(server, platform),
    walLevel(server, platform),
    standby(server),
    ...replicationPrivilege(server, facts),
    senderTimeout(replication.walSenderTimeoutMs ?? server.walSenderTimeoutMs, platform),
    ...(surroundings === undefined ? [] : idleSlotTimeout(surroundings, platform)),
  ]
}

function version({ version: number, versionText }: ServerFacts): Finding {
  const major = Math.floor(number / 10_000)
  const code = 'VERSION'
  const found = `PostgreSQL ${versionText}`
  const why = `Tailrace is made for, and tested with, PostgreSQL ${OLDEST} to ${NEWEST}.`
  if (major < OLDEST) {
    return problem({ code, found, why, mend: [advice(`Upgrade the server to PostgreSQL ${OLDEST} or later.`)] })
  }
  if (major > NEWEST) return warning({ code, found, why, mend: [advice('Look for a newer tailrace.')] })
  return ok({ code, found, why })
}

function knownFaults({ version: number, versionText }: ServerFacts, platform: Platform): Finding[] {
  const major = Math.floor(number / 10_000)
  const faults = faultsOf(number)
  if (faults.length === 0) {
    if (major < OLDEST || major > NEWEST) return []
    const found = `no fault of ${versionText} that loses changes is known to us`
    return [ok({ code: 'KNOWN_FAULTS', found, why: 'Some minor versions lose changes, or cannot decode them.' })]
  }
  return faults.map(({ code, fixedIn, what, losesChanges }) => {
    const fixed = `${major}.${fixedIn[major]}`
    return warning({
      code,
      found: `PostgreSQL ${versionText}: ${what} (mended in ${fixed})`,
      why: losesChanges ? 'Changes may be lost in the server, unseen by any reader.' : 'The stream may stop for good.',
      mend: upgradeMend(platform, fixed),
    })
  })
}

function walLevel({ walLevel: found }: ServerFacts, platform: Platform): Finding {
  const judged = {
    code: 'WAL_LEVEL',
    found: `wal_level is ${found}`,
    why: 'Only with "logical" does the WAL hold what changes are decoded from.',
  }
  if (found === 'logical') return ok(judged)
  return problem({ ...judged, mend: settingMend(platform, { name: 'wal_level', value: 'logical', restart: true }) })
}

/** Decoding on a standby came with 16. */
function standby({ inRecovery, version: number }: ServerFacts): Finding {
  const code = 'PRIMARY'
  const why = 'Publications are made on the primary, and before version 16 only it can decode.'
  if (!inRecovery) return ok({ code, found: 'the server is a primary', why })
  const mend = [advice('Connect to the primary.')]
  if (number < 160000) return problem({ code, found: 'the server is a standby, which cannot decode', why, mend })
  const found =
    'the server is a standby: it can decode, with a publication made on the primary and hot_standby_feedback on'
  return ok({ code, found, why })
}

function replicationPrivilege(server: ServerFacts, { platform, replication }: DoctorFacts): Finding[] {
  const { user, mayReplicate, superuser } = server
  const code = 'REPLICATION_PRIVILEGE'
  const why = 'Opening a replication connection and making a slot take it.'
  const sameRole = replication.user === user
  if (mayReplicate || (sameRole && errorOf(replication.attempt) === undefined)) {
    const found = superuser ? `role ${user} is a superuser` : `role ${user} may replicate`
    return [ok({ code, found, why })]
  }
  // The connection that failed for it has told already.
  if (sameRole && sqlstateOf(errorOf(replication.attempt)) === '42501') return []
  const mend = replicationPrivilegeMend(platform, user)
  return [problem({ code, found: `role ${user} has no REPLICATION privilege`, why, mend })]
}

const SHORT_MS = 5000
const LONG_MS = 300_000

function senderTimeout(milliseconds: number, platform: Platform): Finding {
  const shown = milliseconds === 0 ? '0 (none)' : describeSeconds(milliseconds / 1000)
  const judged = { code: 'WAL_SENDER_TIMEOUT', found: `wal_sender_timeout is ${shown}` }
  const mend = settingMend(platform, { name: 'wal_sender_timeout', value: '60s', number: 60_000, restart: false })
  if (milliseconds === 0) {
    const why = 'The server never notices a reader that is gone, and its slot stays in use and keeps WAL.'
    return warning({ ...judged, why, mend })
  }
  if (milliseconds < SHORT_MS) {
    const why = 'A short pause of the network, or of a busy machine, makes the server end the stream.'
    return warning({ ...judged, why, mend })
  }
  if (milliseconds > LONG_MS) {
    const why = 'After a cut connection the slot stays in use for so long, and a new run has to wait.'
    return warning({ ...judged, why, mend })
  }
  return ok({ ...judged, why: 'So long the server waits for a sign of life before it frees the slot of a reader.' })
}

function idleSlotTimeout({ idleSlotTimeoutSeconds: seconds }: Surroundings, platform: Platform): Finding[] {
  if (seconds === undefined) return []
  const code = 'IDLE_SLOT_TIMEOUT'
  const name = 'idle_replication_slot_timeout'
  if (seconds === 0) {
    const why = 'A slot may rest between two runs for as long as it likes.'
    return [ok({ code, found: `${name} is 0 (never)`, why })]
  }
  return [
    warning({
      code,
      found: `${name} is ${describeSeconds(seconds)}`,
      why: 'A slot that no run reads for so long is invalidated, and only a new snapshot helps then.',
      mend: settingMend(platform, { name, value: '0', restart: false }),
    }),
  ]
}
