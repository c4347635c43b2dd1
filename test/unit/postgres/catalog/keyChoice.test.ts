import { describe, expect, test } from 'vitest'
import {
  COLUMN_NOT_FOUND,
  GENERATED_COLUMN_IN_IDENTITY,
  KEY_COLUMN_UNPUBLISHED,
  KEY_OUTSIDE_IDENTITY,
  REPLICA_IDENTITY_MISSING,
} from '../../../../src/core/errors.js'
import type { TailraceError } from '../../../../src/core/tailraceError.js'
import type { KeyFacts } from '../../../../src/postgres/catalog/identity.js'
import {
  type ChosenKey,
  chooseKey,
  chooseKeyByPolicy,
  type KeyChoice,
  type KeyWishes,
} from '../../../../src/postgres/catalog/keyChoice.js'
import { keyedTable, leaf, primaryKey, tableFacts } from '../../../support/tableFacts.js'

function chosen(choice: KeyChoice): ChosenKey {
  if ('refusal' in choice) throw choice.refusal
  return choice.chosen
}

function refusal(choice: KeyChoice): TailraceError {
  if ('chosen' in choice) return expect.unreachable(`chose ${choice.chosen.columns}`)
  return choice.refusal
}

const key = (table: KeyFacts, wishes?: KeyWishes) => chosen(chooseKey(table, wishes))
const refused = (table: KeyFacts, wishes?: KeyWishes) => refusal(chooseKey(table, wishes))

const unique = (...columns: string[]) => ({ name: `orders_${columns.join('_')}_key`, columns })
const four = ['id!', 'code!', 'tenant!', 'note']

describe('default identity', () => {
  test('is the primary key', () => {
    expect(key(keyedTable())).toEqual({
      columns: ['id'],
      origin: 'primary key',
      wholeOldRows: false,
      insertsOnly: false,
      newPartitionsLackIdentity: false,
    })
  })

  test('a composite one keeps its order', () => {
    expect(key(keyedTable({ columns: four }, ['tenant', 'id'])).columns).toEqual(['tenant', 'id'])
  })

  test('without a primary key there is none, though a unique index would do', () => {
    const error = refused(tableFacts({ columns: four, uniqueKeys: [unique('code')] }))
    expect(REPLICA_IDENTITY_MISSING.is(error)).toBe(true)
    expect(error.details.tables).toEqual(['public.orders'])
    expect(error.details.sql).toBe('ALTER TABLE public.orders REPLICA IDENTITY FULL;')
    expect(error.hint).toContain('--keyless inserts')
  })

  test('a deferrable primary key is none', () => {
    const table = tableFacts({ primaryKey: primaryKey(['id'], true), identityColumns: undefined })
    expect(REPLICA_IDENTITY_MISSING.is(refused(table))).toBe(true)
    expect(REPLICA_IDENTITY_MISSING.is(refused(table, { key: ['id'] }))).toBe(true)
  })

  test('a key that the user names must be contained in it', () => {
    const table = keyedTable({ columns: four, uniqueKeys: [unique('code')] }, ['tenant', 'id'])
    expect(key(table, { key: ['id'] })).toMatchObject({ columns: ['id'], origin: 'user', wholeOldRows: false })
    expect(key(table, { key: ['id', 'tenant'] }).columns).toEqual(['id', 'tenant'])
    const error = refused(table, { key: ['code'] })
    expect(KEY_OUTSIDE_IDENTITY.is(error)).toBe(true)
    expect(error.message).toContain('key (code) of public.orders is not part of its replica identity (tenant, id)')
    expect(error.hint).toContain('ALTER TABLE public.orders REPLICA IDENTITY FULL;')
    expect(KEY_OUTSIDE_IDENTITY.is(refused(table, { key: ['id', 'code'] }))).toBe(true)
  })
})

describe('identity nothing', () => {
  test('is refused, primary key or not', () => {
    const table = keyedTable({ replicaIdentity: 'nothing', identityColumns: undefined })
    expect(REPLICA_IDENTITY_MISSING.is(refused(table))).toBe(true)
  })
})

