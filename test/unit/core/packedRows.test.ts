import { expect, test } from 'vitest'
import { packedLength, packRows, unpackRows } from '../../../src/core/packedRows.js'
import { BatchBuilder, textTable } from '../../support/rowBatches.js'

const table = textTable('t', ['a', 'b'], [0])

test('a batch is the same again, over memory of its own, also where there is more of that than it takes', () => {
  const { batch } = new BatchBuilder([table])
    .create(['1', 'one'])
    .update(['1', undefined], ['1', null])
    .delete(['1', null])
  batch.snapshotId = 's'
  for (const more of [0, 100]) {
    const memory = new ArrayBuffer(packedLength(batch) + more)
    const packed = packRows(batch, memory)
    const again = unpackRows(packed, memory, [table])
    expect(again.count).toBe(batch.count)
    expect([...again.heads]).toEqual([...batch.heads.subarray(0, again.heads.length)])
    expect([...again.tape.values]).toEqual([...batch.tape.values.subarray(0, batch.tape.length)])
    expect(again.buffers.map(String)).toEqual(batch.buffers.map(String))
    expect(again.views.map(({ byteLength }) => byteLength)).toEqual(batch.buffers.map(({ length }) => length))
    expect([again.tables, again.transactions, again.snapshotId]).toEqual([[table], batch.transactions, 's'])
    // What happens to the batch is no matter any more.
    expect([...again.buffers, again.heads, again.tape.values].every(({ buffer }) => buffer === memory)).toBe(true)
  }
})
