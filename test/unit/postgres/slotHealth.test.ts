import { expect, test } from 'vitest'
import { slotHealth } from '../../../src/postgres/slotHealth.js'
import type { ListedSlot } from '../../../src/postgres/slotList.js'
import { slotFacts } from '../../support/slotFacts.js'

const GB = 1024 ** 3
const now = new Date('2026-11-21T12:00:00Z')

test.each<[string, Partial<ListedSlot>, string, string]>([
  ['read, little WAL', {}, 'ok', 'ok'],
  ['room enough until max_slot_wal_keep_size', { safeWalBytes: 5 * GB }, 'ok', 'ok'],
  ['much WAL', { retainedBytes: 2.5 * GB }, 'holds-much-wal', 'holds 2.5 GB of WAL'],
  ['nobody reads it', { active: false }, 'inactive', 'inactive'],
  [
    'nobody reads it, and the server knows since when',
    { active: false, inactiveSince: new Date('2026-11-21T09:00:00.5Z') },
    'inactive',
    'inactive since 2026-11-21T09:00:00Z (3 h)',
  ],
  [
    'much WAL and nobody reads it',
    { active: false, retainedBytes: GB },
    'holds-much-wal',
    'holds 1 GB of WAL; inactive',
  ],
  [
    'little room left',
    { retainedBytes: 0.9 * GB, safeWalBytes: 0.1 * GB },
    'at-risk',
    'invalidated after 102 MB more WAL',
  ],
  [
    'beyond the limit',
    { walStatus: 'unreserved', retainedBytes: 3 * GB, safeWalBytes: -5 },
    'at-risk',
    'its WAL may be removed at the next checkpoint, unless its reader catches up; holds 3 GB of WAL',
  ],
  [
    'lost',
    { walStatus: 'lost', invalidation: 'wal_removed', active: false, retainedBytes: 0 },
    'invalidated',
    'invalidated: wal_removed (WAL that it needed was removed, by max_slot_wal_keep_size)',
  ],
  ['lost for a reason of a later server', { invalidation: 'new' }, 'invalidated', 'invalidated: new'],
])('%s', (_, facts, state, words) => expect(slotHealth(slotFacts(facts), now)).toEqual({ state, words }))
