import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Table } from '../../../src/core/table.js'
import { type Effect, Fold, type FoldShape, type Value } from '../../../src/destination/fold.js'
import { BatchBuilder, type Sent, textTable } from '../../support/rowBatches.js'

const COLUMNS = ['id', 'n', 'big', 'other']
const ID = 0
const table = textTable('t', COLUMNS, [ID])
const shape: FoldShape = { table, target: 'copy.t', key: [ID], written: [0, 1, 2, 3] }

type Row = (string | null)[]
const old = (id: string): Sent[] => [id, null, null, null]

function folded(build: (batch: BatchBuilder) => unknown, of: FoldShape = shape): Fold {
  const builder = new BatchBuilder([of.table])
  build(builder)
  const fold = new Fold(builder.batch, of)
  for (let record = 0; record < builder.batch.count; record++) fold.add(record)
  return fold
}

function textOf(value: Value | undefined): Sent {
  if (value === undefined) return undefined
  return value.start < 0 ? null : Buffer.from(value.bytes).toString('utf8', value.start, value.end)
}

const rowOf = (fold: Fold, effect: Effect) => fold.shape.written.map((column) => textOf(fold.valueOf(effect, column)))

/** What it comes to: `gone`, or the row, with the key of the row that has the rest. */
function effects(fold: Fold): Record<string, unknown> {
  const entries = [...fold.effects.values()].map((effect) => {
    if (effect.isGone) return [effect.id, 'gone']
    const base = effect.missing.length > 0 ? { base: textOf(fold.keyOf(effect.base, ID)) } : {}
    return [effect.id, { row: rowOf(fold, effect), ...base }]
  })
  return Object.fromEntries(entries)
}

/**
 * Applies a fold to rows as the statements of `ApplySql` do: fill, delete, update, insert or overwrite. `same` says which
 * keys the server takes for equal.
 */
function apply(fold: Fold, target: Map<string, Row>, same: (key: string) => string, byBytes: boolean): void {
  const rows: Row[] = []
  const updates: [key: string, row: Sent[]][] = []
  const gone: string[] = []
  for (const effect of fold.effects.values()) {
    const key = same(String(effect.id))
    if (byBytes && effect.wasThere !== target.has(key)) throw new Error(`${key} was there: ${target.has(key)}`)
    const row = effect.isGone ? [] : rowOf(fold, effect)
    if (effect.isGone) gone.push(key)
    else if (effect.missing.length === 0) rows.push(row as Row)
    else if (byBytes && effect.base.id === effect.id) updates.push([key, row])
    else {
      const base = target.get(same(textOf(fold.keyOf(effect.base, ID))!))
      if (base === undefined) throw new Error(`nothing to fill ${effect.id} from`)
      rows.push(row.map((value, column) => (effect.missing.includes(column) ? base[column]! : value!)))
    }
  }
  for (const key of gone) target.delete(key)
  for (const [key, row] of updates) {
    const before = target.get(key)
    if (before === undefined) throw new Error(`nothing to update at ${key}`)
    target.set(
      key,
      row.map((value, column) => (value === undefined ? before[column]! : value)),
    )
  }
  const written = new Set<string>()
  for (const row of rows) {
    const key = same(row[ID]!)
    if (written.has(key)) throw new Error(`two rows for ${key}`)
    written.add(key)
    target.set(key, row)
  }
}

