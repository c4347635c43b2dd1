import { expect, test } from 'vitest'
import { middleOf, planSteps, type Step } from '../../../src/destination/steps.js'
import { byReferences, type Target } from '../../../src/destination/target.js'
import { BatchBuilder, textTable } from '../../support/rowBatches.js'

const a = textTable('a', ['id', 'n'], [0])
const b = textTable('b', ['id', 'n'], [0])
const keyless = textTable('keyless', ['n'], [])

function targetOf(table: typeof a, name = table.name): Target {
  const written = table.columns.map((_, index) => index)
  const mode = { kind: 'mirror' }
  return { table, target: name, key: table.key, written, mode, facts: { oid: 0, references: [] } } as unknown as Target
}

function plan(builder: BatchBuilder, targets: readonly Target[], copies: readonly string[] = []): unknown[] {
  const { batch } = builder
  return planSteps(batch, 0, batch.count, { targets, takesCopies: ({ target }) => copies.includes(target) }).map(
    describe,
  )
}

function describe(step: Step): unknown {
  if ('truncated' in step)
    return { truncated: step.truncated.map(({ target }) => target), restart: step.restartIdentity }
  const entries = [
    ...step.appends.map(({ target, records }) => [`${target.target} copied`, records]),
    ...step.folds.map(({ target, fold }) => [target.target, [...fold.effects.keys()]]),
  ]
  return Object.fromEntries(entries)
}

const gone = (id: string) => [id, null]

test('changes of several tables are one step; a truncate ends it, and is one for all tables of it', () => {
  const builder = new BatchBuilder([a, b])
    .create(['1', 'x'], 0)
    .create(['2', 'x'], 1)
    .truncate(0, 2)
    .truncate(1, 2)
    .truncate(1, 0)
    .delete(gone('3'), 1)
  expect(plan(builder, [targetOf(a), targetOf(b)])).toEqual([
    { a: ['1'], b: ['2'] },
    { truncated: ['a', 'b'], restart: true },
    { truncated: ['b'], restart: false },
    { b: ['3'] },
  ])
  const { batch } = builder
  expect([middleOf(batch, 0, 6), middleOf(batch, 2, 4), middleOf(batch, 3, 6), middleOf(batch, 0, 2)]).toEqual([
    4, 4, 4, 1,
  ])
})

test('rows without a key are appended, nothing else is done to them', () => {
  const builder = new BatchBuilder([keyless]).snapshot(['x']).create(['x'])
  expect(plan(builder, [targetOf(keyless)])).toEqual([{ 'keyless copied': [0, 1] }])
  builder.update(['y'])
  expect(() => plan(builder, [targetOf(keyless)])).toThrow(expect.objectContaining({ code: 'KEY_NOT_TOLD' }))
})

test('snapshot rows are copied into a target that takes them, until a change was folded', () => {
  const builder = new BatchBuilder([a]).snapshot(['1', 'x']).create(['2', 'x']).snapshot(['3', 'x'])
  expect(plan(builder, [targetOf(a)], ['a'])).toEqual([{ 'a copied': [0], a: ['2', '3'] }])
  expect(plan(builder, [targetOf(a)])).toEqual([{ a: ['1', '2', '3'] }])
})

test('another shape of the same target begins a step', () => {
  const builder = new BatchBuilder([a, b]).create(['1', 'x'], 0).create(['2', 'x'], 1).create(['3', 'x'], 0)
  expect(plan(builder, [targetOf(a), targetOf(b, 'a')])).toEqual([{ a: ['1'] }, { a: ['2'] }, { a: ['3'] }])
})

test('what a foreign key points to comes first; circles do not hang', () => {
  const one = (oid: number, ...references: number[]) => ({ facts: { oid, references } as unknown as Target['facts'] })
  const order = (targets: ReturnType<typeof one>[]) => byReferences(targets).map(({ facts }) => facts.oid)
  expect(order([one(1, 2), one(2, 3, 2), one(3), one(4)])).toEqual([3, 2, 1, 4])
  expect(order([one(1, 2), one(2, 1)])).toEqual([2, 1])
})
