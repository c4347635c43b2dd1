import { describe, expect, test } from 'vitest'
import {
  NO_TABLES,
  PARTITION_NOT_EXCLUDABLE,
  TABLE_NOT_CAPTURABLE,
  TABLE_NOT_FOUND,
} from '../../../../src/core/errors.js'
import type { TailraceError } from '../../../../src/core/tailraceError.js'
import type { Relation } from '../../../../src/postgres/catalog/relations.js'
import { chooseTables } from '../../../../src/postgres/catalog/tableChoice.js'
import { parseTablePatterns } from '../../../../src/postgres/tablePattern.js'

/** metrics > metrics_2026 > metrics_2026_q1, and metrics > archive.metrics_2025. */
const metrics = relation('public/metrics', { kind: 'partitioned' })
const metrics2026 = relation('public/metrics_2026', { kind: 'partitioned', parent: metrics.oid })
const relations = [
  relation('archive/metrics_2025', { parent: metrics.oid }),
  relation('public/customers'),
  relation('public/debug', { persistence: 'unlogged' }),
  metrics,
  metrics2026,
  relation('public/metrics_2026_q1', { parent: metrics2026.oid }),
  relation('public/orders'),
  relation('public/report', { kind: 'view' }),
  relation('public/totals', { kind: 'materialized view' }),
  relation('public/remote', { kind: 'foreign table' }),
  relation('sales/Invoice'),
  relation('sales/invoice_lines'),
]

function relation(path: string, facts: Partial<Relation> = {}): Relation {
  const [schema, name] = path.split('/') as [string, string]
  const oid = [...path].reduce((sum, character) => (sum * 31 + character.charCodeAt(0)) % 1_000_003, 7)
  return { oid, schema, name, kind: 'ordinary', persistence: 'permanent', parent: undefined, ...facts }
}

function choose(include: string, exclude?: string): string[] {
  const excluded = exclude === undefined ? [] : parseTablePatterns(exclude)
  return chooseTables(relations, parseTablePatterns(include), excluded).map(({ schema, name }) => `${schema}/${name}`)
}

function refusal(include: string, exclude?: string): TailraceError {
  try {
    choose(include, exclude)
  } catch (error) {
    return error as TailraceError
  }
  return expect.unreachable()
}

describe('patterns', () => {
  test('a family is its ordinary and partitioned tables: no views, foreign or unlogged tables, no partitions', () => {
    expect(choose('*')).toEqual(['public/customers', 'public/metrics', 'public/orders'])
    expect(choose('*.*')).toEqual([
      'public/customers',
      'public/metrics',
      'public/orders',
      'sales/Invoice',
      'sales/invoice_lines',
    ])
  })

  test('overlapping patterns take a table once, in the order of the relations', () => {
    expect(choose('orders,*,customers')).toEqual(choose('*'))
  })

  test('exclusions take tables away, whatever is named more closely', () => {
    expect(choose('*', 'orders,met*')).toEqual(['public/customers'])
    expect(choose('orders,customers', 'orders')).toEqual(['public/customers'])
    expect(choose('orders', 'nothing_*')).toEqual(['public/orders'])
  })

  test('what excludes everything is refused', () => {
    expect(NO_TABLES.is(refusal('sales.*', 'sales.*'))).toBe(true)
  })
})

describe('partitions', () => {
  test('a partition beside its root is represented by the root', () => {
    expect(choose('metrics,metrics_2026,metrics_2026_q1')).toEqual(['public/metrics'])
    expect(choose('metrics_2026_q1,archive.metrics_2025,*')).toEqual(choose('*'))
  })

  test('a partition by itself is a table, one with partitions is their root', () => {
    expect(choose('archive.metrics_2025')).toEqual(['archive/metrics_2025'])
    expect(choose('metrics_2026,metrics_2026_q1')).toEqual(['public/metrics_2026'])
  })

  test('an excluded root takes its partitions with it, except one that is named', () => {
    expect(choose('*', 'metrics')).toEqual(['public/customers', 'public/orders'])
    expect(choose('*,metrics_2026_q1', 'metrics')).toEqual([
      'public/customers',
      'public/metrics_2026_q1',
      'public/orders',
    ])
  })

  test('a partition cannot be excluded from its root, unless a family happens to have it', () => {
    const error = refusal('metrics', 'metrics_2026_q1')
    expect(PARTITION_NOT_EXCLUDABLE.is(error)).toBe(true)
    expect(error.details).toEqual({ partition: 'public.metrics_2026_q1', root: 'public.metrics' })
    expect(choose('metrics', 'metrics_*')).toEqual(['public/metrics'])
  })

  test('a schema that has only partitions has no tables of its own', () => {
    expect(TABLE_NOT_FOUND.is(refusal('archive.*'))).toBe(true)
  })
})

describe('refusals', () => {
  test.each([
    ['report', 'public.report cannot be captured: it is a view'],
    ['totals', 'public.totals cannot be captured: it is a materialized view'],
    ['remote', 'public.remote cannot be captured: it is a foreign table'],
    ['debug', 'public.debug cannot be captured: it is unlogged'],
    ['pg_catalog.pg_class', "pg_catalog.pg_class cannot be captured: it is one of the server's own"],
    ['pg_temp.scratch', 'pg_temp.scratch cannot be captured: it is temporary'],
  ])('%s', (name, message) => {
    const error = refusal(name)
    expect(TABLE_NOT_CAPTURABLE.is(error)).toBe(true)
    expect(error.message).toBe(message)
  })

  test.each([
    ['ordres', 'Did you mean public.orders?'],
    ['invoice', 'Did you mean sales."Invoice"?'],
    ['sale.invoice_line', 'Did you mean sales.invoice_lines?'],
    ['sales.orders', 'Did you mean public.orders?'],
    ['completely_different', 'A name without a schema is of schema public: write schema.name'],
    ['zzz_*', 'A name without a schema is of schema public'],
  ])('%s is not found; %s', (name, hint) => {
    const error = refusal(name)
    expect(TABLE_NOT_FOUND.is(error)).toBe(true)
    expect(error.hint).toContain(hint)
  })

  test('all names that match nothing are told at once, those excluded too', () => {
    const error = refusal('ordres,customers,missing', 'custmers')
    expect(error.message).toBe('no table is named ordres, missing, custmers')
    expect(error.hint).toContain('public.orders, public.customers')
  })
})
