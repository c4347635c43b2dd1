import { expect, test } from 'vitest'
import type { Transaction } from '../../../../src/core/record.js'
import { formatLsn, type Lsn } from '../../../../src/postgres/lsn.js'
import { KeyOrder } from '../../../../src/source/scan/keyOrder.js'
import { type TableProgress, unreadTable } from '../../../../src/source/scan/progress.js'
import { TableScan } from '../../../../src/source/scan/tableScan.js'
import { Unproved } from '../../../../src/source/scan/unproved.js'
import { DROP, EMIT, ONLY_CREATE, ONLY_DELETE, type ScannedChange, WAIT } from '../../../../src/source/scan/verdict.js'

const OID = 16_400
const INT4 = { name: 'id', typeOid: 23, typeName: 'int4', collate: '', byBytes: true, operators: 'pg_catalog' }
/** Shows what ended before 100 began but 90, which was open; read when the WAL was at 5000. */
const SNAPSHOT = { snapshot: '90:100:90', until: 5000n }

const at = (xid: number, commitLsn: Lsn): Transaction => ({ xid, commitLsn, commitTime: undefined })
const VISIBLE = at(80, 3000n)
/** Its rows lie before the snapshot in the WAL, its commit behind it. */
const OPEN = at(90, 6000n)
/** Decoded, and not visible: it waits for a synchronous standby. */
const UNSEEN = at(90, 4000n)

interface Scanned {
  readonly scan: TableScan
  readonly unproved: Unproved
  readonly apart: string[]
  /** How often it told that its progress is another one. */
  readonly told: { overtaken: number }
}

/** Rows up to key 50 were read in `SNAPSHOT`; the rest is still to be read. */
function halfRead(table: Partial<TableProgress> = {}): Scanned {
  const made = scanOf(table)
  made.scan.asks()
  made.scan.reads(SNAPSHOT)
  made.scan.delivered(['50'])
  made.scan.rests()
  return made
}

function scanOf(table: Partial<TableProgress> = {}): Scanned {
  const unproved = new Unproved()
  const apart: string[] = []
  const told = { overtaken: 0 }
  const progress = { ...unreadTable({ oid: OID, id: '0/1', schema: 'public', name: 't', key: ['id'] }), ...table }
  const scan = new TableScan(progress, {
    order: new KeyOrder([INT4]),
    onUnproved: (transaction, oid) => unproved.add(transaction, oid),
    onUnknownKey: () => {},
    onOvertaken: () => {
      told.overtaken++
    },
    onApart: (key) => apart.push(key.join()),
  })
  return { scan, unproved, apart, told }
}

const insert = (key: string): ScannedChange => change('insert', undefined, key)
const update = (key: string): ScannedChange => change('update', undefined, key)
const remove = (key: string): ScannedChange => change('delete', key, undefined)
const move = (from: string, to: string, partial = false): ScannedChange => change('update', from, to, partial)

function change(operation: 'insert' | 'update' | 'delete', from?: string, to?: string, partial = false): ScannedChange {
  return { operation, oldKey: from?.split(','), newKey: to?.split(','), partial }
}

test('a change of a row that was read goes on unless the snapshot shows its transaction, wherever its LSN lies', () => {
  const { scan } = halfRead()
  for (const one of [insert('7'), update('7'), remove('7')]) {
    expect(scan.judge(one, VISIBLE)).toBe(DROP)
    expect(scan.judge(one, OPEN)).toBe(EMIT)
    expect(scan.judge(one, UNSEEN)).toBe(EMIT)
    expect(scan.judge(one, at(120, 7000n))).toBe(EMIT)
  }
})

test('a snapshot is kept until the stream has reached the WAL where it was taken, with nothing open in it, too', () => {
  const { scan } = scanOf()
  scan.asks()
  scan.reads({ snapshot: '100:100:', until: 5000n })
  scan.delivered(undefined)
  scan.rests()
  scan.passed(4999n)
  expect(scan.over).toBe(false)
  expect(scan.judge(insert('7'), at(99, 4999n))).toBe(DROP)
  scan.passed(5000n)
  expect(scan.over).toBe(true)
})

test('a change of a row still to be read is left to the chunk, whose snapshot must show its transaction', () => {
  const { scan, unproved } = halfRead()
  expect(scan.judge(update('60'), UNSEEN)).toBe(DROP)
  expect(unproved.provedBy('90:100:90', OID)).toBe(false)
  expect(unproved.provedBy('95:100:', OID)).toBe(true)
  // Not that of another table.
  expect(unproved.provedBy('90:100:90', OID + 1)).toBe(true)
  unproved.prune('90:100:90', () => true)
  expect(unproved.transactions).toHaveLength(1)
  unproved.prune('95:100:', () => true)
  expect(unproved.transactions).toHaveLength(0)
})

test('while a chunk is read what its snapshot does not show waits for its rows', () => {
  const { scan } = halfRead()
  scan.asks()
  expect(scan.judge(update('60'), VISIBLE)).toBe(WAIT)
  expect(scan.judge(update('40'), OPEN)).toBe(EMIT)
  scan.reads({ snapshot: '90:130:90', until: 7000n })
  expect(scan.judge(update('60'), OPEN)).toBe(WAIT)
  expect(scan.judge(update('60'), at(120, 6500n))).toBe(DROP)
  scan.delivered(undefined)
  expect(scan.judge(update('60'), OPEN)).toBe(EMIT)
})

