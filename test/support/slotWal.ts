import type { SlotWal } from '../../src/postgres/slotWal.js'
import { slotFacts } from './slotFacts.js'

/** A slot that holds little WAL, and whose reader keeps up. */
export function slotWal(facts: Partial<SlotWal> = {}): SlotWal {
  const { application, lagBytes, safeWalBytes, inactiveSince, ...slot } = slotFacts()
  return {
    ...slot,
    endLsn: 0x16b3780n,
    safeBytes: undefined,
    spilledBytes: 0,
    walsender: { pid: 4711, state: 'streaming', waitEvent: 'Client/WalSenderWaitForWal', sentLsn: 0x16b3780n },
    ...facts,
  }
}
