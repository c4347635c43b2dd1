import { describe, expect, test } from 'vitest'
import { wantsColour } from '../../../../src/cli/colour.js'
import { cut } from '../../../../src/cli/demo/terminal.js'

const terminal = { isTTY: true, hasColors: (): boolean => true }
const pipe = { isTTY: false, hasColors: (): boolean => false }

test.each([
  ['in a terminal', terminal, {}, true],
  ['not in a pipe', pipe, {}, false],
  ['not in a terminal without colours', { ...terminal, hasColors: (): boolean => false }, {}, false],
  ['not with NO_COLOR', terminal, { NO_COLOR: '1' }, false],
  ['with an empty NO_COLOR, which means nothing', terminal, { NO_COLOR: '' }, true],
  ['in a pipe with FORCE_COLOR', pipe, { FORCE_COLOR: '1' }, true],
  ['with FORCE_COLOR against NO_COLOR', pipe, { FORCE_COLOR: '1', NO_COLOR: '1' }, true],
  ['not in a terminal with FORCE_COLOR=0', terminal, { FORCE_COLOR: '0' }, false],
] as const)('colour: %s', (_, stream, env, expected) => {
  expect(wantsColour(stream, env)).toBe(expected)
})

describe('a line', () => {
  const line = [{ text: 'abc', style: 'bold' }, { text: 'dë💧' }, { text: 'g' }] as const
  const shown = (width: number) =>
    cut(line, width)
      .map(({ text }) => text)
      .join('')

  test('that fits is left alone', () => {
    expect(cut(line, 7)).toBe(line)
  })

  test('that is longer is cut between characters, and says so', () => {
    expect([6, 5, 4, 3, 2, 1].map(shown)).toEqual(['abcdë…', 'abcd…', 'abc…', 'ab…', 'a…', '…'])
  })
})