test('a change of the key is judged for both keys', () => {
  const { scan, apart } = halfRead()
  // From what was read into what is to be read: the row is gone there, and will be read here.
  expect(scan.judge(move('7', '60'), OPEN)).toBe(ONLY_DELETE)
  // The other way: nobody has had the row; without all its values it must be read by itself.
  expect(scan.judge(move('60', '7'), OPEN)).toBe(ONLY_CREATE)
  expect(scan.judge(move('60', '7', true), OPEN)).toBe(WAIT)
  expect(apart).toEqual(['7'])
  expect(scan.judge(move('60', '70'), OPEN)).toBe(DROP)
  expect(scan.judge(move('7', '8'), OPEN)).toBe(EMIT)
  expect(scan.judge(move('7', '8'), VISIBLE)).toBe(DROP)
})

test('a truncate has all rows read once more, under other ids', () => {
  const { scan } = halfRead()
  expect(scan.truncate(OPEN, 4)).toBe(true)
  expect(scan.progress.stretches).toEqual([{ to: undefined, read: undefined }])
  expect(scan.progress.id).toBe(`${formatLsn(OPEN.commitLsn)}/4`)
  // Nothing was left to rows that a truncate could have wiped.
  const { scan: read } = scanOf()
  read.reads(SNAPSHOT)
  read.delivered(undefined)
  expect(read.truncate(at(120, 7000n), 0)).toBe(false)
})

test('of a table that is read once more nothing is lost that was deleted and made again before the snapshot', () => {
  const { scan } = halfRead({ again: true })
  // The consumer may have the row from before; and after the delete it has none.
  expect(scan.judge(remove('7'), VISIBLE)).toBe(EMIT)
  expect(scan.judge(insert('7'), VISIBLE)).toBe(EMIT)
  expect(scan.judge(move('7', '60'), VISIBLE)).toBe(EMIT)
  expect(scan.judge(move('60', '7'), VISIBLE)).toBe(EMIT)
  expect(scan.judge(update('60'), VISIBLE)).toBe(EMIT)
})

test('of rows that the consumer may have from behind its position it is told what becomes of none, and when they are gone', () => {
  const { scan, apart, unproved } = halfRead({ more: true })
  // Still to be read: the row itself comes, but not that there is none.
  expect(scan.judge(insert('60'), VISIBLE)).toBe(DROP)
  expect(scan.judge(change('update', undefined, '60', true), VISIBLE)).toBe(DROP)
  expect(scan.judge(remove('60'), UNSEEN)).toBe(EMIT)
  expect(unproved.provedBy('90:100:90', OID)).toBe(false)
  expect(scan.judge(move('60', '70', true), OPEN)).toBe(ONLY_DELETE)
  expect(scan.judge(move('60', '7'), OPEN)).toBe(EMIT)
  // Nobody knows whether the consumer has what was not sent.
  expect(scan.judge(move('60', '7', true), OPEN)).toBe(WAIT)
  expect(apart).toEqual(['7'])
  const apart7 = { snapshot: '100:100:', until: 8000n }
  scan.deliveredApart(['7'], apart7, true)
  expect(scan.judge(move('60', '7', true), OPEN)).toBe(ONLY_DELETE)
  expect(scan.progress.overtaken).toEqual([])
  // It was made again, and has come.
  expect(scan.judge(remove('7'), at(95, 6500n))).toBe(DROP)
  scan.deliveredApart(['7'], apart7, false)
  // Gone before it was read by itself, which an earlier run may have done before that.
  expect(scan.judge(remove('7'), at(95, 6500n))).toBe(EMIT)
  expect(scan.judge(insert('7'), at(95, 6600n))).toBe(DROP)
  expect(scan.progress.overtaken).toEqual([])
  // Read, and gone by then: an earlier run may have read it before.
  expect(scan.judge(remove('8'), VISIBLE)).toBe(EMIT)
  // An earlier run may have handed on what came behind it: the row as it is by now.
  expect(scan.judge(insert('8'), VISIBLE)).toBe(WAIT)
  expect(apart.at(-1)).toBe('8')
  scan.deliveredApart(['8'], apart7, true)
  expect(scan.progress.overtaken).toEqual([])
  expect(scan.judge(insert('8'), VISIBLE)).toBe(DROP)
  expect(scan.judge(update('8'), at(130, 9000n))).toBe(EMIT)
  expect(scan.judge(insert('9'), VISIBLE)).toBe(DROP)
  expect(scan.judge(move('9', '60'), VISIBLE)).toBe(ONLY_DELETE)
})

test('behind an insert that went on before the rows of a table without a key there is no going on', () => {
  const { scan, told } = scanOf({ key: [] })
  const create: ScannedChange = { operation: 'insert', oldKey: undefined, newKey: [], partial: false }
  scan.asks()
  scan.reads(SNAPSHOT)
  expect(scan.judge(create, VISIBLE)).toBe(DROP)
  expect([scan.progress.begun, told.overtaken]).toEqual([false, 0])
  // In another snapshot it would be a row.
  expect(scan.judge(create, OPEN)).toBe(EMIT)
  expect([scan.progress.begun, told.overtaken]).toEqual([true, 1])
  scan.delivered(undefined)
  expect(scan.progress.begun).toBe(false)
  expect(scan.judge(create, OPEN)).toBe(EMIT)
  expect(scan.progress.begun).toBe(false)
})