describe('what changes of one key come to', () => {
  test('the last whole row; a delete at the end is a delete', () => {
    const fold = folded((batch) =>
      batch
        .snapshot(['1', 'a', 'x', null])
        .update(['1', 'b', 'x', null])
        .create(['2', 'a', 'x', 'y'])
        .delete(old('2'))
        .delete(old('3'))
        .create(['3', 'a', '', 'y']),
    )
    expect(effects(fold)).toEqual({ 1: { row: ['1', 'b', 'x', null] }, 2: 'gone', 3: { row: ['3', 'a', '', 'y'] } })
  })

  test('unchanged columns are those of the row before, or of the target', () => {
    const fold = folded((batch) =>
      batch
        .create(['1', 'a', 'x', 'y'])
        .update(['1', 'b', undefined, 'z'])
        .update(['2', 'b', undefined, undefined])
        .update(['2', 'c', undefined, 'z'])
        .update(['2', 'd', undefined, undefined]),
    )
    expect(effects(fold)).toEqual({
      1: { row: ['1', 'b', 'x', 'z'] },
      2: { row: ['2', 'd', undefined, 'z'], base: '2' },
    })
  })

  test('a key that changes moves the row; what it lacks stands under its old key', () => {
    const fold = folded((batch) =>
      batch
        .update(['2', 'a', undefined, 'y'], old('1'))
        .update(['3', 'b', undefined, undefined], old('2'))
        .create(['1', 'new', 'x', 'y']),
    )
    expect(effects(fold)).toEqual({
      1: { row: ['1', 'new', 'x', 'y'] },
      2: 'gone',
      3: { row: ['3', 'b', undefined, 'y'], base: '1' },
    })
  })

  test('two rows that swap their keys', () => {
    const fold = folded((batch) =>
      batch
        .update(['9', 'a', undefined, 'y'], old('1'))
        .update(['1', 'b', undefined, 'y'], old('2'))
        .update(['2', 'a', undefined, undefined], old('9')),
    )
    expect(effects(fold)).toEqual({
      1: { row: ['1', 'b', undefined, 'y'], base: '2' },
      2: { row: ['2', 'a', undefined, 'y'], base: '1' },
      9: 'gone',
    })
  })

  test('with the whole old row nothing is missing', () => {
    const full: FoldShape = { ...shape, table: textTable('t', COLUMNS, [ID], 'full') }
    const fold = folded((batch) => batch.update(['1', 'b', undefined, 'y'], ['1', 'a', 'x', 'z'], 'row'), full)
    expect(effects(fold)).toEqual({ 1: { row: ['1', 'b', 'x', 'y'] } })
  })

  test('a key column that was not sent stands in the old key', () => {
    const fold = folded((batch) => batch.update([undefined, 'b', 'x', 'y'], old('1')))
    expect(effects(fold)).toEqual({ 1: { row: ['1', 'b', 'x', 'y'] } })
  })

  test('keys of several columns are told apart where their texts join alike', () => {
    const composite: FoldShape = { ...shape, key: [0, 1], table: textTable('t', COLUMNS, [0, 1]) }
    const fold = folded((batch) => batch.create(['a', 'bc', 'x', 'y']).create(['ab', 'c', 'x', 'y']), composite)
    expect(fold.effects.size).toBe(2)
  })
})

test('integer keys are told apart as texts are, each found again, whatever it is', () => {
  const text = textTable('t', COLUMNS, [ID])
  const table = new Table({ ...text, columns: text.columns.map((column) => ({ ...column, typeOid: 20 })) })
  const few = [
    '7',
    '-7',
    '07',
    '0',
    '-0',
    '00',
    '+7',
    '',
    '-',
    '7a',
    ' 7',
    '1e3',
    '999999999999999',
    '-999999999999999',
  ]
  const many = [
    '1000000000000000',
    '9007199254740992',
    '9007199254740993',
    '-9223372036854775808',
    '9223372036854775807',
  ]
  const keys = [...few, ...many]
  const fold = folded(
    (batch) => {
      for (const key of keys) batch.create([key, 'a', 'x', 'y'])
      for (const key of keys) batch.update([key, 'b', 'x', 'y'])
    },
    { ...shape, table },
  )
  const found = [...fold.effects.values()].map((effect) => [textOf(fold.keyOf(effect, ID)), rowOf(fold, effect)[1]])
  expect(found).toEqual(keys.map((key) => [key, 'b']))
})

