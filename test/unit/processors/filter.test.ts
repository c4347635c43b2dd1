import { beforeAll, expect, test } from 'vitest'
import { CREATE, DELETE, SNAPSHOT, UPDATE } from '../../../src/core/rowBatch.js'
import { verdictOf } from '../../../src/processors/rows/filter.js'
import { loadGrammar } from '../../../src/processors/sql/grammar.js'
import { batchOf, chainOf, recordsOf, tableOf } from '../../support/processing.js'
import { BatchBuilder } from '../../support/rowBatches.js'

beforeAll(() => loadGrammar())

const COLUMNS = ['id int4', 'total numeric', 'note text']
const byDefault = tableOf('orders', COLUMNS)
const full = tableOf('orders', COLUMNS, { identity: 'full' })
const FILTER = '  - {type: filter, streams: orders, where: total > 10}'

test.each([
  [SNAPSHOT, undefined, true, 'keep'],
  [SNAPSHOT, undefined, false, 'drop'],
  [CREATE, undefined, true, 'keep'],
  [CREATE, undefined, false, 'drop'],
  [DELETE, true, false, 'keep'],
  [DELETE, false, false, 'drop'],
  [DELETE, undefined, false, 'keep'],
  [UPDATE, true, true, 'keep'],
  [UPDATE, true, false, 'delete'],
  [UPDATE, false, true, 'create'],
  [UPDATE, false, false, 'drop'],
  [UPDATE, undefined, true, 'keep'],
  [UPDATE, undefined, false, 'delete'],
])('operation %i, before %s, now %s: %s', (operation, old, now, verdict) => {
  expect(verdictOf(operation, old, now)).toBe(verdict)
})

test('rows that cross the filter become inserts and deletes, where the whole row before is told', () => {
  const { chain, events } = chainOf(FILTER)
  const { batch } = new BatchBuilder([full])
    .update(['1', '20', 'stays'], ['1', '11', 'a'], 'row')
    .update(['2', '20', undefined], ['2', '5', 'large'], 'row')
    .update(['3', '5', 'goes'], ['3', '20', 'a'], 'row')
    .update(['4', '5', 'out'], ['4', '6', 'a'], 'row')
    .update(['50', '20', 'in'], ['5', '6', 'a'], 'row')
    .update(['60', null, 'out'], ['6', '60', 'a'], 'row')
  expect(recordsOf(chain.process(batchOf(batch)))).toEqual([
    expect.objectContaining({ operation: 'update', after: { id: 1, total: 20, note: 'stays' } }),
    // What was unchanged is filled in, since nobody has the row before.
    { operation: 'create', key: { id: 2 }, after: { id: 2, total: 20, note: 'large' } },
    { operation: 'delete', key: { id: 3 }, before: { id: 3, total: 20, note: 'a' } },
    { operation: 'create', key: { id: 50 }, after: { id: 50, total: 20, note: 'in' } },
    { operation: 'delete', key: { id: 6 }, before: { id: 6, total: 60, note: 'a' } },
  ])
  expect(events).toEqual([])
})

test('without the row before nothing stays behind: what does not match goes on as a delete, and it is said once', () => {
  const { chain, events } = chainOf(FILTER)
  const { batch } = new BatchBuilder([byDefault])
    .snapshot(['1', '20', 'a'])
    .snapshot(['2', '5', 'a'])
    .create(['3', null, 'a'])
    .update(['4', '5', 'a'])
    .update(['5', '50', 'a'])
    .update(['60', '5', 'a'], ['6', null, null])
    .delete(['7', null, null])
  const processed = chain.process(batchOf(batch))
  expect(recordsOf(processed)).toEqual([
    { operation: 'snapshot', key: { id: 1 }, after: { id: 1, total: 20, note: 'a' } },
    { operation: 'delete', key: { id: 4 } },
    { operation: 'update', key: { id: 5 }, after: { id: 5, total: 50, note: 'a' } },
    { operation: 'delete', key: { id: 6 } },
    { operation: 'delete', key: { id: 7 } },
  ])
  chain.process(batchOf(batch))
  expect(events).toEqual([
    expect.objectContaining({
      type: 'processor-notice',
      table: 'public.orders',
      hint: expect.stringContaining('FULL;'),
    }),
  ])
})