describe('identity by an index', () => {
  const byIndex = (identityColumns: string[] | undefined, facts: Parameters<typeof tableFacts>[0] = {}) =>
    keyedTable({ columns: four, replicaIdentity: 'index', identityColumns, ...facts })

  test('beside the primary key: deletes have the index alone, and so has the key', () => {
    expect(key(byIndex(['code']))).toMatchObject({ columns: ['code'], origin: 'replica identity' })
  })

  test('that contains the primary key: the primary key', () => {
    expect(key(byIndex(['code', 'id']))).toMatchObject({ columns: ['id'], origin: 'primary key' })
  })

  test('of which a deferrable primary key is part: the index', () => {
    const table = byIndex(['code', 'id'], { primaryKey: primaryKey(['id'], true) })
    expect(key(table)).toMatchObject({ columns: ['code', 'id'], origin: 'replica identity' })
  })

  test('the primary key named by the user is refused, as it is not contained', () => {
    expect(KEY_OUTSIDE_IDENTITY.is(refused(byIndex(['code']), { key: ['id'] }))).toBe(true)
  })

  test('whose index was dropped is none', () => {
    expect(REPLICA_IDENTITY_MISSING.is(refused(byIndex(undefined)))).toBe(true)
  })
})

describe('full identity', () => {
  const full = (facts: Parameters<typeof tableFacts>[0] = {}) =>
    tableFacts({ columns: four, replicaIdentity: 'full', ...facts })

  test('any key the user names is had, and old rows are whole', () => {
    expect(key(full({ primaryKey: primaryKey(['id']) }), { key: ['note', 'code'] })).toMatchObject({
      columns: ['note', 'code'],
      origin: 'user',
      wholeOldRows: true,
    })
  })

  test('else the primary key', () => {
    const table = full({ primaryKey: primaryKey(['id', 'tenant']), uniqueKeys: [unique('code')] })
    expect(key(table)).toMatchObject({ columns: ['id', 'tenant'], origin: 'primary key', wholeOldRows: true })
  })

  test('else a unique index, the one of fewest columns, the first of those by name', () => {
    const table = full({ uniqueKeys: [unique('tenant', 'code'), unique('code'), unique('tenant')] })
    expect(key(table)).toMatchObject({ columns: ['code'], origin: 'unique index' })
  })

  test('a deferrable primary key is passed over', () => {
    expect(key(full({ primaryKey: primaryKey(['id'], true), uniqueKeys: [unique('code')] })).columns).toEqual(['code'])
    expect(key(full({ primaryKey: primaryKey(['id'], true) }))).toMatchObject({ columns: [], origin: 'none' })
  })

  test('else none, and the table is captured without a key', () => {
    expect(key(full())).toMatchObject({ columns: [], origin: 'none', wholeOldRows: true })
  })
})

describe('inserts only', () => {
  test('nothing is asked of the identity', () => {
    const table = tableFacts({ columns: four, replicaIdentity: 'nothing', uniqueKeys: [unique('code')] })
    expect(key(table, { insertsOnly: true })).toMatchObject({
      columns: ['code'],
      origin: 'unique index',
      insertsOnly: true,
      wholeOldRows: false,
    })
    expect(key(table, { insertsOnly: true, key: ['note'] })).toMatchObject({ columns: ['note'], origin: 'user' })
    expect(key(tableFacts(), { insertsOnly: true })).toMatchObject({ columns: [], origin: 'none' })
    expect(key(keyedTable(), { insertsOnly: true })).toMatchObject({ columns: ['id'], origin: 'primary key' })
  })

  test('by policy, for those tables alone that need it', () => {
    const policy = { keyless: 'inserts', serverVersion: 170000 } as const
    expect(chosen(chooseKeyByPolicy(keyedTable(), policy)).insertsOnly).toBe(false)
    expect(chosen(chooseKeyByPolicy(tableFacts(), policy)).insertsOnly).toBe(true)
    const outside = keyedTable({ columns: four })
    expect(chosen(chooseKeyByPolicy(outside, { ...policy, key: ['code'] }))).toMatchObject({
      columns: ['code'],
      insertsOnly: true,
    })
    expect('refusal' in chooseKeyByPolicy(outside, { ...policy, keyless: 'refuse', key: ['code'] })).toBe(true)
  })

  test('does not excuse a key that is not there', () => {
    const policy = { key: ['nothing'], keyless: 'inserts', serverVersion: 170000 } as const
    expect(COLUMN_NOT_FOUND.is(refusal(chooseKeyByPolicy(keyedTable(), policy)))).toBe(true)
  })
})

