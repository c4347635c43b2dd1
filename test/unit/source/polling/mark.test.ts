import { expect, test } from 'vitest'
import { lookAgain, setMark } from '../../../../src/source/polling/mark.js'

test('whoever was open when the mark was set is waited for, and nobody else', () => {
  const mark = setMark('7', ['3/1', '4/1'])
  const later = lookAgain(mark, ['4/1', '5/9'])
  expect(later).toEqual({ to: '7', waiting: ['4/1'], prepared: [] })
  expect(lookAgain(later, ['5/9', '4/2']).waiting).toEqual([])
})

test('a prepared transaction has another id after a restart of the server', () => {
  const mark = setMark('7', ['3/1', '-1/700'])
  const later = lookAgain(mark, ['-1/700', '-1/705'])
  expect(later.waiting).toEqual(['-1/700', '-1/705'])
  // One that comes when nobody has gone is of a transaction that was not open then.
  const last = lookAgain(later, ['-1/705', '-1/710'])
  expect(last.waiting).toEqual(['-1/705', '-1/710'])
  expect(lookAgain(setMark('7', ['3/1']), ['3/1', '-1/705']).waiting).toEqual(['3/1'])
})
