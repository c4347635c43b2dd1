import { beforeEach, describe, expect, test } from 'vitest'
import { joinRows } from '../../../src/core/joinedRows.js'
import { CREATE, HEAD, RowBatch } from '../../../src/core/rowBatch.js'
import { SpareMemory } from '../../../src/core/spareMemory.js'
import { readCopyRow } from '../../../src/postgres/copy/row.js'
import { BatchBuilder, textTable } from '../../support/rowBatches.js'

const table = textTable('t', ['id', 'note'], [0])
const batchOf = (id: string) => new BatchBuilder([table]).create([id, 'x']).batch

/** Of more numbers than are not worth being kept for others. */
function largeBatch(rows = 200): RowBatch {
  const builder = new BatchBuilder([table])
  for (let id = 0; id < rows; id++) builder.create([String(id), 'x'])
  builder.batch.tape.reserve(2000)
  return builder.batch
}

/** Writes all over whatever memory a batch to come gets. */
function overwrite(like: RowBatch): RowBatch {
  const next = new RowBatch(like)
  for (let count = 0; count < 50; count++) next.add(CREATE, 7, 7, 7, 7, 7, 7, 7)
  next.tape.values.fill(9)
  return next
}

/** Files of the same worker may have left memory of any size to those that come after them. */
beforeEach(() => {
  for (let taken = 0; taken < 48; taken++) {
    new RowBatch(largeBatch())
    RowBatch.headsFor(200)
    RowBatch.tapeFor(2000)
  }
})

test('numbers of a batch that was given up are those of one to come', () => {
  const batch = largeBatch()
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
  const [small, large] = [largeBatch(), batchOf('2')]
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

describe('a batch that takes the place of another one', () => {
  const spare = new SpareMemory(64, 4)

  test('has what both share, and what only the other one had is for others at once', () => {
    const before = largeBatch()
    const { heads, tape, count } = before
    const made = RowBatch.headsFor(count)
    made.set(heads.subarray(0, count * HEAD))
    const after = before.derive({ heads: made })
    after.replaces(before, false)
    expect(RowBatch.headsFor(count)).toBe(heads)
    expect([after.heads === made, after.tape === tape, after.count]).toEqual([true, true, count])
    after.giveUpLines()
    expect(RowBatch.headsFor(count)).toBe(made)
    expect(RowBatch.tapeFor(tape.values.length)).toBe(tape)
  })

  test('gives it up with itself where somebody still asks it', () => {
    const before = largeBatch()
    const { heads, count } = before
    const after = before.derive({ heads: heads.slice(), tape: RowBatch.tapeFor(before.tape.length) })
    after.replaces(before, true)
    expect(before.heads).toBe(heads)
    after.giveUpLines()
    expect([RowBatch.headsFor(count), RowBatch.headsFor(count)]).toContain(heads)
  })

  test('lets go of the memory that it was made in when nobody has it any more', () => {
    const [first, second] = [spare.take(), spare.take()]
    const { batch } = new BatchBuilder([table]).create(['1', 'x'])
    const one = batch.derive({ buffers: [first.buffer], memory: [first] })
    const same = one.derive({ tables: [table] })
    same.replaces(one, false)
    expect(spare.take().buffer).not.toBe(first.buffer)
    const other = same.derive({ buffers: [second.buffer], memory: [second] })
    other.replaces(same, false)
    expect(spare.take().buffer).toBe(first.buffer)
    other.giveUpLines()
    expect(spare.take().buffer).toBe(second.buffer)
  })

  test('without that nothing of it is anybody else’s', () => {
    const before = largeBatch()
    const { heads, count } = before
    before.derive({ tables: [table] }).giveUpLines()
    before.giveUpLines()
    expect(before.heads).toBe(heads)
    expect(RowBatch.headsFor(count)).not.toBe(heads)
  })
})

describe('lines', () => {
  const spare = new SpareMemory(64, 4)
  const linesOf = (text: string): { batch: RowBatch; buffer: Buffer } => {
    const memory = spare.take()
    const length = memory.buffer.write(text)
    const lines = {
      ...{ table: 0, bytes: memory.buffer.subarray(0, length), ends: Int32Array.of(length), columns: 2, memory },
      ...{ read: readCopyRow, onRead: () => {} },
    }
    return { batch: RowBatch.ofLines([lines], [table], 'x', false), buffer: memory.buffer }
  }

  test('given up, their memory is for others, once, however many batches share it', () => {
    const { batch, buffer } = linesOf('1\tx\n')
    const renamed = batch.withTables([table])
    batch.giveUpLines()
    renamed.giveUpLines()
    expect(spare.take().buffer).toBe(buffer)
    expect(spare.take().buffer).not.toBe(buffer)
    expect(batch.count).toBe(1)
    expect(() => batch.rowAt(0)).toThrow(RangeError)
  })

  test('of joined ones it is that of the batches, and what somebody looked into is kept', () => {
    const [one, two] = [linesOf('1\tx\n'), linesOf('2\ty\n')]
    joinRows([one.batch, two.batch]).giveUpLines()
    expect([one, two].map(({ batch }) => batch.rowAt(0).bytes.toString())).toEqual(['1\tx\n', '2\ty\n'])
    const { heads } = one.batch
    expect(heads).toHaveLength(HEAD)
    one.batch.giveUpLines()
    expect(spare.take().buffer).not.toBe(one.buffer)
  })

  test('counted, they are read where they lie; taken by somebody, they are copied for that', () => {
    const [counted, taken] = [linesOf('1\tx\n'), linesOf('2\ty\n')]
    expect(counted.batch.lineCounts).toEqual([{ table: 0, count: 1 }])
    expect(taken.batch.lines).toHaveLength(1)
    const isIn = ({ batch, buffer }: ReturnType<typeof linesOf>) => batch.buffers[0]!.buffer === buffer.buffer
    expect([counted, taken].map(isIn)).toEqual([true, false])
    expect(counted.batch.lineCounts).toBe(undefined)
    counted.batch.giveUpLines()
    taken.batch.giveUpLines()
    const memory = spare.take().buffer
    expect(memory).toBe(counted.buffer)
  })
})

test('what is held for a batch is its bytes, and its own numbers, with those of one that is still asked', () => {
  const batch = largeBatch()
  batch.bytes = 10_000
  const numbers = 4 * (batch.heads.length + batch.tape.values.length)
  expect(batch.heldBytes).toBe(10_000 + numbers)
  const heads = batch.heads.slice()
  const made = batch.derive({ heads, ownBytes: 500 })
  expect(made.heldBytes).toBe(10_500 + 4 * heads.length)
  made.replaces(batch, true)
  expect(made.heldBytes).toBe(10_500 + 4 * heads.length + numbers)
  made.giveUpLines()
  expect(made.heldBytes).toBe(10_500)
})