describe('partitioned tables', () => {
  const partitioned = (root: Parameters<typeof tableFacts>[0], ...partitions: ReturnType<typeof leaf>[]) =>
    tableFacts({ columns: four, name: 'metrics', kind: 'partitioned', ...root, partitions })
  const withKey = { identityColumns: ['id'], primaryKey: primaryKey(['id']) }

  test('the usual: a primary key on the root, and so on every leaf', () => {
    const table = partitioned(withKey, leaf('m1', { identityColumns: ['id'] }), leaf('m2', { identityColumns: ['id'] }))
    expect(key(table)).toMatchObject({ columns: ['id'], origin: 'primary key', newPartitionsLackIdentity: false })
  })

  test('FULL counts when root and every leaf are FULL', () => {
    const table = partitioned({ replicaIdentity: 'full' }, leaf('m1', { replicaIdentity: 'full' }))
    expect(key(table, { key: ['code'] })).toMatchObject({ columns: ['code'], wholeOldRows: true })
    expect(key(table)).toMatchObject({ columns: [], wholeOldRows: true })
  })

  test('FULL on the root alone: old rows are not whole, and the key is that of the leaves', () => {
    const table = partitioned({ ...withKey, replicaIdentity: 'full' }, leaf('m1', { identityColumns: ['id'] }))
    expect(key(table)).toMatchObject({ columns: ['id'], origin: 'primary key', wholeOldRows: false })
    const error = refused(table, { key: ['code'] })
    expect(error.details.sql).toBe('ALTER TABLE public.m1 REPLICA IDENTITY FULL;')
  })

  test('FULL on every leaf, not on the root: every column is sent, but not as a whole row', () => {
    const table = partitioned(withKey, leaf('m1', { replicaIdentity: 'full' }))
    expect(key(table)).toMatchObject({ columns: ['id'], wholeOldRows: false })
    expect(key(table, { key: ['code'] })).toMatchObject({ columns: ['code'], wholeOldRows: false })
  })

  test('a leaf without identity is refused, with SQL that names the root and every leaf', () => {
    const table = partitioned(
      withKey,
      leaf('m1', { identityColumns: ['id'] }),
      leaf('m 2'),
      leaf('m3', { replicaIdentity: 'full' }),
    )
    const error = refused(table)
    expect(REPLICA_IDENTITY_MISSING.is(error)).toBe(true)
    expect(error.details.tables).toEqual(['public."m 2"'])
    expect(error.details.sql).toBe(
      [
        'ALTER TABLE public.metrics REPLICA IDENTITY FULL;',
        'ALTER TABLE public.m1 REPLICA IDENTITY FULL;',
        'ALTER TABLE public."m 2" REPLICA IDENTITY FULL;',
      ].join(' '),
    )
  })

  test('a key must be in the identity of every leaf', () => {
    const leaves = [leaf('m1', { identityColumns: ['id', 'code'] }), leaf('m2', { identityColumns: ['id', 'tenant'] })]
    expect(key(partitioned(withKey, ...leaves)).columns).toEqual(['id'])
    expect(KEY_OUTSIDE_IDENTITY.is(refused(partitioned(withKey, ...leaves), { key: ['code'] }))).toBe(true)
    const apart = [leaf('m1', { identityColumns: ['id'] }), leaf('m2', { identityColumns: ['code'] })]
    const error = refused(partitioned(withKey, ...apart))
    expect(REPLICA_IDENTITY_MISSING.is(error)).toBe(true)
    expect(error.details.sql).toContain('public.metrics REPLICA IDENTITY FULL; ALTER TABLE public.m1')
  })

  test('without any leaf the root decides for those to come', () => {
    expect(key(partitioned(withKey)).columns).toEqual(['id'])
    expect(REPLICA_IDENTITY_MISSING.is(refused(partitioned({})))).toBe(true)
    expect(key(partitioned({ replicaIdentity: 'full' })).wholeOldRows).toBe(true)
  })

  test('leaves that send nothing are not asked: foreign tables, unlogged ones', () => {
    const table = partitioned(
      withKey,
      leaf('m1', { identityColumns: ['id'] }),
      leaf('m2', { kind: 'foreign table' }),
      leaf('m3', { persistence: 'unlogged' }),
    )
    expect(key(table).columns).toEqual(['id'])
  })

  test('without a primary key to inherit, partitions to come will lack identity', () => {
    const full = partitioned({ replicaIdentity: 'full' }, leaf('m1', { replicaIdentity: 'full' }))
    expect(key(full).newPartitionsLackIdentity).toBe(true)
    expect(key(full, { insertsOnly: true }).newPartitionsLackIdentity).toBe(false)
    const deferrable = partitioned(
      { replicaIdentity: 'full', primaryKey: primaryKey(['id'], true) },
      leaf('m1', { replicaIdentity: 'full' }),
    )
    expect(key(deferrable).newPartitionsLackIdentity).toBe(true)
  })
})

