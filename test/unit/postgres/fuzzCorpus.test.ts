import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { inputName, readCorpus } from '../../fuzz/input.js'
import { outcomesOf } from '../../fuzz/outcomes.js'
import { REPOSITORY } from '../../support/compiled.js'

const corpus = readCorpus(join(REPOSITORY, 'test/fuzz/corpus'))

const { stackTraceLimit } = Error
beforeAll(() => {
  Error.stackTraceLimit = 0
})
afterAll(() => {
  Error.stackTraceLimit = stackTraceLimit
})

test('what npm run fuzz has kept is decoded as the slow twins do, or refused, with no byte touched outside', () => {
  for (const { name, input } of corpus) {
    const outcomes = outcomesOf(input)
    expect(outcomes, name).toHaveLength(input.messages.length)
  }
  expect(corpus.length).toBeGreaterThan(50)
})

test('each file of the corpus is there once, under the name that its content gives, and no other gives its outcome', () => {
  const outcomes = corpus.map(({ name, input }) => {
    expect(inputName(input)).toBe(name)
    return outcomesOf(input).at(-1)
  })
  expect(new Set(outcomes).size).toBe(corpus.length)
})
