import { expect, test } from 'vitest'
import { nearest } from '../../../src/core/nearest.js'

const names = ['tables', 'exclude', 'snapshot', 'snapshotWorkers', 'slot', 'url']

test.each<[string, string | undefined]>([
  ['table', 'tables'],
  ['tabels', 'tables'],
  ['Tables', 'tables'],
  ['snapshots', 'snapshot'],
  ['snapshotworker', 'snapshotWorkers'],
  ['slots', 'slot'],
  ['uri', 'url'],
  ['', undefined],
  ['password', undefined],
  ['completely different', undefined],
])('%s → %s', (name, expected) => {
  expect(nearest(name, names)).toBe(expected)
})

test('the first of the equally near, and none of none', () => {
  expect(nearest('slit', ['slot', 'slat'])).toBe('slot')
  expect(nearest('slot', [])).toBeUndefined()
})
