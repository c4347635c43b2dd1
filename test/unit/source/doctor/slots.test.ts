import { expect, test } from 'vitest'
import { SERVER_ERROR } from '../../../../src/core/errors.js'
import type { RunningTransaction } from '../../../../src/postgres/runningTransactions.js'
import { slotFindings } from '../../../../src/source/doctor/checks/slots.js'
import { transactionFindings } from '../../../../src/source/doctor/checks/transactions.js'
import type { Finding } from '../../../../src/source/doctor/finding.js'
import { doctorFacts, type FactChanges, mendText, withCode } from '../../../support/doctorFacts.js'
import { slotFacts } from '../../../support/slotFacts.js'

const GB = 1024 ** 3
const wishes = { slot: 'nightly' }
const slots = (...value: ReturnType<typeof slotFacts>[]) => ({ slots: { value } })
const verdicts = (findings: readonly Finding[]) => findings.map(({ status, code }) => `${status} ${code}`)

test.each<[string, FactChanges, string[]]>([
  ['FREE_SLOTS', { server: { usedReplicationSlots: 9 } }, ['ok FREE_SLOTS']],
  ['FREE_SLOTS', { server: { usedReplicationSlots: 10 } }, ['problem FREE_SLOTS']],
  ['FREE_SLOTS', { server: { usedReplicationSlots: 9 }, wishes }, ['problem FREE_SLOTS']],
  [
    'FREE_SLOTS',
    { server: { usedReplicationSlots: 10 }, wishes, database: slots(slotFacts({ active: false })) },
    ['ok FREE_SLOTS'],
  ],
  ['FREE_WAL_SENDERS', { server: { usedWalSenders: 8 } }, ['ok FREE_WAL_SENDERS']],
  ['FREE_WAL_SENDERS', { server: { usedWalSenders: 9 } }, ['warning FREE_WAL_SENDERS']],
  ['FREE_WAL_SENDERS', { server: { usedWalSenders: 10 } }, ['problem FREE_WAL_SENDERS']],
  ['MAX_SLOT', {}, ['ok MAX_SLOT_WAL_KEEP_SIZE']],
  ['MAX_SLOT', { server: { maxSlotWalKeepBytes: undefined } }, ['warning MAX_SLOT_WAL_KEEP_SIZE']],
  ['MAX_SLOT', { server: { maxSlotWalKeepBytes: 64 * 1024 * 1024 } }, ['warning MAX_SLOT_WAL_KEEP_SIZE']],
  ['OTHER_SLOT', { database: slots(slotFacts(), slotFacts({ name: 'b', active: false })) }, []],
  ['OTHER_SLOT', { database: slots(slotFacts({ retainedBytes: 5 * GB })) }, ['warning OTHER_SLOT']],
  ['OTHER_SLOT', { database: slots(slotFacts({ invalidation: 'wal_removed' })) }, ['warning OTHER_SLOT']],
  ['OTHER_SLOT', { database: slots(slotFacts({ retainedBytes: 5 * GB })), wishes }, []],
  ['NEON', { platform: 'neon' }, ['warning NEON_DROPS_SLOTS']],
  ['NEON', {}, []],
  ['SLOT', {}, []],
  ['SLOT', { wishes }, ['ok SLOT']],
  ['SLOT', { wishes, database: slots(slotFacts({ active: false })) }, ['ok SLOT']],
  ['SLOT', { wishes, database: slots(slotFacts({ active: false, retainedBytes: 5 * GB })) }, ['warning SLOT']],
  ['SLOT', { wishes, database: slots(slotFacts()) }, ['warning SLOT_ACTIVE']],
  ['SLOT', { wishes, database: slots(slotFacts({ plugin: 'wal2json' })) }, ['problem SLOT_OTHER_PLUGIN']],
  ['SLOT', { wishes, database: slots(slotFacts({ database: 'other' })) }, ['problem SLOT_OTHER_DATABASE']],
  ['SLOT', { wishes, database: slots(slotFacts({ type: 'physical' })) }, ['problem SLOT_PHYSICAL']],
  ['SLOT', { wishes, database: slots(slotFacts({ invalidation: 'idle_timeout' })) }, ['problem SLOT_LOST']],
  [
    'SLOTS',
    { database: { slots: { error: SERVER_ERROR({ sqlstate: '42501', message: 'denied' }) } } },
    ['problem SLOTS'],
  ],
])('%s (%#)', (code, changes, expected) =>
  expect(verdicts(withCode(slotFindings(doctorFacts(changes)), code))).toEqual(expected),
)

test('an abandoned slot of another is dropped by SQL, one in use is left alone', () => {
  const mend = (active: boolean) => {
    const database = slots(slotFacts({ name: "o'clock", active, retainedBytes: 5 * GB }))
    return mendText(withCode(slotFindings(doctorFacts({ database })), 'OTHER_SLOT')[0]!)
  }
  expect(mend(false)).toContain("SELECT pg_drop_replication_slot('o''clock');")
  expect(mend(true)).toBe('')
})

test('max_slot_wal_keep_size cannot be altered on Azure, by 51200 MB on RDS', () => {
  const server = { maxSlotWalKeepBytes: undefined }
  const mend = (platform: 'azure' | 'rds') =>
    mendText(withCode(slotFindings(doctorFacts({ platform, server })), 'MAX_SLOT')[0]!)
  expect(mend('azure')).toContain('cannot be changed by users of this platform')
  expect(mend('rds')).toContain('ParameterName=max_slot_wal_keep_size,ParameterValue=51200')
})

const transaction: RunningTransaction = {
  xids: ['741'],
  pid: 4711,
  gid: undefined,
  database: 'shop',
  user: 'app',
  application: 'psql',
  state: 'idle in transaction',
  seconds: 7200,
  querySeconds: 7200,
}
const prepared = { ...transaction, pid: undefined, gid: "invoice'7", application: undefined, state: undefined }
const running = (...value: RunningTransaction[]) => ({ transactions: { value } })

test.each<[string, FactChanges, string[]]>([
  ['nobody writes', {}, ['ok RUNNING_TRANSACTIONS']],
  ['a short one', { database: running({ ...transaction, seconds: 3 }) }, ['ok RUNNING_TRANSACTIONS']],
  [
    'one whose age is hidden',
    { database: running({ ...transaction, seconds: undefined }) },
    ['ok RUNNING_TRANSACTIONS'],
  ],
  ['a long one', { database: running(transaction) }, ['warning LONG_TRANSACTION']],
  [
    'a prepared one',
    { database: running(prepared, transaction) },
    ['problem PREPARED_TRANSACTION', 'warning LONG_TRANSACTION'],
  ],
  [
    'a prepared one, and the slot is there already',
    { database: { ...running(prepared), ...slots(slotFacts()) }, wishes },
    ['warning PREPARED_TRANSACTION'],
  ],
])('transactions: %s', (_, changes, expected) =>
  expect(verdicts(transactionFindings(doctorFacts(changes)))).toEqual(expected),
)

test('a holder is named with pid, application and age, and with what ends it', () => {
  const [first, second] = transactionFindings(doctorFacts({ database: running(transaction, prepared) }))
  expect(first!.found).toBe('pid 4711 (psql, idle in transaction, for 2 h) in database shop is open')
  expect(mendText(first!)).toContain('SELECT pg_terminate_backend(4711);')
  expect(mendText(second!)).toContain("ROLLBACK PREPARED 'invoice''7';")
})
