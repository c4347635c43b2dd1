import fc from 'fast-check'
import { expect, test } from 'vitest'
import { ByteWriter } from '../../../../src/core/byteWriter.js'
import { HeldRecords } from '../../../../src/homes/airbyte/read/heldRecords.js'
import { StreamLines } from '../../../../src/homes/airbyte/read/streamLines.js'

const ALL = Number.POSITIVE_INFINITY
const stream = (name: string, number: number) =>
  new StreamLines({ descriptor: { name }, mode: 'incremental', key: undefined, fields: undefined }, number)

/** What it writes, without the status that stands behind a stream's first records. */
function written(held: HeldRecords, keep = 0, atMost = ALL): string[] {
  const writer = new ByteWriter()
  held.write(writer, keep, atMost)
  const lines = writer.toBuffer().toString('latin1').split('\n').slice(0, -1)
  return lines.filter((line) => !line.includes('RUNNING'))
}

test('of each key and stream the last line, in the order in which keys were touched first', () => {
  const [a, b] = [stream('a', 0), stream('b', 1)]
  const held = new HeldRecords()
  held.hold(a, '1', 'a1 first\n', true)
  held.hold(b, '1', 'b1\n', true)
  held.hold(a, '2', 'a2\n', true)
  held.hold(a, '1', 'a1 last \xff\n', true)
  expect(written(held)).toEqual(['a1 last \xff', 'b1', 'a2'])
  expect([a.records, b.records, held.bytes]).toEqual([2, 1, 0])
})

test('a line that lacks columns stands behind what is held of its key, until a whole one comes', () => {
  const a = stream('a', 0)
  const held = new HeldRecords()
  held.hold(a, '1', 'whole\n', true)
  held.hold(a, '1', 'without the large one\n', false)
  expect(written(held)).toEqual(['whole', 'without the large one'])
  expect(a.records).toBe(2)
  held.hold(a, '1', 'without\n', false)
  held.hold(a, '1', 'whole again\n', true)
  expect(written(held)).toEqual(['whole again'])
  expect(a.records).toBe(3)
})

test('rows without a key are all kept, and what is separated is not folded with what was before', () => {
  const a = stream('a', 0)
  const held = new HeldRecords()
  held.hold(a, undefined, 'x\n', true)
  held.hold(a, undefined, 'x\n', true)
  held.hold(a, '1', 'before\n', true)
  held.separate()
  held.hold(a, '1', 'behind\n', true)
  expect(written(held)).toEqual(['x', 'x', 'before', 'behind'])
})

test('whatever is written between: all that came before the oldest that is held was written, and of every key the last comes last', () => {
  const change = fc.record({ key: fc.integer({ min: 0, max: 6 }), whole: fc.boolean(), write: fc.boolean() })
  fc.assert(
    fc.property(fc.array(change, { maxLength: 60 }), fc.integer({ min: 0, max: 2000 }), (changes, keep) => {
      const a = stream('a', 0)
      const held = new HeldRecords()
      const out: string[] = []
      const last = new Map<number, string>()
      changes.forEach(({ key, whole, write }, number) => {
        expect(held.next).toBe(number)
        held.hold(a, String(key), `${key}:${number}\n`, whole)
        last.set(key, `${key}:${number}`)
        if (!write) return
        out.push(...written(held, keep, 40))
        // A place before the oldest can be stated: of each key touched there nothing older than that is missing.
        changes.slice(0, held.oldest).forEach((earlier, at) => {
          const seen = out
            .filter((line) => line.startsWith(`${earlier.key}:`))
            .map((line) => Number(line.split(':')[1]))
          expect(Math.max(...seen)).toBeGreaterThanOrEqual(at)
        })
      })
      out.push(...written(held))
      for (const [key, line] of last) expect(out.findLast((one) => one.startsWith(`${key}:`))).toBe(line)
      expect([held.bytes, a.records]).toEqual([0, out.length])
    }),
  )
})
