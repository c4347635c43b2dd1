import { beforeAll, expect, test } from 'vitest'
import { encodeNdjson } from '../../../src/codec/ndjson.js'
import { joinRows } from '../../../src/core/joinedRows.js'
import { loadGrammar } from '../../../src/processors/sql/grammar.js'
import type { Batch } from '../../../src/source/batch.js'
import { Random } from '../../chaos/random.js'
import { batchOf, chainOf, tableOf } from '../../support/processing.js'
import { BatchBuilder } from '../../support/rowBatches.js'

beforeAll(loadGrammar)
const random = new Random(3)
const rnd = (n: number) => random.integer(0, n - 1)
const A = tableOf('a', ['id int4', 'name text', 'who text', 'note text'], { identity: 'full' })
const B = tableOf('b', ['id int4', 'name text'])
const PARTS = [
  '  - {type: filter, where: "id % 3 <> 1", streams: a}',
  '  - {type: filter, where: "name <> \'q\'", streams: a}',
  '  - {type: mask, redact: [who], streams: a}',
  '  - {type: mask, partial: [name], streams: a, if: "id % 2 = 0"}',
  '  - {type: mask, "null": [note], streams: a, if: "id % 5 = 0"}',
  '  - {type: rename, columns: {name: title}, streams: b}',
  '  - {type: cast, columns: {id: bigint}}',
]
const build = (size: number) => {
  const b = new BatchBuilder([A, B])
  const t = () =>
    rnd(8) === 0 ? null : ['', 'q', 'abcé', 'x'.repeat(rnd(600)), 'y'.repeat(rnd(60) === 0 ? 30_000 : 5)][rnd(5)]!
  for (let i = 0; i < size; i++) {
    const id = String(rnd(1000))
    const k = rnd(6)
    if (k === 0) b.create([id, t() ?? 'n'], 1)
    else if (k === 1) b.update([id, t(), t(), rnd(2) ? undefined : t()], [id, t(), t(), t()], 'row')
    else if (k === 2) b.truncate(rnd(2))
    else b.create([id, t(), t(), t()])
  }
  b.batch.bytes = 1000
  return b.batch
}

test('what was made stays what it is until it is given up', () => {
  for (let round = 0; round < 12; round++) {
    const chosen = Array.from({ length: 1 + rnd(4) }, () => random.pick(PARTS)).filter(
      (p, i, all) => all.indexOf(p) === i || !p.includes('rename'),
    )
    const { whole } = chainOf(chosen.join('\n'))
    const alive: { made: Batch; text: string; came: Batch }[] = []
    for (let i = 0; i < 30; i++) {
      const came = batchOf(build(rnd(200)), rnd(2) ? { placedAt: (x: number) => x as never } : {})
      const made = whole.process(came) as Batch
      const text = encodeNdjson(made.rows).toString()
      came.givesWayTo(made)
      expect(encodeNdjson(made.rows).toString()).toBe(text)
      alive.push({ made, text, came })
      if (rnd(3) === 0 && alive.length > 2) {
        const two = alive.slice(0, 2)
        const joined = joinRows(two.map(({ made: { rows } }) => rows))
        expect(encodeNdjson(joined).toString()).toBe(two.map((o) => o.text).join(''))
        joined.giveUp()
      }
      for (const one of alive) expect(encodeNdjson(one.made.rows).toString()).toBe(one.text)
      while (alive.length > rnd(8)) alive.splice(rnd(alive.length), 1)[0]!.made.rows.giveUpLines()
    }
  }
})

test('what is counted of a batch is about what it takes', () => {
  const { whole } = chainOf('  - {type: mask, redact: [who], if: "id % 2 = 0"}')
  const builder = new BatchBuilder([A])
  for (let i = 0; i < 60; i++) builder.create([String(i), 'x'.repeat(930), 'me', null])
  builder.batch.bytes = 60 * 950
  const came = batchOf(builder.batch)
  const made = whole.process(came) as Batch
  came.givesWayTo(made)
  const memory = new Set(made.rows.buffers.map(({ buffer }) => buffer))
  const takes = [...memory].reduce((sum, { byteLength }) => sum + byteLength, 0)
  expect(made.bytes).toBe(60 * 950)
  expect(made.heldBytes).toBeGreaterThan(0.6 * takes)
  expect(made.heldBytes).toBeLessThan(2 * takes)
})
