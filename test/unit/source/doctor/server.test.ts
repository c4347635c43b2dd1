import { describe, expect, test } from 'vitest'
import { SERVER_ERROR } from '../../../../src/core/errors.js'
import { serverFindings } from '../../../../src/source/doctor/checks/server.js'
import { diagnose } from '../../../../src/source/doctor/diagnose.js'
import { faultsOf } from '../../../../src/source/doctor/knownFaults.js'
import { doctorFacts, type FactChanges, mendText, withCode } from '../../../support/doctorFacts.js'

const verdict = (code: string, changes: FactChanges) =>
  withCode(serverFindings(doctorFacts(changes)), code).map(({ status }) => status)

test('a server as it should be passes every check', () => {
  expect(diagnose(doctorFacts()).filter(({ status }) => status !== 'ok')).toEqual([])
})

test.each<[string, FactChanges, string[]]>([
  ['VERSION', { server: { version: 140023 } }, ['ok']],
  ['VERSION', { server: { version: 130020 } }, ['problem']],
  ['VERSION', { server: { version: 190000 } }, ['warning']],
  ['WAL_LEVEL', {}, ['ok']],
  ['WAL_LEVEL', { server: { walLevel: 'replica' } }, ['problem']],
  ['PRIMARY', {}, ['ok']],
  ['PRIMARY', { server: { inRecovery: true, version: 150013 } }, ['problem']],
  ['PRIMARY', { server: { inRecovery: true, version: 160010 } }, ['ok']],
  ['REPLICATION_PRIVILEGE', {}, ['ok']],
  ['REPLICATION_PRIVILEGE', { server: { mayReplicate: false } }, ['ok']],
  ['REPLICATION_PRIVILEGE', { server: { mayReplicate: false }, replication: { user: 'repl' } }, ['problem']],
  [
    'REPLICATION_PRIVILEGE',
    {
      server: { mayReplicate: false },
      replication: { attempt: { error: SERVER_ERROR({ sqlstate: '42501', message: 'denied' }) } },
    },
    [],
  ],
  ['WAL_SENDER_TIMEOUT', {}, ['ok']],
  ['WAL_SENDER_TIMEOUT', { server: { walSenderTimeoutMs: 0 } }, ['warning']],
  ['WAL_SENDER_TIMEOUT', { server: { walSenderTimeoutMs: 1000 } }, ['warning']],
  ['WAL_SENDER_TIMEOUT', { server: { walSenderTimeoutMs: 3_600_000 } }, ['warning']],
  ['WAL_SENDER_TIMEOUT', { replication: { walSenderTimeoutMs: 0 } }, ['warning']],
  ['IDLE_SLOT_TIMEOUT', {}, ['ok']],
  ['IDLE_SLOT_TIMEOUT', { surroundings: { idleSlotTimeoutSeconds: 3600 } }, ['warning']],
  ['IDLE_SLOT_TIMEOUT', { surroundings: { idleSlotTimeoutSeconds: undefined } }, []],
])('%s %j: %j', (code, changes, statuses) => expect(verdict(code, changes)).toEqual(statuses))

test('facts that cannot be read are a problem, and what can be judged is judged', () => {
  const error = SERVER_ERROR({ sqlstate: '42501', message: 'permission denied for function pg_control_system' })
  const findings = diagnose(doctorFacts({ database: { server: { error } } }))
  expect(withCode(findings, 'SERVER')).toMatchObject([{ status: 'problem', code: 'SERVER' }])
  expect(withCode(findings, 'RUNNING_TRANSACTIONS')).toHaveLength(1)
})

describe('known faults of minor versions', () => {
  test.each<[number, string[]]>([
    [180006, []],
    [180000, []],
    [170006, []],
    [170005, ['FAULT_INVALIDATION_GROWTH', 'FAULT_WAL_REMOVED_EARLY']],
    [170004, ['FAULT_PUBLICATION_CHANGE', 'FAULT_WAL_REMOVED_EARLY']],
    [160009, ['FAULT_INVALIDATION_GROWTH', 'FAULT_WAL_REMOVED_EARLY']],
    [150012, ['FAULT_PUBLICATION_CHANGE', 'FAULT_WAL_REMOVED_EARLY']],
    [140005, ['FAULT_PUBLICATION_CHANGE', 'FAULT_WAL_REMOVED_EARLY', 'FAULT_WRONG_SNAPSHOT']],
    [140023, []],
  ])('%i has %j', (version, codes) => expect(faultsOf(version).map(({ code }) => code)).toEqual(codes))

  test('each is a warning that names the version that mends it', () => {
    const findings = serverFindings(doctorFacts({ server: { version: 170004, versionText: '17.4' } }))
    const [fault] = withCode(findings, 'FAULT_PUBLICATION_CHANGE')
    expect(fault).toMatchObject({ status: 'warning', found: expect.stringContaining('mended in 17.5') })
    expect(mendText(fault!)).toContain('17.5')
    expect(withCode(findings, 'KNOWN_FAULTS')).toEqual([])
  })
})

test.each([
  ['postgres', "ALTER SYSTEM SET wal_level = 'logical';"],
  ['rds', 'modify-db-parameter-group'],
  ['aurora', 'modify-db-cluster-parameter-group'],
  ['azure', 'az postgres flexible-server parameter set'],
  ['cloud-sql', 'cloudsql.logical_decoding=on'],
  ['supabase', 'ask its support'],
  ['neon', 'Logical Replication, Enable'],
] as const)("on %s only that platform's mend of wal_level is shown", (platform, text) => {
  const [found] = withCode(serverFindings(doctorFacts({ platform, server: { walLevel: 'replica' } })), 'WAL_LEVEL')
  expect(mendText(found!)).toContain(text)
  if (platform !== 'postgres') expect(mendText(found!)).not.toContain('ALTER SYSTEM')
})

test.each([
  ['postgres', 'ALTER ROLE app REPLICATION;'],
  ['rds', 'GRANT rds_replication TO app;'],
  ['aurora', 'GRANT rds_replication TO app;'],
  ['azure', 'azure_pg_admin'],
  ['cloud-sql', 'ALTER USER app WITH REPLICATION;'],
  ['supabase', 'ALTER ROLE app WITH REPLICATION;'],
  ['neon', 'neonctl roles create'],
] as const)('on %s the replication privilege is given by %s', (platform, text) => {
  const changes = { platform, server: { mayReplicate: false }, replication: { user: 'repl' } }
  expect(mendText(withCode(serverFindings(doctorFacts(changes)), 'REPLICATION_PRIVILEGE')[0]!)).toContain(text)
})
