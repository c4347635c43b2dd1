import { expect, test } from 'vitest'
import { LineMemory, type LinePiece } from '../../../../src/sinks/webhook/lineMemory.js'
import { Random } from '../../../chaos/random.js'

const KB = 1024
const random = new Random(11)

interface Written {
  readonly piece: LinePiece
  readonly parts: readonly Uint8Array[]
  readonly from: number
  readonly text: string
}

function write(memory: LineMemory, room: number, length: number, attached: boolean): Written {
  const piece = memory.piece(room)
  const text = String.fromCharCode(97 + random.integer(0, 25)).repeat(length)
  const { writer } = piece
  const { bytes: from } = writer.mark()
  if (attached) writer.attach(Buffer.from(text))
  else writer.write(Buffer.from(text))
  const parts = writer.take()
  piece.add(1)
  return { piece, parts, from, text }
}

const read = ({ parts, from, text }: Written) =>
  Buffer.concat(parts)
    .subarray(from, from + text.length)
    .toString()

test('lines stay what they are until they are delivered, in whatever order that is, and all that is counted is let go of', () => {
  for (let round = 0; round < 30; round++) {
    const memory = new LineMemory()
    const undelivered: Written[] = []
    const left: Written[] = []
    for (let step = 0; step < 120; step++) {
      const length = random.pick([10, 300, 20 * KB, random.integer(1, 200 * KB), random.integer(1, 900 * KB)])
      undelivered.push(write(memory, random.integer(1, 600 * KB), length, random.integer(0, 3) === 0))
      while (undelivered.length > random.integer(0, 12)) {
        const one = undelivered.splice(random.integer(0, undelivered.length - 1), 1)[0]!
        expect(read(one)).toBe(one.text)
        if (random.integer(0, 9) === 0) {
          one.piece.leave()
          left.push(one)
        }
        one.piece.release(1)
      }
      expect(memory.bytes).toBeGreaterThanOrEqual(undelivered.reduce((sum, { text }) => sum + text.length, 0))
    }
    for (const one of undelivered) expect(read(one)).toBe(one.text)
    for (const { piece } of undelivered) piece.release(1)
    expect(memory.bytes).toBe(0)
    // Delivered, but read by somebody yet.
    for (const one of left) expect(read(one)).toBe(one.text)
  }
})

test('memory of what is delivered is used again, and what is written without a line to deliver counts nothing', () => {
  const memory = new LineMemory()
  const buffers = new Set<ArrayBufferLike>()
  for (let step = 0; step < 50; step++) {
    const { piece } = write(memory, 100 * KB, 100 * KB, false)
    buffers.add(piece.writer.bytes.buffer)
    piece.release(1)
  }
  expect(buffers.size).toBe(1)
  memory.piece(1).add(0)
  expect(memory.bytes).toBe(0)
})
