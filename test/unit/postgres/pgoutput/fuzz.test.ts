import { isDeepStrictEqual } from 'node:util'
import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { MALFORMED_MESSAGE } from '../../../../src/core/errors.js'
import { BYTES, DAMAGE_KINDS, type Damage, damaged } from '../../../support/pgoutputDamage.js'
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

const damage: fc.Arbitrary<Damage> = fc.tuple(
  fc.constantFrom(...DAMAGE_KINDS),
  fc.nat(0xffff),
  fc.nat(0xffff),
  fc.nat(0xffff),
)

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
      compare(capture, damaged(capture.messages, damages))
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