test('a filter of the key alone is exact with any replica identity', () => {
  const { chain, events } = chainOf('  - {type: filter, where: id > 10}')
  const { batch } = new BatchBuilder([byDefault])
    .update(['5', '1', 'a'])
    .update(['15', '1', 'a'])
    .update(['20', '1', undefined], ['5', null, null])
    .update(['5', '1', 'a'], ['20', null, null])
    .delete(['5', null, null])
    .delete(['15', null, null])
  expect(recordsOf(chain.process(batchOf(batch))).map(({ operation, key }) => [operation, key])).toEqual([
    ['update', { id: 15 }],
    ['create', { id: 20 }],
    ['delete', { id: 20 }],
    ['delete', { id: 15 }],
  ])
  expect(events).toEqual([])
})

test('a batch of which no row is left stands at the same place', () => {
  const { chain } = chainOf('  - {type: filter, where: total > 1000}')
  const batch = batchOf(new BatchBuilder([full]).create(['1', '1', 'a']).batch)
  const processed = chain.process(batch)
  expect([processed.length, processed.bytes]).toEqual([0, 0])
  expect(processed.position).toBe(batch.position)
})

test('the records that are left keep their own places, and those of other tables and kinds go on', () => {
  const other = tableOf('customers', ['id int4'])
  const { chain } = chainOf(FILTER)
  const { batch } = new BatchBuilder([full, other])
    .create(['1', '1', 'a'])
    .truncate(0)
    .create(['7'], 1)
    .create(['2', '20', 'a'])
  const places: number[] = []
  const placedAt = (index: number) => {
    places.push(index)
    return batchOf(batch).ownPosition(0)
  }
  const processed = chain.process(batchOf(batch, { placedAt }))
  expect(recordsOf(processed).map(({ operation }) => operation)).toEqual(['truncate', 'create', 'create'])
  processed.ownPosition(0)
  processed.ownPosition(1)
  expect(places).toEqual([1, 2])
})

test('what no processor is for is not looked into, and the batch is the same one', () => {
  const { chain } = chainOf('  - {type: filter, streams: other, where: x = 1}')
  const batch = batchOf(new BatchBuilder([full]).create(['1', '1', 'a']).batch)
  expect(chain.process(batch)).toBe(batch)
})

test('a value that the server did not send ends the run, or only that record is left out, as on_error says', () => {
  const batch = () => batchOf(new BatchBuilder([byDefault]).update(['1', '1', undefined]).update(['2', '1', 'x']).batch)
  const filter = (more: string) => chainOf(`  - {type: filter, where: note = 'x'${more}}`)
  expect(() => filter('').chain.process(batch())).toThrow(
    expect.objectContaining({ code: 'PROCESSOR_FAILED', message: expect.stringContaining('note is unchanged') }),
  )
  const { chain, events } = filter(', on_error: skip')
  expect(recordsOf(chain.process(batch())).map(({ key }) => key)).toEqual([{ id: 2 }])
  expect(events.map(({ type }) => type)).toEqual(['processor-notice', 'processor-skipped'])
})

test('what a row makes of an expression may be an error, which names the record and no value', () => {
  const { chain } = chainOf('  - {type: filter, where: 100 / id > 1}')
  const batch = batchOf(new BatchBuilder([full]).create(['0', '4711', 'secret']).batch)
  expect(() => chain.process(batch)).toThrow(
    'the processor filter (processors[0]) failed on a record of public.orders (id 0/1/0): division by zero',
  )
})

test('an expression that has no meaning for a table says so with the character', () => {
  const of = (where: string) => () =>
    chainOf(`  - {type: filter, where: "${where}"}`).chain.process(
      batchOf(new BatchBuilder([full]).create(['0', '1', 'x']).batch),
    )
  expect(of('totl > 1')).toThrow('there is no column "totl": did you mean total? (character 1 of "totl > 1")')
  expect(of('id > 1 AND note > 5')).toThrow('text > integer has no meaning: cast one of them (character 17 of')
  expect(of("note < 'x'")).toThrow('texts have an order only by COLLATE "C" here')
  expect(of("id = 'x'")).toThrow('"x" is no integer (character 6 of')
  expect(of('total')).toThrow('a condition must be true or false, and this is numeric')
})
