import { describeBytes } from '../../core/quantity.js'
import { formatLsn } from '../../postgres/lsn.js'
import { slotHealth } from '../../postgres/slotHealth.js'
import type { ListedSlot } from '../../postgres/slotList.js'
import { formatTable } from '../table.js'

const HEADINGS = ['NAME', 'PLUGIN', 'DATABASE', 'ACTIVE', 'RETAINED', 'LAG', 'HEALTH']

/** The slots for people, one a line. */
export function slotsAsText(slots: readonly ListedSlot[], now: Date): string {
  if (slots.length === 0) return 'The server has no replication slots.\n'
  const rows = slots.map((slot) => [
    slot.name,
    slot.plugin ?? slot.type,
    slot.database ?? '-',
    activity(slot),
    bytes(slot.retainedBytes),
    bytes(slot.lagBytes),
    `${slotHealth(slot, now).words}${slot.temporary ? ' (temporary)' : ''}`,
  ])
  return formatTable(HEADINGS, rows)
}

function activity({ active, activePid, application }: ListedSlot): string {
  if (!active) return 'no'
  const pid = activePid === undefined ? 'yes' : `pid ${activePid}`
  return application === undefined ? pid : `${pid} (${application})`
}

function bytes(value: number | undefined): string {
  return value === undefined ? '-' : describeBytes(value)
}

/** The same as one JSON document; what is not known is null, no field is ever left out. */
export function slotsAsJson(slots: readonly ListedSlot[], now: Date): string {
  const documents = slots.map((slot) => {
    const { state, words } = slotHealth(slot, now)
    return {
      name: slot.name,
      type: slot.type,
      plugin: slot.plugin ?? null,
      database: slot.database ?? null,
      temporary: slot.temporary,
      twoPhase: slot.twoPhase,
      active: slot.active,
      pid: slot.activePid ?? null,
      application: slot.application ?? null,
      restartLsn: slot.restartLsn === undefined ? null : formatLsn(slot.restartLsn),
      confirmedFlushLsn: slot.confirmedFlushLsn === undefined ? null : formatLsn(slot.confirmedFlushLsn),
      retainedBytes: slot.retainedBytes ?? null,
      lagBytes: slot.lagBytes ?? null,
      safeWalBytes: slot.safeWalBytes ?? null,
      walStatus: slot.walStatus ?? null,
      invalidation: slot.invalidation ?? null,
      inactiveSince: slot.inactiveSince?.toISOString() ?? null,
      health: state,
      healthText: words,
    }
  })
  return `${JSON.stringify({ slots: documents }, null, 2)}\n`
}
