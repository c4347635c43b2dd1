import { expect, test } from 'vitest'
import { CONNECTION_FAILED, LOGIN_REFUSED, SERVER_ERROR } from '../../../../src/core/errors.js'
import { connectionFindings } from '../../../../src/source/doctor/checks/connection.js'
import { doctorFacts, type FactChanges, mendText } from '../../../support/doctorFacts.js'

const judged = (changes: FactChanges) =>
  connectionFindings(doctorFacts(changes)).map(({ status, code }) => `${status} ${code}`)

const to = 'postgres://app@db:5432/shop'
const failed = { error: CONNECTION_FAILED({ to, problem: 'ECONNREFUSED' }) }
const elsewhere = { to: 'postgres://app@direct:5432/shop', host: 'direct' }

test.each<[string, FactChanges, string[]]>([
  ['both ways open', {}, ['ok CONNECTION', 'ok REPLICATION_CONNECTION', 'ok POOLER']],
  [
    'no way open: both are told of',
    { ordinary: { attempt: failed }, replication: { attempt: failed } },
    ['problem CONNECTION', 'problem REPLICATION_CONNECTION'],
  ],
  [
    'a pooler before both',
    {
      ordinary: { attempt: { value: { announcedPid: 1, backendPid: 2, systemIdentifier: undefined } } },
      replication: {
        attempt: { error: SERVER_ERROR({ sqlstate: '08P01', message: 'unsupported startup parameter: replication' }) },
      },
    },
    ['ok CONNECTION', 'problem REPLICATION_CONNECTION', 'problem POOLER'],
  ],
  [
    'a pooler in session mode before the ordinary way only',
    {
      ordinary: { attempt: { value: { announcedPid: 1, backendPid: 2, systemIdentifier: undefined } } },
      replication: elsewhere,
    },
    ['ok CONNECTION', 'ok REPLICATION_CONNECTION', 'warning POOLER_ORDINARY', 'ok SAME_SERVER'],
  ],
  [
    'a pooler in transaction mode before the ordinary way only',
    { ordinary: { host: 'ep-a-pooler.eu.aws.neon.tech' }, replication: elsewhere },
    ['ok CONNECTION', 'ok REPLICATION_CONNECTION', 'problem POOLER_ORDINARY', 'ok SAME_SERVER'],
  ],
  [
    'two servers',
    {
      replication: { ...elsewhere, attempt: { value: { announcedPid: 7, backendPid: 7, systemIdentifier: '8' } } },
    },
    ['ok CONNECTION', 'ok REPLICATION_CONNECTION', 'ok POOLER', 'problem SAME_SERVER'],
  ],
  [
    'two databases of one server',
    { replication: { ...elsewhere, database: 'other' } },
    ['ok CONNECTION', 'ok REPLICATION_CONNECTION', 'ok POOLER', 'problem SAME_SERVER'],
  ],
])('%s', (_, changes, expected) => expect(judged(changes)).toEqual(expected))

const hba = LOGIN_REFUSED({
  to,
  problem: 'no pg_hba.conf entry for replication connection from host "10.0.0.7" [SQLSTATE 28000]',
})
const denied = SERVER_ERROR({ sqlstate: '42501', message: 'permission denied to start WAL sender' })
const full = SERVER_ERROR({
  sqlstate: '53300',
  message: 'number of requested standby connections exceeds max_wal_senders (currently 0)',
})

test.each([
  ['_HBA', hba, 'postgres', 'pg_hba.conf: host  shop  app '],
  ['_HBA', hba, 'azure', 'firewall rules'],
  ['_PRIVILEGE', denied, 'postgres', 'ALTER ROLE app REPLICATION;'],
  ['_PRIVILEGE', denied, 'rds', 'GRANT rds_replication TO app;'],
  ['_SENDERS', full, 'postgres', "ALTER SYSTEM SET max_wal_senders = '10';"],
  ['', failed.error, 'postgres', 'Check host, port'],
] as const)(
  'a refused replication connection%s is mended where it was refused (%#)',
  (suffix, error, platform, mend) => {
    const findings = connectionFindings(doctorFacts({ platform, replication: { attempt: { error } } }))
    const found = findings.find(({ code }) => code === `REPLICATION_CONNECTION${suffix}`)
    expect(found).toMatchObject({ status: 'problem', found: error.message })
    expect(mendText(found!)).toContain(mend)
  },
)
