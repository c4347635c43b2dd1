import { expect, test } from 'vitest'
import { SERVER_ERROR } from '../../../../src/core/errors.js'
import type { Publication } from '../../../../src/postgres/publication.js'
import { publicationFindings } from '../../../../src/source/doctor/checks/publication.js'
import { doctorFacts, type FactChanges, mendText, withCode } from '../../../support/doctorFacts.js'
import { keyedTable, tableFacts } from '../../../support/tableFacts.js'

const orders = keyedTable()
const log = tableFacts({ name: 'log', columns: ['line'] })
const wishes = { publication: 'shop' }

function publication(tables: readonly (typeof orders)[], facts: Partial<Publication> = {}): Publication {
  return {
    oid: 16400,
    name: 'shop',
    owner: 'app',
    allTables: false,
    insert: true,
    update: true,
    delete: true,
    truncate: true,
    viaRoot: true,
    generatedColumns: 'stored',
    tables: tables.map(({ oid, schema, name }) => ({ oid, schema, name, rowFilter: undefined, columns: undefined })),
    schemas: [],
    serverVersion: 180006,
    ...facts,
  }
}

const member = { oid: orders.oid, schema: 'public', name: 'orders', rowFilter: undefined, columns: undefined }
const notOwned = new Map([[orders.oid, { owned: false, toastable: [] }]])

test.each<[string, FactChanges, string[]]>([
  ['fits', { wishes, tables: [orders], publication: publication([orders]) }, ['ok PUBLICATION']],
  ['is there, no tables named', { wishes, publication: publication([]) }, ['ok PUBLICATION']],
  ['lacks a table', { wishes, tables: [orders], publication: publication([]) }, ['problem PUBLICATION_TABLES_MISSING']],
  [
    'lacks an operation',
    { wishes, tables: [orders], publication: publication([orders], { truncate: false }) },
    ['problem PUBLICATION_OPERATIONS_MISSING'],
  ],
  [
    'filters rows and columns',
    {
      wishes,
      tables: [orders],
      publication: publication([], { tables: [{ ...member, rowFilter: '(id > 7)', columns: ['id'] }] }),
    },
    ['warning PUBLICATION_ROW_FILTER', 'warning PUBLICATION_COLUMN_LIST'],
  ],
  [
    'harms the application',
    { wishes, tables: [log], publication: publication([log]) },
    ['problem PUBLICATION_REPLICA_IDENTITY_MISSING'],
  ],
  [
    'would harm the application, once the table is in it',
    { wishes, tables: [log], publication: publication([]) },
    ['problem PUBLICATION_TABLES_MISSING'],
  ],
  [
    'for inserts publishes updates',
    {
      wishes: { ...wishes, keyless: 'inserts' },
      tables: [log],
      inserts: publication([log], { name: 'shop_inserts' }),
    },
    ['problem PUBLICATION_UPDATES_PUBLISHED'],
  ],
  ['is to be made', { wishes, tables: [orders] }, ['ok PUBLICATION']],
  ['is to be made, for one run', { tables: [orders] }, ['ok PUBLICATION']],
  [
    'may not be made',
    { wishes, tables: [orders], capture: notOwned, surroundings: { mayCreate: false } },
    ['problem PUBLICATION_CREATE', 'problem PUBLICATION_OWNER'],
  ],
  [
    'cannot be made on a standby',
    { wishes, tables: [orders], server: { inRecovery: true } },
    ['problem PUBLICATION_ON_STANDBY'],
  ],
  [
    'is there on a standby',
    { wishes, tables: [orders], server: { inRecovery: true }, publication: publication([orders]) },
    ['ok PUBLICATION'],
  ],
  [
    "a superuser owns everybody's",
    { wishes, tables: [orders], capture: notOwned, server: { superuser: true } },
    ['ok PUBLICATION'],
  ],
  [
    'cannot be looked at',
    { wishes, database: { publications: { error: SERVER_ERROR({ sqlstate: '42501', message: 'denied' }) } } },
    ['problem PUBLICATION'],
  ],
])('%s', (_, changes, expected) => {
  expect(publicationFindings(doctorFacts(changes)).map(({ status, code }) => `${status} ${code}`)).toEqual(expected)
})

test('a keyless table is never to be published before its identity is mended', () => {
  const changes = { wishes, tables: [orders, log], publication: publication([]) }
  const [missing] = withCode(publicationFindings(doctorFacts(changes)), 'PUBLICATION_TABLES_MISSING')
  expect(mendText(missing!)).toMatch(
    /^First give public\.log what.*\nALTER PUBLICATION shop ADD TABLE public\.orders, public\.log;\nAs app, the owner.*\n--manage-publication/,
  )
})

test('a table that is refused for another reason may be published', () => {
  const keys = new Map([[orders.oid, ['note']]])
  const tables = { value: { mistakes: [], tables: [orders], capture: new Map(), keys } }
  const findings = publicationFindings(
    doctorFacts({
      wishes,
      database: { tables, publications: { value: { all: publication([]), inserts: undefined } } },
    }),
  )
  expect(mendText(findings[0]!)).toMatch(/^ALTER PUBLICATION shop ADD TABLE public\.orders;/)
})

test('who does not own the tables is given the whole SQL for the owner, in two publications where needed', () => {
  const tables = [orders, log]
  const capture = new Map(tables.map(({ oid }) => [oid, { owned: false, toastable: [] }]))
  const changes = { tables, capture, wishes: { ...wishes, keyless: 'inserts' as const } }
  const [owner] = withCode(publicationFindings(doctorFacts(changes)), 'PUBLICATION_OWNER')
  expect(mendText(owner!)).toContain('CREATE PUBLICATION shop FOR TABLE public.orders WITH')
  expect(mendText(owner!)).toContain(
    "CREATE PUBLICATION shop_inserts FOR TABLE public.log WITH (publish = 'insert, truncate'",
  )
  expect(mendText(owner!)).not.toContain('GRANT postgres')
})

test('CREATE on the database is granted by SQL', () => {
  const [create] = publicationFindings(doctorFacts({ surroundings: { mayCreate: false } }))
  expect(mendText(create!)).toBe('GRANT CREATE ON DATABASE shop TO app;')
})