describe('generated columns', () => {
  const columns = ['id!', 'slug!=', 'note']

  test('are no part of a key where they are not published', () => {
    const table = tableFacts({ columns, replicaIdentity: 'full', uniqueKeys: [unique('slug'), unique('id')] })
    expect(key(table).columns).toEqual(['id'])
    expect(KEY_COLUMN_UNPUBLISHED.is(refused(table, { key: ['slug'] }))).toBe(true)
    expect(KEY_COLUMN_UNPUBLISHED.is(refused(table, { key: ['slug'], insertsOnly: true }))).toBe(true)
    expect(key(table, { generated: 'stored' }).columns).toEqual(['slug'])
    expect(key(table, { generated: 'stored', key: ['slug'] }).columns).toEqual(['slug'])
  })

  test('an identity of nothing else is none; of something else it has that', () => {
    const alone = tableFacts({ columns, replicaIdentity: 'index', identityColumns: ['slug'] })
    expect(REPLICA_IDENTITY_MISSING.is(refused(alone))).toBe(true)
    const both = keyedTable({ columns, replicaIdentity: 'index', identityColumns: ['slug', 'id'] })
    expect(key(both).columns).toEqual(['id'])
    expect(key({ ...both, primaryKey: undefined }, { generated: 'stored' }).columns).toEqual(['slug', 'id'])
    expect(REPLICA_IDENTITY_MISSING.is(refused({ ...both, primaryKey: undefined }))).toBe(true)
  })

  test('virtual ones are published nowhere', () => {
    const table = keyedTable({ columns: ['id!', 'upper~'] })
    expect(KEY_COLUMN_UNPUBLISHED.is(refused(table, { key: ['upper'], generated: 'stored' }))).toBe(true)
  })

  describe('of the replica identity and not published make UPDATE fail on PostgreSQL 18', () => {
    const full = keyedTable({
      columns: ['id!', 'upper~', 'slug='],
      replicaIdentity: 'full',
      identityColumns: undefined,
    })
    const policy = { keyless: 'refuse', generated: 'stored', serverVersion: 180000 } as const

    test('a virtual one under FULL is refused, with the way back to the primary key', () => {
      const error = refusal(chooseKeyByPolicy(full, policy))
      expect(GENERATED_COLUMN_IN_IDENTITY.is(error)).toBe(true)
      expect(error.details).toMatchObject({
        column: 'upper',
        sql: 'ALTER TABLE public.orders REPLICA IDENTITY DEFAULT;',
      })
      const keyless = refusal(chooseKeyByPolicy({ ...full, primaryKey: undefined }, policy))
      expect(keyless.details.sql).toBe(
        'ALTER TABLE public.orders ADD PRIMARY KEY (…); ALTER TABLE public.orders REPLICA IDENTITY DEFAULT;',
      )
    })

    test('inserts can be had', () => {
      expect(chosen(chooseKeyByPolicy(full, { ...policy, keyless: 'inserts' })).insertsOnly).toBe(true)
    })

    test('earlier servers accept it', () => {
      expect(chosen(chooseKeyByPolicy(full, { ...policy, serverVersion: 170010, generated: 'none' })).columns).toEqual([
        'id',
      ])
    })

    test('a stored one is fine once it is published', () => {
      const stored = { ...full, columns: full.columns.filter(({ generated }) => generated !== 'virtual') }
      expect(chosen(chooseKeyByPolicy(stored, policy)).wholeOldRows).toBe(true)
      const error = refusal(chooseKeyByPolicy(stored, { ...policy, generated: 'none' }))
      expect(error.details.sql).toContain('publish_generated_columns = stored')
    })
  })
})

test('a key column that does not exist is answered with the nearest one', () => {
  const error = refused(keyedTable(), { key: ['idd'] })
  expect(COLUMN_NOT_FOUND.is(error)).toBe(true)
  expect(error.hint).toBe('Did you mean id?')
})
