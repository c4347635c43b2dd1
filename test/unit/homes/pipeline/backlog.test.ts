import { expect, test, vi } from 'vitest'
import { Backlog } from '../../../../src/homes/pipeline/run/backlog.js'
import type { Barrier } from '../../../../src/homes/pipeline/run/barriers.js'
import { Batch } from '../../../../src/source/batch.js'
import { StreamPosition } from '../../../../src/source/position.js'
import { BatchBuilder, textTable } from '../../../support/rowBatches.js'

const table = textTable('t', ['id'], [0])
const origin = { system: '1', timeline: 1, database: 'd', slot: 's', epoch: 1 }

function positionAt(lsn: number): StreamPosition {
  const at = BigInt(lsn)
  return new StreamPosition(origin, { lsn: at, seq: 0, sub: 0, end: at, fingerprint: 0, snapshot: undefined })
}

function batchAt(lsn: number): Batch {
  const { batch } = new BatchBuilder([table]).create([`${lsn}`])
  batch.bytes = 100
  batch.transactions[0] = { xid: 1, commitLsn: BigInt(lsn), commitTime: 0n }
  return new Batch(batch, positionAt(lsn), () => {})
}

const barrierAt = (id: number, more: object = {}) => {
  return { id, position: positionAt(id), together: false, durable: true, end: undefined, ...more }
}

function backlogOf(wishes = {}) {
  const onMore = vi.fn()
  const done = vi.fn()
  const backlog = new Backlog(wishes, onMore)
  const add = (lsn: number, held = false) => backlog.add(batchAt(lsn), held, () => done(lsn))
  const write = () => {
    const run = backlog.take()
    backlog.rests()
    backlog.wrote(run)
    return run.batch?.length
  }
  const pass = (barrier: Barrier) => {
    backlog.beginPass()
    return backlog.pass(barrier)
  }
  return { backlog, add, write, pass, onMore, done }
}

test('what was written is kept until a barrier behind it was passed, and comes once more until then', () => {
  const { backlog, add, write, pass, done } = backlogOf()
  add(1)
  add(2)
  backlog.addBarrier(barrierAt(2))
  expect([write(), write(), backlog.next]).toEqual([1, 1, barrierAt(2)])
  backlog.rewind()
  expect([backlog.next, backlog.bytes]).toEqual(['run', 200])
  expect([write(), write()]).toEqual([1, 1])
  const { kept, position } = pass(barrierAt(2))
  for (const one of kept) one.done?.()
  expect(done.mock.calls).toEqual([[1], [2]])
  expect([kept.map(({ records }) => records), position.place.lsn]).toEqual([[1, 1], 2n])
  expect([backlog.next, backlog.bytes, backlog.held]).toEqual([undefined, 0, 0])
})

test('what is held, and all behind it, waits for its barrier', () => {
  const { backlog, add, onMore } = backlogOf()
  add(1, true)
  backlog.addBarrier(barrierAt(1))
  add(2)
  expect([backlog.next, onMore.mock.calls.length]).toEqual([undefined, 0])
  backlog.release(1)
  expect([backlog.next, onMore.mock.calls.length]).toEqual(['run', 1])
})

test('a sink that is behind leaves out barriers behind which there is another one, and gets what lies between at once', () => {
  const { backlog, add, write, pass } = backlogOf({ gathersBytes: 1000 })
  for (let id = 1; id <= 3; id++) {
    add(id)
    backlog.addBarrier(barrierAt(id))
  }
  expect([write(), backlog.leavesOut()]).toEqual([3, false])
  expect(pass(barrierAt(3)).kept).toHaveLength(3)
})

test('none that is for all sinks together', () => {
  const { backlog, add, write } = backlogOf({ gathersBytes: 1000 })
  add(1)
  backlog.addBarrier(barrierAt(1, { together: true }))
  add(2)
  backlog.addBarrier(barrierAt(2))
  expect([write(), backlog.leavesOut()]).toEqual([1, false])
})

test('what the sink has already is not written, and it is behind a barrier where it was before', () => {
  const { backlog, add, write, pass } = backlogOf()
  backlog.skipTo({ position: positionAt(2), sameRun: true })
  add(1)
  backlog.addBarrier(barrierAt(1))
  add(3)
  backlog.addBarrier(barrierAt(3))
  expect(write()).toBeUndefined()
  expect(pass(barrierAt(1)).position.place.lsn).toBe(2n)
  expect(write()).toBe(1)
  expect(pass(barrierAt(3)).position.place.lsn).toBe(3n)
})

test('a letter is written by itself, and counts for no record', () => {
  const { backlog, add, write, pass } = backlogOf({ gathersBytes: 1000 })
  const rejected = vi.fn()
  backlog.addLetter(batchAt(9), { rejected })
  add(1)
  backlog.addBarrier(barrierAt(1))
  const run = backlog.take()
  expect([run.letter?.rejected, run.batch?.length]).toEqual([rejected, 1])
  backlog.wrote(run)
  expect(write()).toBe(1)
  expect(pass(barrierAt(1)).kept.map(({ records }) => records)).toEqual([1])
})

test('what is written while a barrier is being passed is kept behind it, and all comes once more if that fails', () => {
  const { backlog, add, write, done } = backlogOf()
  for (const id of [1, 2]) {
    add(id)
    backlog.addBarrier(barrierAt(id))
  }
  write()
  backlog.beginPass()
  expect([write(), backlog.next, backlog.bytes]).toEqual([1, barrierAt(2), 200])
  backlog.rewind()
  expect([write(), backlog.next]).toEqual([1, barrierAt(1)])
  backlog.beginPass()
  write()
  const passed = backlog.pass(barrierAt(1))
  expect([passed.kept.map(({ batch }) => String(batch.position)), backlog.bytes]).toEqual([
    [String(positionAt(1))],
    100,
  ])
  expect([backlog.next, done.mock.calls]).toEqual([barrierAt(2), []])
  backlog.beginPass()
  expect([backlog.pass(barrierAt(2)).kept.length, backlog.next, backlog.bytes]).toEqual([1, undefined, 0])
})
