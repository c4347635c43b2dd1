import { SLOT_ACTIVE } from '../../../core/errors.js'
import { describeBytes } from '../../../core/quantity.js'
import type { ServerFacts } from '../../../postgres/catalog/server.js'
import { quoteLiteral } from '../../../postgres/identifier.js'
import { checkSlot } from '../../../postgres/slot.js'
import { slotHealth } from '../../../postgres/slotHealth.js'
import type { ListedSlot } from '../../../postgres/slotList.js'
import { type DatabaseFacts, type DoctorFacts, errorOf, knownOf } from '../facts.js'
import { advice, command, type Finding, sql, verdicts } from '../finding.js'
import { settingMend } from '../mends.js'
import type { Platform } from '../platform.js'

const { ok, problem, warning } = verdicts('slots')

const SMALL_KEEP_BYTES = 1024 ** 3

/** Room for what a run needs, what the slots there hold, and the run's own slot. */
export function slotFindings({ database, platform, wishes }: DoctorFacts): Finding[] {
  const server = knownOf(database?.server)
  const error = errorOf(database?.slots)
  const unread = error === undefined ? [] : [unreadable(error.message, error.hint)]
  if (database === undefined || server === undefined) return unread
  const slots = knownOf(database.slots)
  const own = slots?.find(({ name }) => name === wishes.slot)
  return [
    ...unread,
    freeSlots(server, own === undefined ? (wishes.slot === undefined ? 1 : 2) : 0, platform),
    freeSenders(server, platform),
    keepSize(server, platform),
    ...(slots ?? []).flatMap((slot) => (slot === own ? [] : othersHealth(slot, database.now))),
    ...(platform === 'neon' ? [NEON_DROPS_SLOTS] : []),
    ...(wishes.slot === undefined || slots === undefined ? [] : ownSlot(wishes.slot, own, server, database)),
  ]
}

/** "Logical replication in Neon", Unused replication slots, in Neon's docs. */
const NEON_DROPS_SLOTS = warning({
  code: 'NEON_DROPS_SLOTS',
  found: 'Neon drops a slot that nobody has read for about 40 hours, where others are being read',
  why: 'A run that rests for longer may find its slot gone, and only a new snapshot helps then.',
  mend: [advice('Run tailrace at least once a day.')],
})

function unreadable(found: string, hint: string): Finding {
  return problem({ code: 'SLOTS', found, why: 'Every run looks at its slot.', mend: [advice(hint)] })
}

function freeSlots(server: ServerFacts, needed: number, platform: Platform): Finding {
  const { maxReplicationSlots: max, usedReplicationSlots: used } = server
  const free = max - used
  const judged = {
    code: 'FREE_SLOTS',
    found: `${free} of ${max} replication slots are free (max_replication_slots), ${needed} needed`,
    why:
      needed === 2
        ? 'The snapshot is read with a temporary slot; at its end the permanent one stands beside it for a moment.'
        : 'The place of a reader in the WAL is a slot.',
  }
  if (free >= needed) return ok(judged)
  const wanted = { name: 'max_replication_slots', value: String(Math.max(10, used + needed)), restart: true }
  const mend = [command('tailrace slots --url …'), advice('Drop a slot that nobody needs; or raise the limit:')]
  return problem({ ...judged, mend: [...mend, ...settingMend(platform, wanted)] })
}

function freeSenders({ maxWalSenders: max, usedWalSenders: used }: ServerFacts, platform: Platform): Finding {
  const free = max - used
  const judged = {
    code: 'FREE_WAL_SENDERS',
    found: `${free} of ${max} WAL senders are free (max_wal_senders)`,
    why: 'Each replication connection takes one; a reconnect needs a second one until the old connection is given up.',
  }
  if (free >= 2) return ok(judged)
  const wanted = { name: 'max_wal_senders', value: String(Math.max(10, used + 2)), restart: true }
  return (free < 1 ? problem : warning)({ ...judged, mend: settingMend(platform, wanted) })
}

function keepSize({ maxSlotWalKeepBytes: bytes }: ServerFacts, platform: Platform): Finding {
  const code = 'MAX_SLOT_WAL_KEEP_SIZE'
  const name = 'max_slot_wal_keep_size'
  if (bytes === undefined) {
    return warning({
      code,
      found: `${name} is -1 (no limit)`,
      why: 'A slot that nobody reads keeps WAL until the disk is full, and then the server stops.',
      mend: [
        ...settingMend(platform, { name, value: '50GB', number: 51_200, restart: false }),
        advice('Choose what the disk can spare; and watch retainedBytes of `tailrace slots --json`.'),
      ],
    })
  }
  const judged = { code, found: `${name} is ${describeBytes(bytes)}` }
  if (bytes >= SMALL_KEEP_BYTES) {
    return ok({ ...judged, why: 'A slot that falls behind by more is given up, so that the disk does not fill.' })
  }
  return warning({
    ...judged,
    why: 'A reader that falls behind by so little loses its slot, and only a new snapshot helps then.',
    mend: settingMend(platform, { name, value: '50GB', number: 51_200, restart: false }),
  })
}

/** Slots that are not ours, where they are a danger to the server, and so to us. */
function othersHealth(slot: ListedSlot, now: Date): Finding[] {
  const { state, words } = slotHealth(slot, now)
  if (state === 'ok' || state === 'inactive') return []
  return [
    warning({
      code: 'OTHER_SLOT',
      found: `slot ${slot.name} (${slot.plugin ?? slot.type}${slot.database === undefined ? '' : `, database ${slot.database}`}): ${words}`,
      why:
        state === 'invalidated'
          ? 'It is of no more use, and takes the place of another one.'
          : 'WAL that it holds fills the disk of the server.',
      mend: slot.active ? [] : [sql(`SELECT pg_drop_replication_slot(${quoteLiteral(slot.name)});`), NOBODYS],
    }),
  ]
}

const NOBODYS = advice('Only when its owner does not need it any more.')

function ownSlot(name: string, slot: ListedSlot | undefined, server: ServerFacts, { now }: DatabaseFacts): Finding[] {
  const code = 'SLOT'
  const why = 'The slot holds the place of the run.'
  const error = checkSlot(slot, { slot: name, database: server.database })
  if (slot === undefined) {
    return [ok({ code, found: `slot ${name} does not exist yet: the first run makes it`, why })]
  }
  if (error === undefined) {
    const { state, words } = slotHealth(slot, now)
    const harmless = state === 'ok' || state === 'inactive'
    const found = `slot ${name} is there (pgoutput, database ${server.database}): ${words}`
    return [
      (harmless ? ok : warning)({ code, found, why, mend: harmless ? [] : [advice('Run tailrace with it soon.')] }),
    ]
  }
  const judged = { code: error.code, found: error.message, why, mend: [advice(error.hint)] }
  // Somebody reads it: a run that is under way is no fault.
  return [(SLOT_ACTIVE.is(error) ? warning : problem)(judged)]
}
