import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { viewOf } from '../../../../src/core/byteWriter.js'
import { Source_Run_Request } from '../../../../src/homes/conduit/proto/connector/v2/source.js'
import { checkOf } from '../../../../src/homes/conduit/source/positionCheck.js'
import { readAcks, SentRecords } from '../../../../src/homes/conduit/source/sentRecords.js'

const position = (number: number) => Buffer.from(`{"lsn":"0/16B3748","seq":${number}}`)

function sentOf(count: number): SentRecords {
  const sent = new SentRecords()
  for (let i = 0; i < count; i++) {
    const bytes = Buffer.concat([Buffer.from('before'), position(i)])
    sent.add(viewOf(bytes), 6, bytes.length)
  }
  return sent
}

describe('records that are sent', () => {
  test('are acknowledged in their order, and marks are reached when all before them are', () => {
    const sent = sentOf(5000)
    const reached: string[] = []
    sent.mark(() => reached.push('all'))
    for (let i = 0; i < 5000; i++) {
      expect(reached).toEqual([])
      sent.ack(viewOf(position(i)), 0, position(i).length)
    }
    expect(reached).toEqual(['all'])
    sent.mark(() => reached.push('at once'))
    expect(reached).toEqual(['all', 'at once'])
  })

  test.each([
    ['left out', 1],
    ['that was never sent', 7],
  ])('an ack of one %s confirms nothing', (_, number) => {
    const sent = sentOf(3)
    const wrong = position(number)
    expect(() => sent.ack(viewOf(wrong), 0, wrong.length)).toThrow(
      expect.objectContaining({ code: 'ACK_OUT_OF_ORDER' }),
    )
    expect(sent.outstanding).toBe(3)
  })

  test('an ack that is longer than what came confirms nothing', () => {
    const sent = sentOf(1)
    const view = viewOf(position(0))
    expect(() => sent.ack(view, 0, view.byteLength + 10)).toThrow(expect.objectContaining({ code: 'ACK_OUT_OF_ORDER' }))
    expect(sent.outstanding).toBe(1)
  })

  test('an ack that differs in one bit of the last 24 bytes confirms nothing', () => {
    const own = Buffer.from('{"version":1,"rows":123456,"to":["123456"]}}}')
    const sent = new SentRecords()
    sent.add(viewOf(own), 0, own.length)
    for (let bit = 8 * (own.length - 24); bit < 8 * own.length; bit++) {
      const wrong = Buffer.from(own)
      wrong[bit >> 3]! ^= 1 << (bit & 7)
      expect(() => sent.ack(viewOf(wrong), 0, wrong.length), `bit ${bit}`).toThrow()
    }
    sent.ack(viewOf(own), 0, own.length)
    expect(sent.outstanding).toBe(0)
  })

  test('many at a time are what they are one by one, wherever the room for them ends', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.integer({ min: 0, max: 1500 }), fc.double({ min: 0, max: 1, noNaN: true }))),
        (steps) => {
          const sent = new SentRecords()
          const reached: number[] = []
          const marks: number[] = []
          let added = 0
          let acked = 0
          for (const [count, share] of steps) {
            const positions = Array.from({ length: count }, (_, i) => viewOf(position(added + i)))
            const checks = Int32Array.from(positions, (view) => checkOf(view, 0, view.byteLength))
            // Of a longer list, as those of a batch are.
            sent.addChecked(Int32Array.of(7, ...checks, 7), 1, 1 + count)
            added += count
            const at = added
            marks.push(at)
            sent.mark(() => reached.push(at))
            const until = acked + Math.floor(share * (added - acked))
            for (; acked < until; acked++) {
              const view = viewOf(position(acked))
              sent.ack(view, 0, view.byteLength)
            }
            expect(sent.outstanding).toBe(added - acked)
            expect(reached).toEqual(marks.filter((mark) => mark <= acked))
          }
        },
      ),
      { numRuns: 30 },
    )
  })

  test('none is acknowledged twice', () => {
    const sent = sentOf(1)
    const ack = () => sent.ack(viewOf(position(0)), 0, position(0).length)
    ack()
    expect(ack).toThrow(expect.objectContaining({ code: 'ACK_OUT_OF_ORDER' }))
  })
})

test('acks are read where they lie, whatever else is in the message', () => {
  const positions = [position(1), Buffer.alloc(300, 'x'), Buffer.alloc(0)]
  const message = Buffer.from(Source_Run_Request.encode({ ackPositions: positions }).finish())
  // Fields that a later version may have: 2 as a number, 3 as bytes, 4 and 5 of fixed lengths, 33 as bytes.
  const before = Buffer.from([0x10, 0x96, 0x01, 0x21, 0x0a, 1, 2, 3, 4, 5, 6, 7, 0x2d, 0x0a, 0, 0, 0])
  const later = Buffer.concat([before, message, Buffer.from([0x1a, 2, 0x0a, 0, 0x8a, 0x02, 2, 0x0a, 0])])
  const read: Buffer[] = []
  readAcks(later, 0, later.length, (start, end) => read.push(later.subarray(start, end)))
  expect(read).toEqual(positions)
})
