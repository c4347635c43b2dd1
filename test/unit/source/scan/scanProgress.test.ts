import { expect, test } from 'vitest'
import { KeyOrder } from '../../../../src/source/scan/keyOrder.js'
import { unreadTable } from '../../../../src/source/scan/progress.js'
import { ScanProgress } from '../../../../src/source/scan/scanProgress.js'
import { TableScan } from '../../../../src/source/scan/tableScan.js'
import { Unproved } from '../../../../src/source/scan/unproved.js'
import { place } from '../../../support/sourceHistory.js'

const reading = { snapshot: '100:100:', until: 500n }
const nothing = () => {}

function scanBy(key: readonly string[]): TableScan {
  const order = new KeyOrder(
    key.map((name) => ({ name, typeOid: 23, typeName: 'integer', collate: '', byBytes: false, operators: '' })),
  )
  const progress = unreadTable({ oid: 1, id: 's', schema: 'public', name: 't', key })
  const scan = new TableScan(progress, {
    order,
    onUnproved: nothing,
    onUnknownKey: nothing,
    onApart: nothing,
    onOvertaken: nothing,
  })
  scan.reads(reading)
  return scan
}

function progressOf(...tables: TableScan[]) {
  const scans = new Map(tables.map((scan, oid) => [oid, scan]))
  const unproved = new Unproved()
  return { scans, unproved, progress: new ScanProgress({ scans, unproved, resumed: { id: 's', rows: 7 } }) }
}

test('behind each row of a piece the table is read up to that row, whatever is handed on afterwards', () => {
  const scan = scanBy(['id'])
  const { progress } = progressOf(scan)
  const keys = [['3'], ['5']]
  const at = progress.ofPiece(scan, { reading, keyOf: (row) => keys[row] })
  progress.counts(2)
  scan.delivered(['5'])
  expect([at(0).rows, at(1).rows]).toEqual([8, 9])
  expect(at(0).tables![0]!.stretches).toEqual([
    { to: ['3'], read: reading },
    { to: undefined, read: undefined },
  ])
  expect(at(1)).toEqual(progress.now())
  expect(at.steps).toMatchObject({ base: { rows: 7 }, stretch: { oid: 1, index: 0, read: reading } })
  expect(at.steps!.stretch!.keyOf(1)).toEqual(['5'])
})

test('of a table that is read whole only that it was begun', () => {
  const scan = scanBy([])
  const at = progressOf(scan).progress.ofPiece(scan, { reading, keyOf: () => undefined })
  expect([at(0).rows, at(1).rows, at.steps!.stretch]).toEqual([8, 9, undefined])
  expect([at(1).tables![0]!.begun, at.steps!.base.rows]).toEqual([true, 7])
})

test('a position says nothing when no table is left, but for the last place at which something was said', () => {
  const { progress, scans, unproved } = progressOf(scanBy(['id']))
  const here = place({ lsn: 1n })
  const said = progress.at(here)
  expect(progress.at(place({ lsn: 1n }))).toBe(said)
  unproved.add({ xid: 9, commitLsn: 90n, commitTime: 0n }, 1)
  expect(progress.at(here)!.unproved).toHaveLength(1)
  scans.clear()
  progress.counts()
  expect(progress.at(here)).toMatchObject({ rows: 8, tables: [] })
  expect(progress.at(place({ lsn: 2n }))).toBeUndefined()
})
