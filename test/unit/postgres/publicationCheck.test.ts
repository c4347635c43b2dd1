import { describe, expect, test } from 'vitest'
import { createPublicationSql, type Publication } from '../../../src/postgres/publication.js'
import { checkPublication, publicationError, type WantedTable } from '../../../src/postgres/publicationCheck.js'
import { publicationFacts } from '../../support/publicationFacts.js'
import { keyedTable, leaf, tableFacts } from '../../support/tableFacts.js'

const findings = (found: Publication, tables: readonly WantedTable[], operations: 'all' | 'inserts' = 'all') =>
  checkPublication(found, { tables, operations }).map(({ kind, sql }) => [kind, sql])

const orders = keyedTable()
const items = keyedTable({ name: 'order "items"', hasChildren: true })

test('a publication that fits has no findings, whatever else it has', () => {
  expect(findings(publicationFacts([orders, items]), [orders])).toEqual([])
  expect(findings(publicationFacts([], { allTables: true }), [orders, items])).toEqual([])
  expect(findings(publicationFacts([], { schemas: ['sales', 'public'] }), [orders])).toEqual([])
  expect(publicationError('shop', [])).toBeUndefined()
})

test('missing tables are added by one statement, without their children', () => {
  expect(findings(publicationFacts([]), [orders, items])).toEqual([
    ['tables missing', 'ALTER PUBLICATION shop ADD TABLE public.orders, ONLY public."order ""items""";'],
  ])
})

test('a table made anew under the same name is missing', () => {
  const former = { ...orders, oid: 1 }
  expect(findings(publicationFacts([former]), [orders])).toHaveLength(1)
})

test('missing operations', () => {
  expect(findings(publicationFacts([orders], { delete: false, truncate: false }), [orders])).toEqual([
    ['operations missing', "ALTER PUBLICATION shop SET (publish = 'insert, update, delete, truncate');"],
  ])
  expect(findings(publicationFacts([orders], { update: false, delete: false }), [orders], 'inserts')).toEqual([])
})

test('a publication for inserts alone must not publish updates', () => {
  expect(findings(publicationFacts([orders], { update: false }), [orders], 'inserts')).toEqual([
    ['updates published', "ALTER PUBLICATION shop SET (publish = 'insert, truncate');"],
  ])
})

test('a row filter and a column list, with what takes them away', () => {
  const found = publicationFacts([orders])
  const restricted = { ...found, tables: [{ ...found.tables[0]!, rowFilter: '(id > 7)', columns: ['id', 'Odd'] }] }
  const sql =
    'BEGIN; ALTER PUBLICATION shop DROP TABLE public.orders; ALTER PUBLICATION shop ADD TABLE public.orders; COMMIT;'
  expect(findings(restricted, [orders])).toEqual([
    ['row filter', sql],
    ['column list', sql],
  ])
  const error = publicationError('shop', checkPublication(restricted, { tables: [orders], operations: 'all' }))
  expect(error?.message).toBe(
    'publication shop does not fit: it filters the rows of public.orders by (id > 7); it has of public.orders only the columns id, "Odd"',
  )
  expect(error?.hint).toBe(
    `As its owner run: ${sql}\nor let tailrace do so, with --manage-publication; or use another publication, with --publication (publication).`,
  )
})

describe('partitions', () => {
  const metrics = keyedTable({
    name: 'metrics',
    kind: 'partitioned',
    partitions: [leaf('m1', { identityColumns: ['id'] })],
  })
  const m1 = keyedTable({ name: 'm1', ancestors: [{ oid: metrics.oid, schema: 'public', name: 'metrics' }] })

  test('a partitioned table must be published via its root', () => {
    expect(findings(publicationFacts([metrics], { viaRoot: false }), [metrics])).toEqual([
      ['not via root', 'ALTER PUBLICATION shop SET (publish_via_partition_root = true);'],
    ])
    expect(findings(publicationFacts([metrics]), [metrics])).toEqual([])
  })

  test('the leaves do not stand for the root', () => {
    expect(findings(publicationFacts([m1]), [metrics]).map(([kind]) => kind)).toEqual(['tables missing'])
  })

  test('a partition by itself is published by its own name, or by a table above when not via root', () => {
    expect(findings(publicationFacts([m1]), [m1])).toEqual([])
    expect(findings(publicationFacts([metrics], { viaRoot: false }), [m1])).toEqual([])
  })

  test('a partition by itself is not there when its rows come as those of a table above', () => {
    const another =
      "CREATE PUBLICATION shop_partitions FOR TABLE public.m1 WITH (publish = 'insert, update, delete, truncate', publish_via_partition_root = true);"
    expect(findings(publicationFacts([metrics, m1]), [m1])).toEqual([['published as root', another]])
    expect(findings(publicationFacts([], { allTables: true }), [m1])).toEqual([['published as root', another]])
  })
})

describe('never harm the application', () => {
  test('a table without replica identity', () => {
    const log = tableFacts({ name: 'log' })
    const [finding] = checkPublication(publicationFacts([log]), { tables: [log], operations: 'all' })
    expect(finding).toMatchObject({
      kind: 'replica identity missing',
      sql: 'ALTER TABLE public.log REPLICA IDENTITY FULL;',
      alters: 'table',
    })
    expect(publicationError('shop', [finding!])?.hint).not.toContain('--manage-publication')
  })

  test('a generated column of the replica identity, on PostgreSQL 18', () => {
    const table = keyedTable({ columns: ['id!', 'slug='], replicaIdentity: 'full', identityColumns: undefined })
    expect(findings(publicationFacts([table], { serverVersion: 180000 }), [table])).toEqual([
      ['generated column unpublished', 'ALTER PUBLICATION shop SET (publish_generated_columns = stored);'],
    ])
    expect(findings(publicationFacts([table], { serverVersion: 180000, generatedColumns: 'stored' }), [table])).toEqual(
      [],
    )
    expect(findings(publicationFacts([table]), [table])).toEqual([])
    const virtual = keyedTable({ columns: ['id!', 'up~'], replicaIdentity: 'full', identityColumns: undefined })
    expect(
      findings(publicationFacts([virtual], { serverVersion: 180000, generatedColumns: 'stored' }), [virtual]),
    ).toEqual([['generated column unpublished', 'ALTER TABLE public.orders REPLICA IDENTITY DEFAULT;']])
  })
})

test('the SQL of a publication of our own', () => {
  const name = 'Tailrace'
  expect(createPublicationSql({ name, tables: [orders, items], operations: 'all', serverVersion: 170000 })).toBe(
    `CREATE PUBLICATION "Tailrace" FOR TABLE public.orders, ONLY public."order ""items""" WITH (publish = 'insert, update, delete, truncate', publish_via_partition_root = true);`,
  )
  expect(createPublicationSql({ name, tables: [], operations: 'inserts', serverVersion: 180000 })).toBe(
    `CREATE PUBLICATION "Tailrace" WITH (publish = 'insert, truncate', publish_via_partition_root = true, publish_generated_columns = stored);`,
  )
})
