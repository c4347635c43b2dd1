import { expect, test } from 'vitest'
import * as errors from '../../../src/core/errors.js'
import type { TailraceError } from '../../../src/core/tailraceError.js'
import { inConfiguration } from '../../../src/homes/airbyte/protocol/wording.js'
import { EventLog } from '../../../src/homes/airbyte/read/eventLog.js'
import { describeError, inSettings } from '../../../src/homes/conduit/plugin/describeError.js'
import { GrpcFailure } from '../../../src/homes/conduit/plugin/grpc/status.js'

/** What users of homes meet. */
const MET: readonly TailraceError[] = [
  errors.SLOT_MISSING({ slot: 's' }),
  errors.SLOT_LOST({ slot: 's', reason: 'wal_removed' } as never),
  errors.SLOT_AHEAD({ slot: 's', confirmed: '0/2', position: '0/1' } as never),
  errors.PUBLICATION_MISSING({ publication: 'p', lsn: '0/1' }),
  errors.PUBLICATION_CHANGED({ change: 'it was altered', from: '0/1', to: '0/2' }),
  errors.PUBLICATION_DENIED({ publication: 'p', problem: 'no', sql: 'CREATE PUBLICATION p;' }),
  errors.REPLICA_IDENTITY_MISSING({ tables: ['t'], sql: 'ALTER TABLE t REPLICA IDENTITY FULL;' }),
  errors.POSITION_OTHER_SLOT({ position: 'a', slot: 'b' } as never),
]

test('hints name the settings of the home, not options of a command line that its users do not have', () => {
  for (const error of MET) {
    expect(inConfiguration(error.hint), error.code).not.toMatch(/--[a-z]|onSlotLost|state file/)
    expect(describeError(error), error.code).not.toMatch(/--[a-z]|state file/)
  }
  expect(inConfiguration(MET[0]!.hint)).toContain('on_lost_position: "resync"')
  expect(inConfiguration(MET[2]!.hint)).toContain('on_lost_position to "resync"')
  expect(inConfiguration(MET[4]!.hint)).toContain('on_publication_change: "continue"')
  expect(inConfiguration(MET[6]!.hint)).toMatch(/with keyless: "inserts"; or leave them out\.$/)
  expect(inConfiguration(MET[7]!.hint)).toContain('Give slot_name as')
  expect(describeError(MET[0])).toContain('onSlotLost: resnapshot')
  expect(describeError(MET[6])).toContain('keyless: inserts')
  expect(describeError(MET[7])).toContain('Give logrepl.slotName as')
})

test('what is to be typed stays as it is', () => {
  const sql = 'Run: ALTER TABLE "a --slot b"."x--keyless inserts (keyless)" REPLICA IDENTITY FULL; -- or so'
  expect(inConfiguration(sql)).toBe(sql)
  expect(inConfiguration('watch `tailrace slots --json`, or give --slot-timeout-ms (slotTimeoutMs).')).toBe(
    'watch `tailrace slots --json`, or give slot_timeout_ms.',
  )
})

test('events are told so, too', () => {
  const logged: string[] = []
  const log = new EventLog({ log: (_, text) => logged.push(text) })
  const { code, message, hint } = MET[6]!
  log.tell({ type: 'warning', code, message, hint } as never)
  expect(logged[0]).toContain('with keyless: "inserts"')
  expect(inSettings('(--cdc-mode logical), (--cursor table:column)')).toBe(
    '(cdcMode: logrepl), (cursors: table:column)',
  )
})

test('a fault of the call is told without a stack', () => {
  expect(describeError(new GrpcFailure(8, 'too large'))).toBe('too large')
  expect(describeError(new Error('ours'))).toMatch(/please report it: Error: ours\n/)
})
