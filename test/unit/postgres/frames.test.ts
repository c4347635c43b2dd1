import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { FrameReader, FrameTail, frame, queryFrame } from '../../../src/postgres/frames.js'

interface Read {
  readonly tag: number
  readonly payload: string
}

const message = fc.record({
  tag: fc.integer({ min: 1, max: 255 }),
  payload: fc.uint8Array({ maxLength: 40 }),
})
const messages = fc.array(message, { maxLength: 8 })

function bytesOf(drawn: readonly { readonly tag: number; readonly payload: Uint8Array }[]): Buffer {
  return Buffer.concat(drawn.map(({ tag, payload }) => frame(String.fromCharCode(tag), payload)))
}

function expected(drawn: readonly { readonly tag: number; readonly payload: Uint8Array }[]): Read[] {
  return drawn.map(({ tag, payload }) => ({ tag, payload: Buffer.from(payload).toString('hex') }))
}

/** Reads the chunks; the messages that were whole after each, and whether it stood between two then. */
function readChunks(chunks: readonly Buffer[]): { read: Read[]; atBorder: boolean } {
  const read: Read[] = []
  const reader = new FrameReader((tag, bytes, start, end) => {
    read.push({ tag, payload: bytes.toString('hex', start, end) })
  })
  for (const chunk of chunks) reader.push(chunk)
  return { read, atBorder: reader.atBorder }
}

function cutAt(bytes: Buffer, places: readonly number[]): Buffer[] {
  const cuts = [0, ...places.filter((place) => place < bytes.length).sort((a, b) => a - b), bytes.length]
  return cuts.slice(1).map((to, index) => Buffer.from(bytes.subarray(cuts[index], to)))
}

describe('messages come out whole', () => {
  test('in one chunk, as ranges of it', () => {
    fc.assert(
      fc.property(messages, (drawn) => {
        const bytes = bytesOf(drawn)
        const reader = new FrameReader((_, chunk) => expect(chunk).toBe(bytes))
        reader.push(bytes)
        expect(reader.atBorder).toBe(true)
        expect(readChunks([bytes])).toEqual({ read: expected(drawn), atBorder: true })
      }),
    )
  })

  test('cut in two at every byte', () => {
    fc.assert(
      fc.property(messages, (drawn) => {
        const bytes = bytesOf(drawn)
        for (let cut = 0; cut <= bytes.length; cut++) {
          expect(readChunks(cutAt(bytes, [cut]))).toEqual({ read: expected(drawn), atBorder: true })
        }
      }),
      { numRuns: 30 },
    )
  })

  test('byte by byte', () => {
    fc.assert(
      fc.property(messages, (drawn) => {
        const bytes = bytesOf(drawn)
        const places = Array.from(bytes.keys())
        expect(readChunks(cutAt(bytes, places))).toEqual({ read: expected(drawn), atBorder: true })
      }),
    )
  })

  test('in chunks of any size, empty ones among them', () => {
    fc.assert(
      fc.property(messages, fc.array(fc.nat(300)), (drawn, places) => {
        const chunks = cutAt(bytesOf(drawn), places).flatMap((chunk) => [chunk, Buffer.alloc(0)])
        expect(readChunks(chunks)).toEqual({ read: expected(drawn), atBorder: true })
      }),
    )
  })

  test('when longer than many chunks, in a buffer of their own', () => {
    const payload = Buffer.alloc(1_000_000, 7)
    const bytes = Buffer.concat([frame('d', payload), frame('c')])
    const places = Array.from({ length: 16 }, (_, index) => 65_536 * (index + 1))
    const { read } = readChunks(cutAt(bytes, places))
    expect(read.map(({ tag, payload }) => [tag, payload.length / 2])).toEqual([
      [0x64, 1_000_000],
      [0x63, 0],
    ])
    expect(read[0]!.payload).toBe(payload.toString('hex'))
  })
})

test('a message that is not whole is not handed on', () => {
  const bytes = frame('d', Buffer.from('payload'))
  for (let length = 1; length < bytes.length; length++) {
    expect(readChunks([bytes.subarray(0, length)])).toEqual({ read: [], atBorder: false })
  }
})

describe('an impossible length stops', () => {
  const header = (length: number) => {
    const bytes = Buffer.from('d\0\0\0\0')
    bytes.writeInt32BE(length, 1)
    return bytes
  }

  test.each([0, 1, 3, -1, -(2 ** 31), 2 ** 30 + 1, 2 ** 31 - 1])('%d', (length) => {
    const bytes = Buffer.concat([frame('D', Buffer.from('good')), header(length), Buffer.alloc(10)])
    for (let cut = 0; cut <= bytes.length; cut++) {
      const error = expect.objectContaining({ code: 'FRAME_INVALID', details: { tag: 0x64, length } })
      expect(() => readChunks(cutAt(bytes, [cut]))).toThrow(error)
    }
  })

  test('what answers on the port is no PostgreSQL', () => {
    expect(() => readChunks([Buffer.from('SSH-2.0-OpenSSH_9.2p1\r\n')])).toThrow(/message 0x53 of an impossible length/)
  })
})

describe('the tail that is left when somebody else has read', () => {
  const tailOf = (chunks: readonly Buffer[]) => {
    const tail = new FrameTail()
    for (const chunk of chunks) tail.push(chunk)
    return Buffer.from(tail.bytes)
  }

  test('is the message that is not whole yet, however it was cut', () => {
    fc.assert(
      fc.property(messages, message, fc.array(fc.nat(300)), fc.nat(44), (drawn, last, places, length) => {
        const whole = bytesOf([last])
        const part = whole.subarray(0, length % whole.length)
        const bytes = Buffer.concat([bytesOf(drawn), part])
        expect(tailOf(cutAt(bytes, places))).toEqual(part)
      }),
    )
  })

  test.each([-1, -5, -(2 ** 31), 0, 3, 2 ** 30 + 1, 2 ** 31 - 1])(
    'stays what it was at a length of %d, after which there is no border',
    (length) => {
      const good = frame('Z', Buffer.from('I'))
      const torn = Buffer.concat([Buffer.from('d\0\0\0\0'), Buffer.alloc(20)])
      torn.writeInt32BE(length, 1)
      const bytes = Buffer.concat([good, torn])
      expect(tailOf([bytes])).toEqual(torn)
      expect(tailOf([bytes, Buffer.alloc(1000), good])).toEqual(torn)
      expect(tailOf([bytes.subarray(0, 9), bytes.subarray(9, 11), bytes.subarray(11)])).toEqual(torn.subarray(0, 5))
    },
  )
})

test('messages to the server have their length, and a query its zero byte', () => {
  expect(frame('c').toString('hex')).toBe('6300000004')
  expect(frame('d', Buffer.from('a'), Buffer.from('bc')).toString('latin1')).toBe('d\0\0\0\x07abc')
  expect(queryFrame('SELECT ☃').toString('hex')).toBe(`51${'0000000f'}${Buffer.from('SELECT ☃\0').toString('hex')}`)
})
