import { beforeEach, expect, test, vi } from 'vitest'
import type { KeyColumn } from '../../../../src/postgres/catalog/keyColumns.js'
import { KeyOrder } from '../../../../src/source/scan/keyOrder.js'
import { COMING, EXACT, GONE, HELD, KeySides, SHOWN } from '../../../../src/source/scan/keySides.js'
import { type TableProgress, unreadTable } from '../../../../src/source/scan/progress.js'
import { PASSED, type Reading } from '../../../../src/source/scan/stretches.js'
import { DROP, EMIT, WAIT } from '../../../../src/source/scan/verdict.js'

const id: KeyColumn = {
  name: 'id',
  typeOid: 23,
  typeName: 'integer',
  collate: '',
  byBytes: false,
  operators: 'pg_catalog',
}
const onUnproved = vi.fn()
const onUnknownKey = vi.fn()
beforeEach(() => vi.clearAllMocks())

/** Shows transactions below 100. */
const reading: Reading = { snapshot: '100:100:', until: 1000n }
const early = { xid: 99, commitLsn: 900n, commitTime: 0n }
const late = { xid: 100, commitLsn: 950n, commitTime: 0n }

const unread = unreadTable({ oid: 1, id: 's', schema: 'public', name: 't', key: ['id'] })
/** Up to 10 passed, up to 20 read, the rest to be read. */
const half: TableProgress = {
  ...unread,
  stretches: [
    { to: ['10'], read: PASSED },
    { to: ['20'], read: reading },
    { to: undefined, read: undefined },
  ],
}
const sidesOf = (column: KeyColumn = id) => new KeySides({ order: new KeyOrder([column]), onUnproved, onUnknownKey })

test('a key that was passed, or read without the change, is not shown', () => {
  const sides = sidesOf()
  expect([sides.of(['5'], half, early), sides.of(['15'], half, early), sides.of(['15'], half, late)]).toEqual([
    EMIT,
    SHOWN,
    EMIT,
  ])
  // Whatever the snapshot says: it shows nothing that commits so late.
  expect(sides.of(['15'], half, { ...early, commitLsn: 1000n })).toBe(EMIT)
  const exact = half.stretches.map((one) =>
    one.read === reading ? { ...one, read: { ...reading, exact: true as const } } : one,
  )
  expect(sides.of(['15'], { ...half, stretches: exact }, early)).toBe(EXACT)
})

test('of a key to be read, before its chunk is opened, the transaction is to be proved', () => {
  const sides = sidesOf()
  expect(sides.of(['25'], half, late)).toBe(COMING)
  expect(onUnproved).toHaveBeenCalledExactlyOnceWith(late, 1)
  expect(sides.of(['25'], { ...half, again: true }, late)).toBe(EMIT)
})

test('while a snapshot is taken what it may show waits; then what the chunk does not show', () => {
  const sides = sidesOf()
  sides.asks()
  expect([sides.of(['25'], half, early), sides.of(['5'], half, early)]).toEqual([WAIT, EMIT])
  sides.reads(2, reading)
  expect([sides.of(['25'], half, early), sides.of(['25'], half, late)]).toEqual([COMING, WAIT])
  expect([sides.isBehindChunk(early), sides.isBehindChunk(late)]).toEqual([false, true])
  sides.moves(3)
  expect(sides.chunk).toMatchObject({ stretch: 3, reading })
  sides.rests()
  expect([sides.chunk, sides.isBehindChunk(late)]).toEqual([undefined, false])
  expect(onUnproved).not.toHaveBeenCalled()
})

test('a row that was read by itself is held or gone, where its key is told by its bytes', () => {
  const found = (found?: boolean): TableProgress => ({ ...half, apart: [{ key: ['5'], read: reading, found }] })
  const sides = sidesOf()
  expect([found(true), found(false), found()].map((progress) => sides.of(['5'], progress, early))).toEqual([
    HELD,
    GONE,
    DROP,
  ])
  expect(sides.of(['5'], found(true), late)).toBe(EMIT)
  expect(sidesOf({ ...id, alike: true }).of(['5'], found(true), early)).toBe(DROP)
})

test('where the server alone knows the order of keys, it is asked', () => {
  const sides = sidesOf({ ...id, typeOid: 1700, typeName: 'numeric' })
  expect(sides.of(['15'], half, early)).toBe(WAIT)
  expect(onUnknownKey).toHaveBeenCalledExactlyOnceWith(['15'])
  expect(sides.of(['15'], unread, early)).toBe(COMING)
})
