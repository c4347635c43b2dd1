import { describe, expect, test } from 'vitest'
import type { ChangeCollector } from '../../../src/source/changeCollector.js'
import { OUTSIDE_TRANSACTION, StreamPosition } from '../../../src/source/position.js'
import {
  CAPTURED,
  collect,
  collectAll,
  collectorFrom,
  idleAt,
  ORIGIN,
  oidOf,
  place,
  relationOf,
  START,
  takeBatch,
} from '../../support/sourceHistory.js'
import { made } from '../../support/sourceMessages.js'
import { requireOrder } from '../../support/sourceReplay.js'

const LSN = 0x1100n
const END = 0x1130n
const [FIRST, SECOND, FOREIGN] = [oidOf(0), oidOf(1), oidOf(CAPTURED)]

const at = (fields: Parameters<typeof place>[0]) => new StreamPosition(ORIGIN, place(fields))
const shapes = [
  made.relation(relationOf(0, 2)),
  made.relation(relationOf(1, 2)),
  made.relation(relationOf(CAPTURED, 2)),
]
const row = (id: number) => [String(id), '7']
const outside = (lsn: bigint, prefix = 'kept') => made.message(false, lsn, prefix, 'outside')
const inside = (prefix = 'kept') => made.message(true, LSN - 8n, prefix, 'inside')

function transaction(...messages: Buffer[]): Buffer[] {
  return [made.begin(LSN), ...messages, made.commit(LSN, END)]
}

function feed(collector: ChangeCollector, ...messages: Buffer[]) {
  return collectAll(
    collector,
    [...shapes, ...messages].map((wal) => ({ wal })),
  )
}

function places(batch: Awaited<ReturnType<typeof feed>>): unknown[] {
  return batch.records.map(({ operation, id, key }) => [operation, id.replace('0/1100/', ''), ...(key ? [key.c0] : [])])
}

describe('what counts', () => {
  test('each row as the server sends it, also of tables that are not captured', async () => {
    const batch = await feed(
      collectorFrom(idleAt(START)),
      ...transaction(
        made.insert(FIRST, row(1)),
        made.insert(FOREIGN, row(2)),
        made.update(SECOND, row(3)),
        made.delete(FOREIGN, 'K', ['4', null]),
        made.delete(FIRST, 'K', ['5', null]),
      ),
    )
    expect(places(batch)).toEqual([
      ['create', '0', 1],
      ['update', '2', 3],
      ['delete', '4', 5],
    ])
    expect(batch.position.place).toEqual(place({ lsn: LSN, seq: 4, end: END }))
    expect(batch.confirmable).toBe(END)
  })

  test('each table of a truncate by itself, captured or not', async () => {
    const batch = await feed(
      collectorFrom(idleAt(START)),
      ...transaction(made.truncate([FIRST, FOREIGN, SECOND], 3), made.insert(SECOND, row(1))),
    )
    expect(places(batch)).toEqual([
      ['truncate', '0'],
      ['truncate', '2'],
      ['create', '3', 1],
    ])
    expect(batch.records[1]).toMatchObject({ table: 't1', cascade: true, restartIdentity: true })
  })

  test('messages have the number of the row before and an even one of their own, wanted or not', async () => {
    const batch = await feed(
      collectorFrom(idleAt(START)),
      ...transaction(
        inside(),
        inside('dropped'),
        inside(),
        made.insert(FIRST, row(1)),
        inside(),
        made.insert(FOREIGN, row(2)),
        inside('dropped'),
      ),
    )
    expect(places(batch)).toEqual([
      ['message', '-1/2'],
      ['message', '-1/6'],
      ['create', '0', 1],
      ['message', '0/2'],
    ])
    expect(batch.records[0]).toMatchObject({ prefix: 'kept', transactional: true, content: 'aW5zaWRl' })
    expect(batch.position.place).toEqual(place({ lsn: LSN, seq: 1, sub: 2, end: END }))
  })

  test('a schema record has the number of what is before it and an odd one of its own, and tells of a shape once', async () => {
    const wider = made.relation(relationOf(0, 3))
    const batch = await feed(
      collectorFrom(idleAt(START)),
      ...transaction(
        made.insert(FIRST, row(1)),
        inside('dropped'),
        inside(),
        wider,
        made.insert(SECOND, row(2)),
        made.insert(FIRST, [...row(3), '8']),
        made.insert(FIRST, [...row(4), '8']),
      ),
    )
    expect(places(batch)).toEqual([
      ['create', '0', 1],
      ['message', '0/4'],
      ['create', '1', 2],
      ['schema', '1/1'],
      ['create', '2', 3],
      ['create', '3', 4],
    ])
    expect(batch.records[3]!.columns).toHaveLength(3)
  })

  test('a schema record follows the messages before its row', async () => {
    const wider = made.relation(relationOf(0, 3))
    const messages = [inside(), inside('dropped'), wider, made.insert(FIRST, [...row(1), '8'])]
    const batch = await feed(collectorFrom(idleAt(START)), ...transaction(made.insert(FIRST, row(0)), ...messages))
    expect(places(batch).slice(1)).toEqual([
      ['message', '0/2'],
      ['schema', '0/5'],
      ['create', '1', 1],
    ])
  })

  test('tables that change their shape in one truncate are told of one by one', async () => {
    const batch = await feed(
      collectorFrom(idleAt(START)),
      made.relation(relationOf(0, 3)),
      made.relation(relationOf(1, 3)),
      ...transaction(made.truncate([FIRST, SECOND])),
    )
    expect(places(batch)).toEqual([
      ['schema', '-1/1'],
      ['truncate', '0'],
      ['schema', '0/1'],
      ['truncate', '1'],
    ])
    requireOrder(batch.records)
  })

  test('a transaction without rows of ours is a place to confirm, with nothing in it', async () => {
    const empty = await feed(collectorFrom(idleAt(START)), made.begin(LSN), made.commit(LSN, END))
    expect(empty.records).toEqual([])
    expect(empty.position.place).toEqual(place({ lsn: LSN, end: END }))
    expect(empty.confirmable).toBe(END)
    const filtered = await feed(
      collectorFrom(idleAt(START)),
      ...transaction(made.insert(FOREIGN, row(1)), inside('dropped')),
    )
    expect(filtered.records).toEqual([])
    expect(filtered.position.place).toEqual(place({ lsn: LSN, seq: 0, sub: 2, end: END }))
  })

  test('a batch taken in the middle of a transaction may confirm only what was whole before', async () => {
    const collector = collectorFrom(idleAt(START))
    const batch = await feed(collector, made.begin(LSN), made.insert(FIRST, row(1)))
    expect(batch.confirmable).toBe(START)
    expect(batch.position.place).toMatchObject({ lsn: LSN, seq: 0, end: undefined })
    expect(collector.betweenTransactions).toBe(false)
  })
})

