import { describe, expect, test } from 'vitest'
import { TABLE_NOT_FOUND } from '../../../../src/core/errors.js'
import type { TailraceError } from '../../../../src/core/tailraceError.js'
import type { Relation } from '../../../../src/postgres/catalog/relations.js'
import type { Publication } from '../../../../src/postgres/publication.js'
import { parseTablePatterns } from '../../../../src/postgres/tablePattern.js'
import { tableFindings } from '../../../../src/source/doctor/checks/tables.js'
import { chooseWhatCanBe } from '../../../../src/source/doctor/chooseWhatCanBe.js'
import type { Publications } from '../../../../src/source/doctor/facts.js'
import { doctorFacts, type FactChanges, mendText, withCode } from '../../../support/doctorFacts.js'
import { keyedTable, leaf, primaryKey, tableFacts } from '../../../support/tableFacts.js'

const judged = (changes: FactChanges) =>
  tableFindings(doctorFacts(changes)).map(({ status, code }) => `${status} ${code}`)

const orders = keyedTable()
const log = tableFacts({ name: 'log', columns: ['line'] })

test('a table that can be read and has a key', () => {
  expect(judged({ tables: [orders] })).toEqual(['ok READABLE', 'ok KEY', 'ok TOAST'])
  const [, key] = tableFindings(doctorFacts({ tables: [orders] }))
  expect(key!.found).toBe('public.orders: key (id), its primary key; replica identity default')
})

test('no tables named, none judged', () => expect(judged({ database: { tables: undefined } })).toEqual([]))

test('a mistyped name is a problem, and the others are judged all the same', () => {
  const mistakes = [TABLE_NOT_FOUND({ names: ['ordesr'], nearest: ['public.orders'] })]
  const changes = { mistakes, tables: [orders] }
  expect(judged(changes)).toEqual(['problem TABLE_NOT_FOUND', 'ok READABLE', 'ok KEY', 'ok TOAST'])
  expect(mendText(tableFindings(doctorFacts(changes))[0]!)).toContain('public.orders')
})

test('privileges and row security are told of together', () => {
  const hidden = keyedTable({ schema: 'sales', rowSecurity: true, readable: false, schemaUsable: false })
  const findings = tableFindings(doctorFacts({ tables: [hidden] }))
  const [denied, cut] = findings
  expect(denied).toMatchObject({ status: 'problem', code: 'TABLE_NOT_READABLE' })
  expect(mendText(denied!)).toContain('GRANT USAGE ON SCHEMA sales TO app; GRANT SELECT ON sales.orders TO app;')
  expect(cut).toMatchObject({ status: 'problem', code: 'ROW_SECURITY_ACTIVE' })
  expect(mendText(cut!)).toContain('ALTER ROLE app BYPASSRLS;')
})

describe('keys', () => {
  test('a table without replica identity is a problem with both ways out', () => {
    const [refused] = withCode(tableFindings(doctorFacts({ tables: [log] })), 'REPLICA_IDENTITY_MISSING')
    expect(refused!.status).toBe('problem')
    expect(refused!.mend.map(({ kind, text }) => `${kind}: ${text}`)).toEqual([
      'sql: ALTER TABLE public.log REPLICA IDENTITY FULL;',
      'option: --keyless inserts, to capture its inserts and truncates only',
    ])
  })

  test('with --keyless inserts it is a warning', () => {
    expect(judged({ tables: [log], wishes: { keyless: 'inserts' } })).toContain('warning KEYLESS_INSERTS')
  })

  test('an unpublished generated column is mended in the publication by its name, without one nothing is to be copied', () => {
    const table = keyedTable({ columns: ['id!', 'up='], replicaIdentity: 'full' })
    const of = (publications: Publications) => {
      const tables = { value: { mistakes: [], tables: [table], capture: new Map(), keys: new Map() } }
      const facts = doctorFacts({ database: { tables, publications: { value: publications } } })
      return withCode(tableFindings(facts), 'GENERATED_COLUMN_IN_IDENTITY')[0]?.mend[0]
    }
    const all = { name: 'Shop', generatedColumns: 'none' } as Publication
    expect(of({ all, inserts: undefined })).toEqual({
      kind: 'sql',
      text: 'ALTER PUBLICATION "Shop" SET (publish_generated_columns = stored);',
    })
    expect(of({ all: undefined, inserts: undefined })).toBeUndefined()
    const virtual = tableFacts({ columns: ['id!', 'up~'], replicaIdentity: 'full' })
    const [refused] = withCode(tableFindings(doctorFacts({ tables: [virtual] })), 'GENERATED_COLUMN_IN_IDENTITY')
    expect(refused!.mend[0]).toMatchObject({ kind: 'advice', text: expect.stringContaining('ADD PRIMARY KEY (…)') })
  })

  test('a deferrable primary key is named as the reason', () => {
    const deferrable = tableFacts({ primaryKey: primaryKey(['id'], true) })
    const [refused] = withCode(tableFindings(doctorFacts({ tables: [deferrable] })), 'REPLICA_IDENTITY_MISSING')
    expect(refused!.found).toContain('its primary key orders_pkey is deferrable')
  })

  test('a key of the user must lie in the replica identity', () => {
    const keys = new Map([[orders.oid, ['note']]])
    const tables = { value: { mistakes: [], tables: [orders], capture: new Map(), keys } }
    expect(judged({ database: { tables } })).toContain('problem KEY_OUTSIDE_IDENTITY')
    const full = { ...orders, replicaIdentity: 'full' as const }
    const asGiven = { value: { ...tables.value, tables: [full] } }
    const [key] = withCode(tableFindings(doctorFacts({ database: { tables: asGiven } })), 'KEY')
    expect(key!.found).toBe('public.orders: key (note), as given; replica identity full')
  })

  test('the identity index is shown, and the identities of partitions that differ', () => {
    const index = tableFacts({ replicaIdentity: 'index', identityColumns: ['id'] })
    const [byIndex] = withCode(tableFindings(doctorFacts({ tables: [index] })), 'KEY')
    expect(byIndex!.found).toContain('key (id), its replica identity; replica identity index (id)')
    const full = leaf('m1', { replicaIdentity: 'full' })
    const tree = keyedTable({ kind: 'partitioned', partitions: [full, leaf('m2', { identityColumns: ['id'] })] })
    const [ofTree] = withCode(tableFindings(doctorFacts({ tables: [tree] })), 'KEY')
    expect(ofTree!.found).toContain('replica identity default, of partitions also full')
  })
})

