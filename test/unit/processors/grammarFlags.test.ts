import v8 from 'node:v8'
import { expect, test, vi } from 'vitest'
import { loadGrammar, parseExpression, unloadGrammar, useGrammarBriefly } from '../../../src/processors/sql/grammar.js'

const OFF = ['--no-wasm-tier-up', '--no-wasm-dynamic-tiering']
const ON = ['--wasm-tier-up', '--wasm-dynamic-tiering']

test('V8 optimizes everything but the parser, and that too for whoever did not say that it is used for a moment', async () => {
  const set = vi.spyOn(v8, 'setFlagsFromString')
  const flags = () => set.mock.calls.map(([flag]) => flag)
  try {
    unloadGrammar()
    await loadGrammar()
    parseExpression('flags = 1')
    expect(flags()).toEqual([])
    unloadGrammar()
    useGrammarBriefly()
    await loadGrammar()
    expect(flags()).toEqual([...OFF, ...ON])
    expect(parseExpression('flags = 2').tree).not.toEqual(parseExpression('flags = 1').tree)
    expect(() => parseExpression('flags = = 2')).toThrow('syntax error')
    expect(flags()).toEqual([...OFF, ...ON, ...OFF, ...ON, ...OFF, ...ON])
  } finally {
    set.mockRestore()
    unloadGrammar()
  }
})
