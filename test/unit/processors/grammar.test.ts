import { createRequire } from 'node:module'
import { expect, test } from 'vitest'
import { loadGrammar, parseExpression, unloadGrammar } from '../../../src/processors/sql/grammar.js'

test('once it was let go of nobody has the parser; what it parsed is known, and it can be loaded again', async () => {
  const { cache } = createRequire(import.meta.url)
  const loaded = () => Object.keys(cache).filter((one) => one.includes('libpg-query'))
  await loadGrammar()
  const { tree } = parseExpression('a = 1')
  expect(loaded().length).toBeGreaterThan(0)
  unloadGrammar()
  expect(loaded()).toEqual([])
  expect(parseExpression('a = 1').tree).toBe(tree)
  await loadGrammar()
  expect(parseExpression('a = 2').tree).not.toEqual(tree)
  expect(() => parseExpression('a = = 2')).toThrow('syntax error')
})
