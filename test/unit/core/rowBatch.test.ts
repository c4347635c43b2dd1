import { expect, test } from 'vitest'
import { CREATE, RowBatch } from '../../../src/core/rowBatch.js'
import { BatchBuilder, textTable } from '../../support/rowBatches.js'

const table = textTable('t', ['id', 'note'], [0])
const batchOf = (id: string) => new BatchBuilder([table]).create([id, 'x']).batch

/** Writes all over whatever memory a batch to come gets. */
function overwrite(like: RowBatch): RowBatch {
  const next = new RowBatch(like)
  for (let count = 0; count < 50; count++) next.add(CREATE, 7, 7, 7, 7, 7, 7, 7)
  next.tape.values.fill(9)
  return next
}

test('numbers of a batch that was given up are those of one to come', () => {
  const batch = batchOf('1')
  const { heads, tape, count } = batch
  batch.giveUp()
  expect(batch.count).toBe(count)
  const next = new RowBatch(batch)
  expect(next.heads).toBe(heads)
  expect(next.tape).toBe(tape)
  expect([next.count, next.tape.length]).toEqual([0, 0])
  // Once.
  batch.giveUp()
  expect(new RowBatch(batch).heads).not.toBe(heads)
})

test('what is too small for the batch to come is left', () => {
  const [small, large] = [batchOf('1'), batchOf('2')]
  for (let count = 0; count < 1000; count++) large.add(CREATE, 0, 0, count, 0, 0, -4, 0)
  const { heads } = small
  small.giveUp()
  expect(new RowBatch(large).heads).not.toBe(heads)
})

test('numbers that another batch has, too, are nobody else’s', () => {
  const whole = new BatchBuilder([table]).create(['1', 'x']).create(['2', 'y']).batch
  const part = whole.part(1, 2)
  const numbers = () =>
    [whole, part].map(({ heads, tape }) => [...heads.slice(0, 9), ...tape.values.slice(0, tape.length)])
  const before = numbers()
  whole.giveUp()
  overwrite(whole)
  part.giveUp()
  overwrite(part)
  expect(numbers()).toEqual(before)
})
