import { describe, expect, test } from 'vitest'
import type { CatalogTable } from '../../../src/postgres/catalog/tables.js'
import { parseColumnSelection } from '../../../src/postgres/columnSelection.js'
import type { Publication } from '../../../src/postgres/publication.js'
import {
  type PlannedTable,
  type PlanWishes,
  planCapture,
  restrictByPublications,
} from '../../../src/source/capturePlan.js'
import { publicationFacts } from '../../support/publicationFacts.js'
import { keyedTable, leaf, tableFacts } from '../../support/tableFacts.js'

function plan(table: CatalogTable, wishes: Partial<PlanWishes> = {}): PlannedTable[] {
  const defaults = { columns: [], keys: [], keyless: 'refuse', generated: 'none', serverVersion: 170_000 } as const
  return planCapture([table], { ...defaults, ...wishes })
}

type Listed = Partial<Omit<Publication, 'tables'>> & {
  readonly columns?: readonly string[]
  readonly rowFilter?: string
}

/** A publication of the table, with what it leaves out of it. */
function publishing({ oid, schema, name }: CatalogTable, { columns, rowFilter, ...rest }: Listed = {}): Publication {
  return publicationFacts([], { ...rest, tables: [{ oid, schema, name, rowFilter, columns }] })
}

describe('what a publication leaves out', () => {
  const table = keyedTable({ columns: ['id!', 'note', 'secret'] })

  test('is left out of the snapshot', () => {
    const [planned] = restrictByPublications(plan(table), [
      publishing(table, { columns: ['id', 'note'], rowFilter: 'id > 1' }),
    ])
    expect(planned).toMatchObject({ columns: ['id', 'note'], rowFilter: '(id > 1)' })
  })

  test.each<[string, Listed]>([
    ['all tables', { allTables: true }],
    ['its schema', { schemas: ['public'] }],
  ])('is nothing beside a publication of %s', (_, everything) => {
    const [planned] = restrictByPublications(plan(table), [
      publishing(table, { columns: ['note'], rowFilter: 'id > 1' }),
      publishing(tableFacts(), everything),
    ])
    expect(planned!.columns).toEqual(['id', 'note', 'secret'])
    expect(planned!.rowFilter).toBeUndefined()
  })

  test('must not be the key', () => {
    expect(() => restrictByPublications(plan(table), [publishing(table, { columns: ['note', 'secret'] })])).toThrow(
      expect.objectContaining({
        code: 'KEY_COLUMN_UNPUBLISHED',
        message: 'key column id of public.orders is not published: the column list of the publication leaves it out',
        hint: expect.stringContaining('ALTER PUBLICATION'),
      }),
    )
  })
})

describe('whose replica identity carries the key', () => {
  const ids = { replicaIdentity: 'index', identityColumns: ['id'] } as const
  const partitioned = { kind: 'partitioned', partitions: [leaf('a', ids), leaf('b', ids)] } as const

  test.each<[string, CatalogTable, boolean]>([
    ['of an ordinary table, its own', keyedTable(), false],
    ['of a root with a primary key, its own', keyedTable(partitioned), false],
    ['of a root without one, that of each partition', tableFacts(partitioned), true],
  ])('%s', (_, table, keyOfPartitions) => {
    const [planned] = plan(table, { keys: [parseColumnSelection('orders:id')] })
    expect(planned!.plan).toMatchObject({ key: ['id'], insertsOnly: false, keyOfPartitions })
  })

  test('of inserts alone nobody has to', () => {
    const [planned] = plan(tableFacts({ uniqueKeys: [{ name: 'u', columns: ['id'] }] }), { keyless: 'inserts' })
    expect(planned!.plan).toMatchObject({ key: ['id'], insertsOnly: true, keyOfPartitions: false })
  })
})
