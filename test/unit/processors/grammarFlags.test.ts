import { expect, test, vi } from 'vitest'

const flags = vi.hoisted((): string[] => [])
vi.mock('node:v8', async (importOriginal) => {
  const v8 = await importOriginal<typeof import('node:v8')>()
  const setFlagsFromString = (flag: string) => {
    flags.push(flag)
    v8.setFlagsFromString(flag)
  }
  return { ...v8, setFlagsFromString }
})
const OFF = ['--no-wasm-tier-up', '--no-wasm-dynamic-tiering']
const ON = ['--wasm-tier-up', '--wasm-dynamic-tiering']

test('V8 optimizes everything but the parser, and that too for whoever did not say that it is used for a moment', async () => {
  // Another file of this worker may have loaded it, with the real module.
  vi.resetModules()
  const grammar = await import('../../../src/processors/sql/grammar.js')
  const { loadGrammar, parseExpression, unloadGrammar, useGrammarBriefly } = grammar
  await loadGrammar()
  parseExpression('a = 1')
  expect(flags).toEqual([])
  unloadGrammar()
  useGrammarBriefly()
  await loadGrammar()
  expect(flags).toEqual([...OFF, ...ON])
  expect(parseExpression('a = 2').tree).not.toEqual(parseExpression('a = 1').tree)
  expect(() => parseExpression('a = = 2')).toThrow('syntax error')
  expect(flags).toEqual([...OFF, ...ON, ...OFF, ...ON, ...OFF, ...ON])
})