describe('borders', () => {
  const next = (lsn: bigint, end: bigint) => [made.begin(lsn), made.insert(FIRST, row(9)), made.commit(lsn, end)]

  test('a commit that begins where the one before ends is not the one before', async () => {
    const resumed = collectorFrom(at({ lsn: LSN, seq: 3, end: END }))
    const batch = await feed(resumed, ...next(END, END + 48n))
    expect(batch.records.map(({ id }) => id)).toEqual(['0/1130/0'])
  })

  test('a commit that begins at an idle position was not read yet', async () => {
    const batch = await feed(collectorFrom(idleAt(LSN)), ...next(LSN, END))
    expect(batch.records.map(({ id }) => id)).toEqual(['0/1100/0'])
  })

  test('a transaction that ends before the position is skipped, whatever the LSNs of its rows', async () => {
    const collector = collectorFrom(at({ lsn: LSN, seq: 3, end: END }))
    const batch = await feed(collector, ...transaction(made.insert(FIRST, row(1))))
    expect(batch.records).toEqual([])
    expect(batch.position.place).toEqual(place({ lsn: LSN, seq: 3, end: END }))
    expect(batch.confirmable).toBe(END)
  })

  test('a message outside ends where the next commit begins, and both come, in this order', async () => {
    const batch = await feed(collectorFrom(idleAt(START)), outside(LSN), ...next(LSN, END))
    expect(batch.records.map(({ operation, id }) => [operation, id])).toEqual([
      ['message', '0/1100/-2'],
      ['create', '0/1100/0'],
    ])
    requireOrder(batch.records)
    const resumed = await feed(
      collectorFrom(StreamPosition.parse(batch.records[0]!.position)),
      outside(LSN),
      ...next(LSN, END),
    )
    expect(resumed.records.map(({ id }) => id)).toEqual(['0/1100/0'])
  })

  test('a message outside at or before the position is skipped', async () => {
    const batch = await feed(
      collectorFrom(at({ lsn: LSN, seq: 0, end: END })),
      outside(START),
      outside(END),
      outside(END + 8n),
    )
    expect(batch.records.map(({ id }) => id)).toEqual(['0/1138/-2'])
    expect(batch.confirmable).toBe(END + 8n)
    const { seq } = batch.position.place
    expect(seq).toBe(OUTSIDE_TRANSACTION)
  })

  test('an idle advance never goes back', () => {
    const collector = collectorFrom(idleAt(LSN))
    collector.idle(START)
    expect(collector.position).toEqual(idleAt(LSN))
    collector.idle(END)
    expect(collector.position).toEqual(idleAt(END))
  })
})

test('what was not asked for stops', () => {
  const collector = collectorFrom(idleAt(START))
  const streamStart = Buffer.from([0x53, 0, 0, 0, 1, 1])
  expect(() => collect(collector, { wal: streamStart })).toThrow(expect.objectContaining({ retry: 'never' }))
})

test('what is taken is gone, and the next batch begins empty', async () => {
  const collector = collectorFrom(idleAt(START))
  await feed(collector, ...transaction(made.insert(FIRST, row(1))))
  expect(collector.count).toBe(0)
  expect(collector.bytes).toBe(0)
  expect((await takeBatch(collector)).records).toEqual([])
})
