import { expect, test } from 'vitest'
import { Unproved } from '../../../../src/source/scan/unproved.js'

const transaction = (xid: number) => ({ xid, commitLsn: BigInt(xid), commitTime: 0n })

function unprovedOf(...added: [xid: number, oid: number][]): Unproved {
  const unproved = new Unproved()
  for (const [xid, oid] of added) unproved.add(transaction(xid), oid)
  return unproved
}

const list = ({ transactions }: Unproved) => transactions.map(({ xid, tables }) => [xid, ...tables])

test('a transaction is kept once, with the tables that it concerns', () => {
  const unproved = unprovedOf([10, 1], [10, 1], [10, 2], [11, 1])
  expect(list(unproved)).toEqual([
    [10, 1, 2],
    [11, 1],
  ])
  const before = unproved.transactions
  unproved.add(transaction(11), 1)
  expect(unproved.transactions).toBe(before)
})

test('a snapshot must show those of its own table only', () => {
  const unproved = unprovedOf([10, 1], [11, 2])
  expect(unproved.provedBy('11:12:11', 1)).toBe(true)
  expect(unproved.provedBy('11:12:11', 2)).toBe(false)
  expect(unproved.provedBy('12:12:', 2)).toBe(true)
})

test('what a snapshot shows is proved for tables that are read later, and for no others', () => {
  const unproved = unprovedOf([10, 1], [10, 2], [11, 1], [12, 2])
  unproved.prune('11:13:11', (oid) => oid === 1)
  expect(list(unproved)).toEqual([
    [10, 2],
    [11, 1],
    [12, 2],
  ])
  unproved.prune('13:13:', () => true)
  expect(list(unproved)).toEqual([])
})

test('a table that is left takes its own along', () => {
  const unproved = unprovedOf([10, 1], [10, 2], [11, 1])
  unproved.drop(1)
  expect(list(unproved)).toEqual([[10, 2]])
})

test('those of a position go on being kept', () => {
  const unproved = new Unproved(unprovedOf([10, 1]).transactions)
  expect(unproved.provedBy('10:11:10', 1)).toBe(false)
})
