import { describe, expect, test } from 'vitest'
import type { Slot } from '../../../src/postgres/slot.js'
import { type Origin, type Place, StreamPosition } from '../../../src/source/position.js'
import { decideStart, type StartFacts } from '../../../src/source/start.js'
import { place } from '../../support/sourceHistory.js'

const server = { systemIdentifier: '7', timeline: 3, database: 'shop', inRecovery: false, insertLsn: 0x2000n }
const origin: Origin = { system: '7', timeline: 3, database: 'shop', slot: 'own', epoch: 4 }
const slot: Slot = {
  name: 'own',
  type: 'logical',
  plugin: 'pgoutput',
  database: 'shop',
  temporary: false,
  active: false,
  activePid: undefined,
  restartLsn: 0x1000n,
  confirmedFlushLsn: 0x1100n,
  walStatus: 'reserved',
  twoPhase: false,
  invalidation: undefined,
  retainedBytes: 0,
}

function at(fields: Parameters<typeof place>[0], from: Partial<Origin> = {}): StreamPosition {
  return new StreamPosition({ ...origin, ...from }, place(fields))
}

function start(facts: Partial<StartFacts>) {
  return decideStart({
    server,
    position: undefined,
    slotName: 'own',
    slot: undefined,
    existingSlot: 'refuse',
    ...facts,
  })
}

const middle: Place = place({ lsn: 0x1200n, seq: 3, fingerprint: 9 })
const whole: Place = place({ lsn: 0x1200n, seq: 3, end: 0x1230n })
const unfinished: Place = place({ lsn: 0x1100n, snapshot: { id: '0/1100', rows: 10 } })

describe('without a position', () => {
  test('a run without a slot makes a temporary one', () => {
    expect(start({ slotName: undefined })).toEqual({
      kind: 'fresh',
      slot: undefined,
      epoch: 1,
      dropSlot: false,
      again: false,
    })
  })

  test('a slot that is not there is made', () => {
    expect(start({})).toEqual({ kind: 'fresh', slot: 'own', epoch: 1, dropSlot: false, again: false })
  })

  test('a slot that is there is not joined by a snapshot, and never dropped', () => {
    expect(() => start({ slot })).toThrow(expect.objectContaining({ code: 'SLOT_EXISTS' }))
  })

  test('on request it is resumed where it stands', () => {
    const resumed = start({ slot, existingSlot: 'resume' })
    expect(resumed).toEqual({
      kind: 'resume',
      position: at({ lsn: 0x1100n, end: 0x1100n }, { epoch: 1 }),
    })
  })

  test('on request, but only one that can be', () => {
    for (const [facts, code] of UNUSABLE) {
      const resume = () => start({ slot: { ...slot, ...facts }, existingSlot: 'resume' })
      expect(resume).toThrow(expect.objectContaining({ code }))
    }
  })
})

const UNUSABLE: [Partial<Slot>, string][] = [
  [{ type: 'physical', plugin: undefined, database: undefined }, 'SLOT_PHYSICAL'],
  [{ plugin: 'wal2json' }, 'SLOT_OTHER_PLUGIN'],
  [{ database: 'other' }, 'SLOT_OTHER_DATABASE'],
  [{ twoPhase: true }, 'SLOT_TWO_PHASE'],
  [{ invalidation: 'wal_removed' }, 'SLOT_LOST'],
]

