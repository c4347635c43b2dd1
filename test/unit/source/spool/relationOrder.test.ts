import { expect, test } from 'vitest'
import { RelationOrder, StreamedRelations } from '../../../../src/source/spool/relationOrder.js'

/** A description of relation `oid` that is told from others by its letter. */
const described = (oid: number, letter: string) => {
  const bytes = Buffer.alloc(6)
  bytes.write('R')
  bytes.writeUInt32BE(oid, 1)
  bytes.write(letter, 5)
  return bytes
}
const letters = (again: readonly Buffer[]) => again.map((bytes) => bytes.toString('latin1', 5))

function order() {
  const relations = new RelationOrder()
  return {
    commit: (streamed: StreamedRelations) => letters(relations.commit(streamed)),
    common: (oid: number, letter: string) => relations.common(described(oid, letter), 0, 6),
    streamed: (to: StreamedRelations, oid: number, letter: string, position: number) =>
      relations.streamed(to, described(oid, letter), 0, 6, position),
  }
}

test('what was described meanwhile is told again behind the transaction', () => {
  const { commit, common, streamed } = order()
  const transaction = new StreamedRelations()
  streamed(transaction, 1, 'a', 0)
  streamed(transaction, 2, 'a', 10)
  common(1, 'b')
  common(3, 'b')
  expect(commit(transaction)).toEqual(['b'])
})

test('what the transaction described last is the last', () => {
  const { commit, common, streamed } = order()
  const transaction = new StreamedRelations()
  streamed(transaction, 1, 'a', 0)
  common(1, 'b')
  streamed(transaction, 1, 'c', 10)
  expect(commit(transaction)).toEqual([])
})

test.each([
  [20, []],
  [10, ['b']],
])('said again unchanged behind another, it is the last, unless that is rolled back (to %i)', (position, again) => {
  const { commit, common, streamed } = order()
  const transaction = new StreamedRelations()
  streamed(transaction, 1, 'a', 0)
  common(1, 'b')
  streamed(transaction, 1, 'a', 10)
  transaction.cut(position)
  expect(commit(transaction)).toEqual(again)
})

test('one transaction commits amid another', () => {
  const { commit, streamed } = order()
  const [first, second] = [new StreamedRelations(), new StreamedRelations()]
  streamed(first, 1, 'a', 0)
  streamed(second, 1, 'b', 0)
  expect(commit(second)).toEqual([])
  expect(commit(first)).toEqual(['b'])
})

test('a thousand descriptions alike are one', () => {
  const { streamed } = order()
  const transaction = new StreamedRelations()
  for (let position = 0; position < 1000; position++) streamed(transaction, 1, 'a', position)
  transaction.cut(1)
  expect(letters([...transaction.all()].map(({ bytes }) => bytes))).toEqual(['a'])
  transaction.cut(0)
  expect([...transaction.all()]).toEqual([])
})
