import { beforeAll, expect, test } from 'vitest'
import { loadGrammar } from '../../../src/processors/sql/grammar.js'
import type { Batch } from '../../../src/source/batch.js'
import { Random } from '../../chaos/random.js'
import { batchOf, chainOf, recordsOf, tableOf } from '../../support/processing.js'
import { BatchBuilder } from '../../support/rowBatches.js'

beforeAll(loadGrammar)
const random = new Random(9)
const table = tableOf('t', ['id int4', 'a text', 'b text'])
const LETTERS = ['a', 'Z', ' ', '*', '"', '~', 'é', '語', '🎉']

function textOf(): string {
  const letters = random.integer(0, 2) === 0 ? LETTERS : LETTERS.slice(0, 6)
  return Array.from({ length: random.integer(0, 40) }, () => random.pick(letters)).join('')
}

function masked(text: string, first: number, last: number): string {
  const characters = [...text]
  const isShown = characters.length > first + last
  return characters.map((one, i) => (isShown && (i < first || i >= characters.length - last) ? one : '*')).join('')
}

test('of a text so many characters stay at its ends, wherever it lies and whatever they are', () => {
  for (let round = 0; round < 60; round++) {
    const [first, last] = [random.integer(0, 5), random.integer(0, 5)]
    const { whole } = chainOf(`  - {type: mask, partial: [a, b], keep_first: ${first}, keep_last: ${last}}`)
    const rows = Array.from({ length: 20 }, () => [textOf(), random.integer(0, 5) === 0 ? null : textOf()] as const)
    const builder = new BatchBuilder([table])
    for (const [id, row] of rows.entries()) builder.create([String(id), ...row])
    const made = whole.process(batchOf(builder.batch)) as Batch
    const found = recordsOf(made).map(({ after }) => {
      const { a, b } = after as { a: string; b: string | null }
      return [a, b]
    })
    const wanted = rows.map(([a, b]) => [masked(a, first, last), b === null ? null : masked(b, first, last)])
    expect(found).toEqual(wanted)
  }
})
