import { expect, test } from 'vitest'
import { leastPosition } from '../../../../src/homes/pipeline/run/resume.js'
import { StreamPosition } from '../../../../src/source/position.js'

const ORIGIN = { system: '1', timeline: 1, database: 'd', slot: 's', epoch: 1 }

function positionAt(lsn: bigint, seq = 0, rows?: number): StreamPosition {
  const snapshot = rows === undefined ? undefined : { rows }
  const place = { lsn, seq, sub: 0, end: undefined, fingerprint: 0, snapshot }
  return new StreamPosition(ORIGIN, place as unknown as ConstructorParameters<typeof StreamPosition>[1])
}

function least(positions: Record<string, StreamPosition | undefined>) {
  return leastPosition(new Map(Object.entries(positions)), '/p.state')
}

test('the source goes on where the sink stands that is furthest behind', () => {
  const [a, b, c] = [positionAt(16n, 3), positionAt(16n, 2), positionAt(24n)]
  expect(least({ a, b, c })).toBe(b)
  expect(least({ a })).toBe(a)
})

test('all begin anew, or none', () => {
  expect(least({ a: undefined, b: undefined })).toBeUndefined()
  const one = positionAt(8n)
  expect(() => least({ a: one, b: undefined })).toThrow('the sink b has had nothing yet, and a is in the middle')
  expect(() => least({ a: undefined, b: one })).toThrow('the sink a has had nothing yet, and b is in the middle')
})

test('within a snapshot all stand at one place', () => {
  const one = positionAt(8n, -1, 10)
  expect(least({ a: one, b: positionAt(8n, -1, 10) })).toBe(one)
  expect(() => least({ a: one, b: positionAt(8n, -1, 20) })).toThrow('the sinks a and b stopped at different places')
  expect(() => least({ a: one, b: positionAt(16n) })).toThrow('the sinks a and b stopped at different places')
})
