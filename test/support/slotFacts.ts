import type { ListedSlot } from '../../src/postgres/slotList.js'

/** A slot of pgoutput that a reader keeps up with. */
export function slotFacts(facts: Partial<ListedSlot> = {}): ListedSlot {
  return {
    name: 'nightly',
    type: 'logical',
    plugin: 'pgoutput',
    database: 'shop',
    temporary: false,
    active: true,
    activePid: 4711,
    application: 'tailrace',
    restartLsn: 0x16b3748n,
    confirmedFlushLsn: 0x16b3780n,
    walStatus: 'reserved',
    twoPhase: false,
    invalidation: undefined,
    retainedBytes: 16_000_000,
    lagBytes: 56,
    safeWalBytes: undefined,
    inactiveSince: undefined,
    ...facts,
  }
}
