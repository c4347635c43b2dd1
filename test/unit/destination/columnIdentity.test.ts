import { describe, expect, test } from 'vitest'
import { identify, type NumberedColumn, PASSING } from '../../../src/destination/columnIdentity.js'

/** `id1 n2 d4:text`: name, number, type (int). */
function numbered(text: string): NumberedColumn[] {
  return text.split(' ').map((one) => {
    const [, name, number, typeName = 'int'] = /^(\D+)(\d+)(?::(\w+))?$/.exec(one)!
    return { name: name!, number: Number(number), typeName }
  })
}

function named(text: string): { name: string; typeName: string }[] {
  return text.split(' ').map((one) => {
    const [name, typeName = 'int'] = one.split(':')
    return { name: name!, typeName }
  })
}

describe('which of its table’s columns each of a shape is', () => {
  test.each<[what: string, shape: string, before: string, now: string, expected: unknown[]]>([
    ['as it was, and one renamed later', 'id n v', 'id1 n2 v3', 'id1 m2 v3', [1, 2, 3]],
    ['one renamed', 'id m v', 'id1 n2 v3', 'id1 m2 v3', [1, 2, 3]],
    ['one renamed twice, between', 'id x v', 'id1 n2 v3', 'id1 m2 v3', [1, 2, 3]],
    ['the last one, renamed and dropped later', 'id x', 'id1 n2', 'id1', [1, 2]],
    ['one renamed, and its name given away later', 'id n v', 'id1 n2 v3', 'id1 m2 v3 n5', [1, 2, 3]],
    ['two that change their names later', 'id a b', 'id1 a2 b3', 'id1 b2 a3', [1, 2, 3]],
    ['two that have changed their names', 'id b a', 'id1 a2 b3', 'id1 b2 a3', [1, 2, 3]],
    ['one added', 'id n v', 'id1 n2', 'id1 n2 v4', [1, 2, 4]],
    ['one added, renamed later', 'id n x', 'id1 n2', 'id1 n2 v4', [1, 2, 4]],
    ['one added, dropped later', 'id n x', 'id1 n2', 'id1 n2', [1, 2, PASSING]],
    ['one added and dropped later, before another', 'id x v', 'id1', 'id1 v4', [1, PASSING, 4]],
    ['one to be dropped, to be made anew of another type', 'id d:text', 'id1 d2:text', 'id1 d3:date', [1, 2]],
    ['one dropped and made anew of another type', 'id d:date', 'id1 d2:text', 'id1 d3:date', [1, 3]],
    ['one dropped and made anew, as it is now', 'id d', 'id1 d2', 'id1 d3', [1, 3]],
    ['one dropped and made anew, and others since', 'id d', 'id1 d2', 'id1 d3 e4', [1, undefined]],
    ['one of a name that is neither', 'id y', 'id1 n2', 'id1 x3', [1, undefined]],
    ['an older shape than the one before', 'id n v', 'id1 m2 v3 x4', 'id1 m2 v3 x4', [1, 2, 3]],
    ['one whose type changes, too', 'id m:text v', 'id1 n2 v3', 'id1 m2:text v3', [1, 2, 3]],
  ])('%s', (_, shape, before, now, expected) => {
    expect(identify(named(shape), numbered(before), numbered(now))).toEqual(expected)
  })
})
