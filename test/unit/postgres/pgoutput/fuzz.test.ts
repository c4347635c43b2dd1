import { isDeepStrictEqual } from 'node:util'
import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { MALFORMED_MESSAGE } from '../../../../src/core/errors.js'
import { captureName, type PgoutputCapture, readCaptures } from '../../../support/pgoutputFixtures.js'
import { PgoutputRecorder } from '../../../support/pgoutputRecorder.js'
import { type PgoutputEvent, PgoutputTwin } from '../../../support/pgoutputTwin.js'

// Seconds to go on for; when it fails fast-check prints the seed and the smallest damage that does it.
const seconds = Number(process.env.TAILRACE_FUZZ_SECONDS ?? 3)
const captures = readCaptures()

const { stackTraceLimit } = Error
beforeAll(() => {
  Error.stackTraceLimit = 0
})
afterAll(() => {
  Error.stackTraceLimit = stackTraceLimit
})

/** Damage to one message, or to the order of messages. Where it falls is taken modulo what there is. */
type Damage = readonly [kind: keyof typeof DAMAGES, message: number, at: number, value: number]

const NUMBERS = [-1, 0, 1, 2, 3, 0x7fff, 0x8000, 0xffff, 0x7fffffff, -0x80000000, 0x40000000, 1600, 65536]
const BYTES = Buffer.from('\0\x01\x02\x03\x7f\x80\xffBMCORYIUDTSEcAbPKrpKONntub dfi', 'latin1')

const DAMAGES = {
  bit: (messages: Buffer[], index: number, at: number, value: number) => {
    messages[index]![at]! ^= 1 << (value & 7)
  },
  byte: (messages: Buffer[], index: number, at: number, value: number) => {
    messages[index]![at] = BYTES[value % BYTES.length]!
  },
  int16: (messages: Buffer[], index: number, at: number, value: number) => {
    if (at + 2 <= messages[index]!.length)
      messages[index]!.writeInt16BE((NUMBERS[value % NUMBERS.length]! << 16) >> 16, at)
  },
  int32: (messages: Buffer[], index: number, at: number, value: number) => {
    if (at + 4 <= messages[index]!.length) messages[index]!.writeInt32BE(NUMBERS[value % NUMBERS.length]! | 0, at)
  },
  /** What looks like a length or a count is a little off. */
  near: (messages: Buffer[], index: number, at: number, value: number) => {
    if (at + 4 > messages[index]!.length) return
    messages[index]!.writeInt32BE((messages[index]!.readInt32BE(at) + (value % 7) - 3) | 0, at)
  },
  cut: (messages: Buffer[], index: number, at: number) => {
    messages[index] = messages[index]!.subarray(0, at)
  },
  take: (messages: Buffer[], index: number, at: number, value: number) => {
    const message = messages[index]!
    messages[index] = Buffer.concat([message.subarray(0, at), message.subarray(at + 1 + (value % 8))])
  },
  insert: (messages: Buffer[], index: number, at: number, value: number) => {
    const message = messages[index]!
    const bytes = Buffer.alloc(1 + (value % 8), BYTES[value % BYTES.length])
    messages[index] = Buffer.concat([message.subarray(0, at), bytes, message.subarray(at)])
  },
  /** The end of another message behind the beginning of this one. */
  splice: (messages: Buffer[], index: number, at: number, value: number) => {
    const other = messages[value % messages.length]!
    messages[index] = Buffer.concat([messages[index]!.subarray(0, at), other.subarray(at)])
  },
  drop: (messages: Buffer[], index: number) => {
    messages.splice(index, 1)
  },
  repeat: (messages: Buffer[], index: number) => {
    messages.splice(index, 0, messages[index]!)
  },
  move: (messages: Buffer[], index: number, _at: number, value: number) => {
    messages.splice(value % messages.length, 0, ...messages.splice(index, 1))
  },
}

const damage: fc.Arbitrary<Damage> = fc.tuple(
  fc.constantFrom(...(Object.keys(DAMAGES) as (keyof typeof DAMAGES)[])),
  fc.nat(0xffff),
  fc.nat(0xffff),
  fc.nat(0xffff),
)

function damaged(capture: PgoutputCapture, damages: readonly Damage[]): Buffer[] {
  const messages = [...capture.messages]
  for (const [kind, message, at, value] of damages) {
    const index = message % messages.length
    const bytes = Buffer.from(messages[index]!)
    messages[index] = bytes
    // in a long message mostly near its beginning: there is what is not a value
    const span = (value & 1) === 0 ? Math.min(bytes.length, 40) : bytes.length
    DAMAGES[kind](messages, index, span === 0 ? 0 : at % span, value)
  }
  return messages
}

function attempt(decode: () => PgoutputEvent): { event: PgoutputEvent | undefined; error: unknown } {
  try {
    return { event: decode(), error: undefined }
  } catch (error) {
    return { event: undefined, error }
  }
}

/** Gives the messages one by one to both, which go on after a failure as if that message had never been. */
function compare(options: PgoutputCapture, messages: readonly Buffer[]): void {
  const recorder = new PgoutputRecorder(options)
  const twin = new PgoutputTwin(options)
  for (const [index, message] of messages.entries()) {
    const ours = attempt(() => recorder.decode(message))
    const theirs = attempt(() => twin.decode(message))
    if (ours.error !== undefined && !MALFORMED_MESSAGE.is(ours.error)) throw ours.error
    if (!isDeepStrictEqual(ours.event, theirs.event)) {
      throw new Error(
        `message ${index}, ${message.toString('hex')}: ${describe(ours)}, but the twin ${describe(theirs)}`,
      )
    }
  }
}

function describe({ event, error }: { event: PgoutputEvent | undefined; error: unknown }): string {
  return error === undefined ? `decoded to ${JSON.stringify(event, bigints)}` : `failed with ${error}`
}

function bigints(_: string, value: unknown): unknown {
  return typeof value === 'bigint' ? `${value}` : value
}

test(`damaged messages decode as the slow twin decodes them, or both refuse them, for ${seconds} s`, {
  timeout: (seconds + 60) * 1000,
}, () => {
  let runs = 0
  const property = fc.property(
    fc.nat(captures.length - 1),
    fc.array(damage, { minLength: 1, maxLength: 12 }),
    (index, damages) => {
      runs += 1
      const capture = captures[index]!
      compare(capture, damaged(capture, damages))
    },
  )
  fc.assert(property, { numRuns: 1e9, interruptAfterTimeLimit: seconds * 1000, markInterruptAsFailure: false })
  expect(runs).toBeGreaterThan(20)
})

test('bytes that never were a message decode as the slow twin decodes them, or both refuse them', () => {
  const [capture] = captures.filter((one) => captureName(one) === '18-v4-parallel-twophase')
  const bytes = fc.oneof(
    fc.uint8Array({ maxLength: 64 }),
    fc.tuple(fc.constantFrom(...BYTES), fc.uint8Array()).map(([tag, rest]) => Uint8Array.of(tag, ...rest)),
  )
  fc.assert(
    fc.property(fc.array(bytes, { maxLength: 20 }), (messages) =>
      compare(
        capture!,
        messages.map((one) => Buffer.from(one)),
      ),
    ),
    { numRuns: 500 },
  )
})