describe('what cannot be folded', () => {
  const failure = (build: (batch: BatchBuilder) => unknown, of?: FoldShape) => {
    try {
      folded(build, of)
    } catch (error) {
      return (error as { code: string }).code
    }
    return undefined
  }

  test('a value that is nowhere', () => {
    expect(failure((batch) => batch.delete(old('1')).update(['1', 'a', undefined, 'y']))).toBe('ROW_INCOMPLETE')
  })

  test('NULL in the key', () => {
    expect(failure((batch) => batch.create([null, 'a', 'x', 'y']))).toBe('KEY_INCOMPLETE')
  })

  test('a change by another key than that of which the server tells', () => {
    const other: FoldShape = { ...shape, key: [1] }
    expect(failure((batch) => batch.create(['1', 'a', 'x', 'y']), other)).toBeUndefined()
    expect(failure((batch) => batch.update(['1', 'a', 'x', 'y']), other)).toBe('KEY_NOT_TOLD')
    expect(failure((batch) => batch.delete(old('1')), other)).toBe('KEY_NOT_TOLD')
    const full: FoldShape = { ...other, table: textTable('t', COLUMNS, [ID], 'full') }
    const swapped = folded((batch) => batch.update(['1', 'b', 'x', 'y'], ['1', 'a', 'x', 'y'], 'row'), full)
    expect(effects(swapped)).toEqual({ a: 'gone', b: { row: ['1', 'b', 'x', 'y'] } })
  })
})

interface Change {
  readonly kind: 'create' | 'update' | 'delete' | 'move'
  readonly key: number
  readonly to: number
  readonly value: number
  readonly sendsBig: boolean
  readonly sendsOther: boolean
  readonly batchEnds: boolean
}

const change: fc.Arbitrary<Change> = fc.record({
  kind: fc.constantFrom('create', 'update', 'update', 'delete', 'move', 'move'),
  key: fc.nat(7),
  to: fc.nat(7),
  value: fc.nat(99),
  sendsBig: fc.boolean(),
  sendsOther: fc.boolean(),
  batchEnds: fc.boolean(),
})

describe.each([
  ['the bytes of the key decide', ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'], (key: string) => key, true],
  ['the server takes keys of different bytes for equal', ['a', 'A', 'b', 'B', 'c', 'C', 'd', 'D'], lower, false],
] as const)('folded and applied is as row by row: %s', (_, keys, same, byBytes) => {
  test('for any changes that a table allows', () => {
    fc.assert(
      fc.property(fc.array(change, { maxLength: 60 }), (changes) => {
        const source = new Map<string, Row>()
        const target = new Map<string, Row>()
        let builder = new BatchBuilder([table])
        const flush = () => {
          const fold = new Fold(builder.batch, shape)
          for (let record = 0; record < builder.batch.count; record++) fold.add(record)
          apply(fold, target, same, byBytes)
          builder = new BatchBuilder([table])
          expect([...target].sort()).toEqual([...source].sort())
        }
        for (const one of changes) {
          change1(one, keys, same, source, builder)
          if (one.batchEnds && one.value % 3 === 0) flush()
        }
        flush()
      }),
      { numRuns: 1000 },
    )
  })
})

function lower(key: string): string {
  return key.toLowerCase()
}

/** Does one change at the source, if it is possible there, and writes down what the server would send of it. */
function change1(
  { kind, key, to, value, sendsBig, sendsOther }: Change,
  keys: readonly string[],
  same: (key: string) => string,
  source: Map<string, Row>,
  builder: BatchBuilder,
): void {
  const wanted = keys[key]!
  const before = source.get(same(wanted))
  if (kind === 'create') {
    if (before !== undefined) return
    const row = [wanted, `${value}`, `big ${value}`, value % 5 === 0 ? null : `other ${value}`]
    source.set(same(wanted), row)
    builder.create(row)
    return
  }
  if (before === undefined) return
  const id = before[ID]!
  if (kind === 'delete') {
    source.delete(same(id))
    builder.delete(old(id))
    return
  }
  const next = kind === 'move' ? keys[to]! : id
  if (same(next) !== same(id) && source.has(same(next))) return
  const row = [next, `${value}`, sendsBig ? `big ${value}` : before[2]!, sendsOther ? `other ${value}` : before[3]!]
  source.delete(same(id))
  source.set(same(next), row)
  const sent = [next, row[1]!, sendsBig ? row[2]! : undefined, sendsOther ? row[3]! : undefined]
  builder.update(sent, next === id ? undefined : old(id))
}