describe('partitions', () => {
  test('new ones without an identity are a warning, unless a primary key is inherited', () => {
    const full = leaf('m1', { replicaIdentity: 'full' })
    const tree = tableFacts({ kind: 'partitioned', replicaIdentity: 'full', partitions: [full] })
    expect(judged({ tables: [tree] })).toContain('warning NEW_PARTITIONS_LACK_IDENTITY')
    const keyed = keyedTable({ kind: 'partitioned', partitions: [leaf('m1', { identityColumns: ['id'] })] })
    expect(judged({ tables: [keyed] })).not.toContain('warning NEW_PARTITIONS_LACK_IDENTITY')
  })

  test('those whose changes are never sent are named', () => {
    const far = leaf('far', { kind: 'foreign table' })
    const fast = leaf('fast', { persistence: 'unlogged' })
    const tree = keyedTable({ kind: 'partitioned', partitions: [far, fast, leaf('m1', { identityColumns: ['id'] })] })
    const [silent] = withCode(tableFindings(doctorFacts({ tables: [tree] })), 'PARTITION_NOT_PUBLISHED')
    expect(silent!.found).toContain('public.far (foreign table), public.fast (unlogged)')
    expect(mendText(silent!)).toBe('ALTER TABLE public.fast SET LOGGED;')
  })
})

describe('TOAST', () => {
  const capture = (toastable: string[]) => new Map([[orders.oid, { owned: true, toastable }]])

  test('columns that an update may leave out are named, with what becomes of them', () => {
    const [toast] = withCode(tableFindings(doctorFacts({ tables: [orders], capture: capture(['note']) })), 'TOAST')
    expect(toast).toMatchObject({ status: 'warning', found: expect.stringContaining('public.orders (note)') })
    expect(toast!.why).toContain('named in `unchanged`')
    expect(mendText(toast!)).toContain('ALTER TABLE public.orders REPLICA IDENTITY FULL;')
  })

  test('columns of the identity are always sent, and with FULL all are', () => {
    expect(judged({ tables: [orders], capture: capture(['id']) })).toContain('ok TOAST')
    const full = { ...orders, replicaIdentity: 'full' as const }
    expect(judged({ tables: [full], capture: capture(['note']) })).toContain('ok TOAST')
  })
})

test('nothing is said of TOAST where a table was refused, and nothing else is to be told', () => {
  expect(judged({ tables: [log] })).toEqual(['ok READABLE', 'problem REPLICA_IDENTITY_MISSING'])
})

describe('which tables are judged', () => {
  const relation = (name: string, facts: Partial<Relation> = {}): Relation => ({
    oid: name.length,
    schema: 'public',
    name,
    kind: 'ordinary',
    persistence: 'permanent',
    parent: undefined,
    ...facts,
  })
  const relations = [relation('orders'), relation('logs'), relation('totals!', { kind: 'view' })]
  const choose = (include: string, exclude?: string) => {
    const mistakes: TailraceError[] = []
    const excluded = exclude === undefined ? [] : parseTablePatterns(exclude)
    const chosen = chooseWhatCanBe(relations, { include: parseTablePatterns(include), excluded }, mistakes)
    return { chosen: chosen.map(({ name }) => name), codes: mistakes.map(({ code }) => code) }
  }

  test.each<[string, string | undefined, string[], string[]]>([
    ['orders,logs', undefined, ['orders', 'logs'], []],
    ['*', 'logs', ['orders'], []],
    ['ordesr,orders,"totals!"', undefined, ['orders'], ['TABLE_NOT_FOUND', 'TABLE_NOT_CAPTURABLE']],
    ['nothing', undefined, [], ['TABLE_NOT_FOUND']],
    ['orders', 'lgos', ['orders'], ['TABLE_NOT_FOUND']],
    ['orders', 'orders', ['orders'], ['NO_TABLES']],
  ])('%s without %s', (include, exclude, chosen, codes) => expect(choose(include, exclude)).toEqual({ chosen, codes }))
})
