import { describe, expect, test } from 'vitest'
import { codecFor } from '../../../src/codec/codecFor.js'
import { type ReplicaIdentity, Table } from '../../../src/core/table.js'
import { Relation } from '../../../src/postgres/pgoutput/relation.js'
import { ShapeRegistry, type ShapeRegistryOptions } from '../../../src/source/shapeRegistry.js'

const ID = { name: 'id', typeOid: 20, typmod: -1, partOfKey: true }
const NOTE = { name: 'note', typeOid: 25, typmod: -1, partOfKey: false }
const PAIR = { name: 'pair', typeOid: 16400, typmod: -1, partOfKey: false }

/** Each call gives what another Relation message would. */
function relation(columns: readonly (typeof ID)[], oid = 1, identity: ReplicaIdentity = 'default'): Relation {
  return new Relation(oid, 'public', `t${oid}`, identity, columns)
}

function tableOf({ oid, schema, name, columns, replicaIdentity }: Relation): Table {
  const codec = codecFor({
    kind: 'scalar',
    oid: 25,
    schema: 'pg_catalog',
    name: 'text',
    variety: 'base',
    jsonCast: null,
  })
  return new Table({
    oid,
    schema,
    name,
    columns: columns.map((column) => ({ ...column, typeName: 'text', notNull: false, generated: false })),
    codecs: columns.map(() => codec),
    selected: columns.map((_, index) => index),
    key: [0],
    replicaIdentity,
  })
}

function registry(options: Partial<ShapeRegistryOptions> = {}) {
  const compiled: Relation[] = []
  const shapes = new ShapeRegistry({
    captures: ({ oid }) => oid < 10,
    compile: async (one) => {
      compiled.push(one)
      return tableOf(one)
    },
    ...options,
  })
  return { shapes, compiled }
}

const IDENTITY = { replicaIdentity: 'default', identityColumns: ['id'] } as const
const TOLD = { told: true }
const UNTOLD = { told: false }

describe('a shape that the catalog has, too', () => {
  test.each([TOLD, UNTOLD])('is not compiled, and no change (%o)', async (told) => {
    const { shapes, compiled } = registry()
    const table = tableOf(relation([ID, NOTE]))
    shapes.known(table, IDENTITY, told)
    const learned = shapes.learn(relation([ID, NOTE]))!
    expect(learned.changed).toBe(false)
    expect(await learned.shape.ready).toBe(table)
    expect(compiled).toEqual([])
  })

  test('is not compiled when the stream gets there from an older one, and that is a change', async () => {
    const { shapes, compiled } = registry()
    const table = tableOf(relation([ID, NOTE]))
    shapes.known(table, IDENTITY, UNTOLD)
    const old = relation([ID])
    expect(shapes.learn(old)!.changed).toBe(false)
    const learned = shapes.learn(relation([ID, NOTE]))!
    expect(learned.changed).toBe(true)
    expect(await learned.shape.ready).toBe(table)
    expect(compiled).toEqual([old])
  })

  test('with REPLICA IDENTITY FULL is one whose every column is flagged', async () => {
    const { shapes, compiled } = registry()
    const full = relation([ID, { ...NOTE, partOfKey: true }], 1, 'full')
    shapes.known(tableOf(full), { replicaIdentity: 'full', identityColumns: undefined }, UNTOLD)
    shapes.learn(relation([ID, { ...NOTE, partOfKey: true }], 1, 'full'))
    expect(compiled).toEqual([])
  })
})

describe('another shape', () => {
  test.each([
    ['is a change when the one before was told', TOLD, true],
    ['is none when the stream has not told any yet', UNTOLD, false],
  ])('%s', (_, told, changed) => {
    const { shapes } = registry()
    shapes.known(tableOf(relation([ID])), IDENTITY, told)
    expect(shapes.learn(relation([ID, NOTE]))!.changed).toBe(changed)
  })

  test('is one of the table that took the name of a dropped one', () => {
    const { shapes } = registry()
    shapes.known(tableOf(relation([ID])), IDENTITY, TOLD)
    expect(shapes.learn(new Relation(2, 'public', 't1', 'default', [ID]))!.changed).toBe(true)
  })
})

test('a relation that is not captured has no shape', () => {
  const { shapes } = registry()
  const foreign = relation([ID], 11)
  expect(shapes.learn(foreign)).toBeUndefined()
  expect(shapes.of(foreign)).toBeUndefined()
})

describe('types that may be altered without a word', () => {
  const mayAlter = ({ columns }: Relation) => columns.some(({ typeOid }) => typeOid === PAIR.typeOid)

  test('are looked at again at every message, without telling a change', () => {
    const { shapes, compiled } = registry({ mayAlter })
    shapes.known(tableOf(relation([ID, PAIR])), IDENTITY, TOLD)
    const first = shapes.learn(relation([ID, PAIR]))!
    const again = shapes.learn(relation([ID, PAIR]))!
    expect([first.changed, again.changed, compiled.length]).toEqual([false, false, 2])
    expect(shapes.learn(relation([ID, PAIR, NOTE]))!.changed).toBe(true)
  })

  test('once altered give the tables that have them another shape, and no others', async () => {
    const { shapes } = registry({ mayAlter })
    const [pairs, notes] = [relation([ID, PAIR]), relation([ID, NOTE], 2)]
    const before = [pairs, notes].map((one) => shapes.learn(one)!.shape)
    shapes.learn(relation([ID, PAIR], 11))
    shapes.recompile(new Set([PAIR.typeOid, 16401]))
    expect(shapes.of(notes)).toBe(before[1])
    const after = shapes.of(pairs)!
    expect(after).not.toBe(before[0])
    expect(after.table).toBeUndefined() // batches wait for it
    expect(await after.ready).not.toBe(await before[0]!.ready)
    expect(after.table).toBe(await after.ready)
  })

  test('that cannot be looked at fail the batch that waits for them, and nothing else', async () => {
    const { shapes } = registry({ mayAlter, compile: () => Promise.reject(new Error('the server is gone')) })
    const { shape } = shapes.learn(relation([ID, PAIR]))!
    await expect(shape.ready).rejects.toThrow('the server is gone')
  })
})
