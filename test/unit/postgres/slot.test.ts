import { expect, test } from 'vitest'
import { checkSlot, type Slot } from '../../../src/postgres/slot.js'

const slot: Slot = {
  name: 'tailrace_shop',
  type: 'logical',
  plugin: 'pgoutput',
  database: 'shop',
  temporary: false,
  active: false,
  activePid: undefined,
  restartLsn: 0x16b3748n,
  confirmedFlushLsn: 0x16b3780n,
  walStatus: 'reserved',
  twoPhase: false,
  invalidation: undefined,
  retainedBytes: 0,
}
const check = (found: Slot | undefined) => checkSlot(found, { slot: 'tailrace_shop', database: 'shop' })

test('a slot as it should be', () => {
  expect(check(slot)).toBeUndefined()
  expect(check({ ...slot, walStatus: 'extended' })).toBeUndefined()
})

test.each<[string, Partial<Slot> | undefined, string]>([
  ['SLOT_MISSING', undefined, 'replication slot "tailrace_shop" does not exist'],
  ['SLOT_PHYSICAL', { type: 'physical', plugin: undefined, database: undefined }, 'is physical'],
  ['SLOT_OTHER_PLUGIN', { plugin: 'wal2json' }, 'is of output plugin wal2json, not pgoutput'],
  ['SLOT_OTHER_DATABASE', { database: 'other' }, 'is of database "other", not "shop"'],
  ['SLOT_TWO_PHASE', { twoPhase: true }, 'was made with two_phase'],
  ['SLOT_LOST', { invalidation: 'wal_removed', walStatus: 'lost' }, 'is lost (wal_removed)'],
  ['SLOT_ACTIVE', { active: true, activePid: 4711 }, "is in use by the server's process 4711"],
])('%s', (code, facts, message) => {
  const error = check(facts && { ...slot, ...facts })
  expect(error?.code).toBe(code)
  expect(error?.message).toContain(message)
})

test('what waiting cannot mend is told before what it can', () => {
  expect(check({ ...slot, active: true, plugin: 'wal2json', database: 'other' })?.code).toBe('SLOT_OTHER_PLUGIN')
  expect(check({ ...slot, active: true, invalidation: 'wal_removed' })?.code).toBe('SLOT_LOST')
  expect(check({ ...slot, active: true })?.retry).toBe('later')
})