describe('from a position', () => {
  test.each([
    ['in the middle of a transaction', middle],
    ['behind one', whole],
  ])('%s the stream goes on', (_, where) => {
    const position = at(where)
    expect(start({ position, slot })).toEqual({ kind: 'resume', position })
    expect(start({ position, slot, slotName: undefined })).toEqual({ kind: 'resume', position })
  })

  test('after a promotion it keeps its timeline, which is asked of whoever streams', () => {
    const resumed = start({ position: at(whole), slot, server: { ...server, timeline: 4 } })
    expect(resumed).toEqual({ kind: 'resume', position: at(whole) })
  })

  test.each<[string, Partial<StartFacts>, Partial<Origin>, string]>([
    ['of another server', {}, { system: '8' }, 'POSITION_OTHER_SERVER'],
    ['of another database', {}, { database: 'other' }, 'POSITION_OTHER_DATABASE'],
    ['of another slot', { slotName: 'else' }, {}, 'POSITION_OTHER_SLOT'],
    ['of a temporary slot', { slotName: undefined }, { slot: null }, 'POSITION_NOT_RESUMABLE'],
    ['of a timeline that this server has not reached', {}, { timeline: 4 }, 'TIMELINE_BEHIND'],
    ['of a slot that is gone', { slot: undefined }, {}, 'SLOT_MISSING'],
    ['beyond all that the server has', { server: { ...server, insertLsn: whole.end! - 1n } }, {}, 'POSITION_AHEAD'],
  ])('%s nothing is read', (_, facts, from, code) => {
    expect(() => start({ slot, ...facts, position: at(whole, from) })).toThrow(expect.objectContaining({ code }))
  })

  test('a standby may not have replayed it yet', () => {
    const standby = { ...server, inRecovery: true, insertLsn: whole.end! - 1n }
    expect(start({ position: at(whole), slot, server: standby })).toMatchObject({ kind: 'resume' })
    expect(start({ position: at(whole), slot, server: { ...server, insertLsn: whole.end! } })).toMatchObject({
      kind: 'resume',
    })
  })

  test.each(UNUSABLE)('of a slot that cannot be read nothing is read: %o', (facts, code) => {
    expect(() => start({ position: at(whole), slot: { ...slot, ...facts } })).toThrow(expect.objectContaining({ code }))
  })

  test('our own slot may still count as active: that is for waiting', () => {
    expect(start({ position: at(whole), slot: { ...slot, active: true, activePid: 7 } }).kind).toBe('resume')
  })

  test.each<[string, Place, bigint, boolean]>([
    ['right at the end of the transaction', whole, 0x1230n, true],
    ['one byte beyond it', whole, 0x1231n, false],
    ["at the transaction's commit record", middle, 0x1200n, true],
    ['beyond it, in the middle of what was delivered', middle, 0x1201n, false],
  ])('a slot that stands %s', (_, where, confirmedFlushLsn, goesOn) => {
    const resume = () => start({ position: at(where), slot: { ...slot, confirmedFlushLsn } })
    if (goesOn) expect(resume().kind).toBe('resume')
    else expect(resume).toThrow(expect.objectContaining({ code: 'SLOT_AHEAD' }))
  })
})

describe('where what we confirm bears a mark, 4 in this epoch', () => {
  const resume = (confirmedFlushLsn: bigint, marked = true, where = middle) =>
    start({ position: at(where), slot: { ...slot, confirmedFlushLsn }, marked })

  test('a slot beyond the position that has the mark was moved by us: all up to there was passed', () => {
    expect(resume(0x1400n - 4n)).toEqual({ kind: 'resume', position: at({ ...middle, end: 0x13fcn }) })
  })

  test.each([
    ['a record', 0x1400n],
    ['the mark of another epoch', 0x1400n - 5n],
  ])('one that ends with %s was moved by somebody else, or made anew', (_, confirmed) => {
    expect(() => resume(confirmed)).toThrow(expect.objectContaining({ code: 'SLOT_AHEAD' }))
  })

  test('a slot behind the position is no matter of marks', () => {
    expect(resume(0x1200n - 4n)).toEqual({ kind: 'resume', position: at(middle) })
  })

  test('a mark that nobody asked for is none', () => {
    expect(() => resume(0x1400n - 4n, false)).toThrow(expect.objectContaining({ code: 'SLOT_AHEAD' }))
  })

  test('the first epoch is drawn', () => {
    const epochs = new Set(
      Array.from({ length: 200 }, () => start({ marked: true })).map((one) => 'epoch' in one && one.epoch),
    )
    expect([...epochs].sort()).toEqual([1, 2, 3, 4, 5, 6, 7])
  })
})

describe('from an unfinished snapshot', () => {
  test('it begins again, as a new epoch', () => {
    const begun = start({ position: at(unfinished) })
    expect(begun).toEqual({ kind: 'fresh', slot: 'own', epoch: 5, dropSlot: false, again: false })
  })

  test('a slot that was made in the last moment is dropped', () => {
    expect(start({ position: at(unfinished), slot })).toMatchObject({ kind: 'fresh', dropSlot: true, again: false })
  })

  test('but never one that is not ours', () => {
    for (const [facts, code] of UNUSABLE.slice(0, 3)) {
      const begin = () => start({ position: at(unfinished), slot: { ...slot, ...facts } })
      expect(begin).toThrow(expect.objectContaining({ code }))
    }
  })
})
