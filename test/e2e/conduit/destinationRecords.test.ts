import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { EmbeddedPostgres } from '../../../src/cli/embedded/server.js'
import { DestinationPluginService } from '../../../src/homes/conduit/proto/connector/v2/destination.js'
import { Schema_Type } from '../../../src/homes/conduit/proto/schema/v1/schema.js'
import { avscType } from '../../support/avro.js'
import { launch } from '../../support/conduit/conduitHost.js'
import { SchemaRegistry } from '../../support/conduit/schemaRegistry.js'
import { record, Sink, type Told } from '../../support/conduit/sink.js'
import { testDatabase } from '../../support/database.js'
import { rowsOf } from '../../support/replication.js'
import { startServer } from '../../support/servers.js'
import { waitFor } from '../../support/waitFor.js'

let server: EmbeddedPostgres
beforeAll(async () => {
  server = await startServer()
})
afterAll(async () => {
  await server?.[Symbol.asyncDispose]()
})

/** Of a table, records in batches, and what is wrong with them. */
async function written(
  sql: string,
  batches: readonly (readonly ReturnType<typeof record>[])[],
  settings: Record<string, string> = {},
  table = 't',
): Promise<{ errors: string[]; rows: string[]; logs: string[] }> {
  await using db = await testDatabase(server, sql)
  await using sink = await Sink.started({ url: db.url, ...settings }, { engine: 'v2', here: true })
  const errors: string[] = []
  for (const batch of batches) errors.push(...(await sink.deliver(...batch)))
  await sink.stop()
  return { errors, rows: await rowsOf(db, table), logs: sink.host.logs.map(({ message }) => message) }
}

const create = (told: Told) => record('create', 't', told)
const update = (told: Told) => record('update', 't', told)
const remove = (told: Told) => record('delete', 't', told)

describe('keys', () => {
  const KEYED = 'CREATE TABLE t (a uuid, b text, n int, PRIMARY KEY (a, b))'
  const A = 'c0ffee00-0000-4000-8000-000000000000'

  test('of several columns, uuid and text, from the key, the row, or the row before', async () => {
    const { errors, rows } = await written(KEYED, [
      [
        create({ key: { a: A, b: 'x' }, after: { n: 1 } }),
        create({
          key: JSON.stringify({ b: 'y', a: A }),
          after: JSON.stringify({ n: 2, a: A, b: 'ignored, the key counts' }),
        }),
        create({ after: { a: A, b: 'z', n: 3 } }),
        create({ key: 'no JSON', after: { a: A, b: 'w', n: 4 } }),
      ],
      [update({ after: { a: A, b: 'z', n: 33 } }), remove({ key: 'no JSON', before: { a: A, b: 'w' } })],
    ])
    expect(errors).toEqual(['', '', '', '', '', ''])
    expect(rows).toEqual([`(${A},x,1)`, `(${A},y,2)`, `(${A},z,33)`])
  })

  test('a key that is missing, incomplete, NULL, or without a unique index is told of its record alone', async () => {
    const { errors, rows } = await written(`${KEYED}; ALTER TABLE t ADD c int`, [
      [
        create({ key: { a: A, b: 'x' }, after: { n: 1 } }),
        update({ after: { n: 2 } }),
        remove({}),
        create({ key: { a: A, b: null }, after: { n: 3 } }),
        create({ key: { c: 5 }, after: { a: A, b: 'y' } }),
        create({ after: { n: 4, b: 'no a' } }),
        create({ key: { a: A, b: 'last' }, after: { n: 5 } }),
      ],
    ])
    expect(errors.map((error) => /^[A-Z_]*/.exec(error)![0])).toEqual([
      '',
      'RECORD_WITHOUT_KEY',
      'RECORD_WITHOUT_KEY',
      'RECORD_WITHOUT_KEY',
      'TARGET_KEY_MISSING',
      'RECORD_REJECTED',
      '',
    ])
    expect(errors[3]).toContain('column b of it is NULL')
    expect(errors[4]).toMatch(/CREATE UNIQUE INDEX ON public\.t \(c\).*"key".*\(create of c=5\)/)
    expect(rows).toEqual([`(${A},last,5,)`, `(${A},x,1,)`])
  })

  test('that the setting names, for all tables or for one', async () => {
    const sql = 'CREATE TABLE t (id int, code text UNIQUE, n int)'
    const batch = [create({ key: { id: 1 }, after: { id: 1, code: 'a', n: 1 } })]
    const again = [
      update({ key: { id: 2 }, after: { id: 2, code: 'a', n: 2 } }),
      create({ key: { id: 3 }, after: { n: 1 } }),
    ]
    for (const key of ['code', 't:code', 'other:x,t:code']) {
      const { errors, rows } = await written(sql, [batch, again], { key })
      expect(errors).toEqual(['', '', expect.stringMatching(/^RECORD_WITHOUT_KEY.*has code\./)])
      expect(rows).toEqual(['(2,a,2)'])
    }
    const { errors } = await written(sql, [batch], { key: 'cod' })
    expect(errors).toEqual([expect.stringMatching(/^COLUMN_NOT_FOUND.*code/)])
  })

  test('a table without one takes new rows, of which none is overwritten, and nothing else', async () => {
    const { errors, rows } = await written('CREATE TABLE t (line text)', [
      [
        create({ after: { line: 'a' } }),
        create({ after: { line: 'a' } }),
        update({ after: { line: 'b' } }),
        remove({ before: { line: 'a' } }),
      ],
    ])
    expect(errors).toEqual([
      '',
      '',
      expect.stringMatching(/^RECORD_WITHOUT_KEY/),
      expect.stringMatching(/^RECORD_WITHOUT_KEY/),
    ])
    expect(rows).toEqual(['(a)', '(a)'])
  })

  test('that change: the row moves, also when it comes twice', async () => {
    const moves = () => [
      update({ key: { id: 2 }, before: { id: 1 }, after: { id: 2, n: 'moved' } }),
      update({ key: { id: 3 }, before: { id: 2, n: 'moved' }, after: { id: 3, n: 'again' } }),
      update({ key: { id: 3 }, before: { id: 3, n: 'again' }, after: { id: 3, n: 'stays' } }),
    ]
    const first = create({ key: { id: 1 }, after: { id: 1, n: 'a' } })
    const sql = 'CREATE TABLE t (id int PRIMARY KEY, n text)'
    expect((await written(sql, [[first], moves(), moves()])).rows).toEqual(['(3,stays)'])
    expect(
      (await written(sql, [[first], ...moves().map((one) => [one]), ...moves().map((one) => [one])])).rows,
    ).toEqual(['(3,stays)'])
  })
})

describe('columns that a record does not have', () => {
  const sql = "CREATE TABLE t (id int PRIMARY KEY, a text NOT NULL, b text DEFAULT 'default', c text)"

  test('keep their values, and get their defaults in a new row', async () => {
    const { errors, rows } = await written(sql, [
      [create({ key: { id: 1 }, after: { a: 'a', c: 'c' } }), create({ key: { id: 2 }, after: { a: 'a', b: null } })],
      [
        update({ key: { id: 1 }, after: { c: 'new' } }),
        update({ key: { id: 2 }, after: { b: 'b' } }),
        update({ key: { id: 3 }, after: { b: 'b' } }),
      ],
    ])
    expect(errors).toEqual(['', '', '', '', expect.stringContaining('[SQLSTATE 23502], column a')])
    expect(rows).toEqual(['(1,a,default,new)', '(2,a,b,)'])
  })

  test('and that postgres.unchanged names: of a row that is not there nothing is made, and the log says so', async () => {
    const metadata = { 'postgres.unchanged': '["a"]' }
    const partial = (id: number, from?: number) =>
      update({
        key: { id },
        ...(from !== undefined && { before: { id: from } }),
        after: { id, b: 'b', c: 'c' },
        metadata,
      })
    const { errors, rows, logs } = await written(sql, [
      [
        create({ key: { id: 1 }, after: { a: 'large', b: '1', c: null } }),
        create({ key: { id: 2 }, after: { a: 'large 2' } }),
      ],
      [partial(1), partial(9), partial(5, 2)],
      // Once more: the row has moved by now, and what had been in its place is gone.
      [partial(5, 2)],
      [partial(6, 7)],
    ])
    expect(errors).toEqual(['', '', '', '', '', '', ''])
    expect(rows).toEqual(['(1,large,b,c)', '(5,"large 2",b,c)'])
    expect(logs.filter((line) => line.includes('left large values as they were'))).toHaveLength(1)
  })
})

test('batches that come again, in whole or from any record on, come to the same', async () => {
  const sql = 'CREATE TABLE t (id int PRIMARY KEY, n text, large text)'
  const metadata = { 'postgres.unchanged': '["large"]' }
  const history = () => [
    create({ key: { id: 1 }, after: { id: 1, n: 'a', large: 'L1' } }),
    create({ key: { id: 2 }, after: { id: 2, n: 'b', large: 'L2' } }),
    update({ key: { id: 1 }, after: { id: 1, n: 'aa' }, metadata }),
    update({ key: { id: 3 }, before: { id: 2 }, after: { id: 3, n: 'c' }, metadata }),
    remove({ key: { id: 1 } }),
    create({ key: { id: 4 }, after: { id: 4, n: 'd', large: null } }),
    update({ key: { id: 4 }, after: { id: 4, n: 'dd' }, metadata }),
    remove({ key: { id: 4 } }),
  ]
  const expected = ['(3,c,L2)']
  for (let from = 0; from < 8; from++) {
    const one = await written(sql, [history(), history().slice(from)])
    expect([one.rows, one.errors.join('')], `from ${from} on`).toEqual([expected, ''])
  }
  const single = await written(
    sql,
    [...history(), ...history()].map((one) => [one]),
  )
  expect([single.rows, single.errors.join('')]).toEqual([expected, ''])
})

describe('data', () => {
  test('raw JSON keeps every digit; raw data that is none, or no object, is told', async () => {
    const { errors, rows } = await written('CREATE TABLE t (id bigint PRIMARY KEY, n numeric, j json)', [
      [
        create({
          key: '{"id":9007199254740993}',
          after: '{"id":9007199254740993,"n":12345678901234567890.10,"j":{"a": 1.0}}',
        }),
        create({ key: '{"id":1}', after: 'no JSON' }),
        create({ key: '{"id":2}', after: '[1]' }),
        create({ key: '{"id":3}', after: '{"id":3,"n":"a\\u0000b"}' }),
        create({}),
        // The name of one column that looks like those of two.
        create({ key: '{"id":4}', after: '{"n":1,"j":2}' }),
        create({ key: '{"id":5}', after: '{"n\\u0000j":1}' }),
        // Deeper than the server reads.
        create({ key: '{"id":6}', after: `{"j":${'['.repeat(50_000)}${']'.repeat(50_000)}}` }),
      ],
    ])
    expect(rows).toEqual(['(4,1,2)', '(9007199254740993,12345678901234567890.10,"{""a"": 1.0}")'])
    expect(errors.map((error) => /^[A-Z_]*/.exec(error)![0])).toEqual([
      '',
      ...Array(4).fill('PAYLOAD_INVALID'),
      '',
      'TARGET_COLUMN_MISSING',
      'RECORD_REJECTED',
    ])
    expect(errors[7]).toContain('[SQLSTATE 54001]')
    expect(errors[1]).toMatch(/\(create of id=1, table public\.t\)$/)
  })

  test('Avro is read by the schema that the metadata names, key and payload each by its own', async () => {
    await using db = await testDatabase(server, 'CREATE TABLE t (id bigint PRIMARY KEY, n text, at timestamptz)')
    await using schemas = await SchemaRegistry.start()
    const define = (subject: string, ...fields: [string, unknown][]) => {
      const text = JSON.stringify({ type: 'record', name: 'r', fields: fields.map(([name, type]) => ({ name, type })) })
      const versions = schemas.subjects.get(subject) ?? []
      versions.push({
        subject,
        version: versions.length + 1,
        id: 1,
        type: Schema_Type.TYPE_AVRO,
        bytes: Buffer.from(text),
      })
      schemas.subjects.set(subject, versions)
      return { text, version: String(versions.length) }
    }
    const at = { type: 'long', logicalType: 'timestamp-micros' }
    const keys = define('k', ['id', 'long'])
    const first = define('p', ['id', 'long'], ['n', ['null', 'string']])
    const second = define('p', ['at', ['null', at]], ['id', 'long'], ['n', ['null', 'string']])
    const encoded = (schema: { text: string }, value: object) => avscType(schema.text).toBuffer(value)
    const metadata = (version: string, subject = 'p') => ({
      'opencdc.key.schema.subject': 'k',
      'opencdc.key.schema.version': '1',
      'opencdc.payload.schema.subject': subject,
      'opencdc.payload.schema.version': version,
    })
    const key = (id: bigint) => encoded(keys, { id })
    await using sink = await Sink.started({ url: db.url }, { engine: 'v2', schemas, here: true })
    const errors = await sink.deliver(
      create({ key: key(1n), after: encoded(first, { id: 1n, n: 'a' }), metadata: metadata('1') }),
      create({ key: key(2n), after: encoded(second, { at: 0n, id: 2n, n: null }), metadata: metadata('2') }),
      create({ key: key(3n), after: encoded(first, { id: 3n, n: 'c' }), metadata: metadata('3') }),
      create({ key: key(4n), after: encoded(first, { id: 4n, n: 'd' }), metadata: metadata('1', 'nobody') }),
      create({ key: key(4n), after: encoded(first, { id: 4n, n: 'd' }), metadata: metadata('99999999999') }),
      create({ key: key(5n), after: Buffer.from([1, 2, 3]), metadata: metadata('1') }),
      remove({ key: key(1n), metadata: metadata('1') }),
    )
    expect(errors).toEqual([
      '',
      '',
      expect.stringMatching(/^SCHEMA_UNKNOWN: the schema "p", version 3, .*: schema version not found/),
      expect.stringMatching(/^SCHEMA_UNKNOWN: the schema "nobody", version 1, .*: schema subject not found/),
      expect.stringMatching(/^SCHEMA_UNKNOWN: the schema "p", version 99999999999, .*: that is no version/),
      expect.stringMatching(/^AVRO_DATA_MALFORMED/),
      '',
    ])
    expect(await rowsOf(db, 't')).toEqual(['(2,,"1970-01-01 00:00:00+00")'])
    await sink.stop()
    // Not decoded, where that is said: then it is to be JSON.
    const off = { 'sdk.schema.extract.payload.enabled': 'false', 'sdk.schema.extract.key.enabled': 'false' }
    await using plain = await Sink.started({ url: db.url, ...off }, { schemas, here: true })
    expect(
      await plain.deliver(
        create({ key: '{"id":7}', after: '{"id":7,"n":"JSON"}', metadata: metadata('9') }),
        create({ key: '{"id":8}', after: encoded(first, { id: 8n, n: 'c' }), metadata: metadata('1') }),
      ),
    ).toEqual(['', expect.stringMatching(/^PAYLOAD_INVALID/)])
    await plain.stop()
  })

  test('a registry that is not there ends the run, and nothing is acknowledged', async () => {
    await using db = await testDatabase(server, 'CREATE TABLE t (id int PRIMARY KEY)')
    await using sink = await Sink.started({ url: db.url }, { here: true })
    const metadata = { 'opencdc.key.schema.subject': 'k', 'opencdc.key.schema.version': '1' }
    sink.stream.send([create({ key: Buffer.from([2]), after: { id: 1 }, metadata })])
    expect(await sink.stream.fails()).toMatch(/^SCHEMA_SERVICE_UNREACHABLE/)
    expect(sink.stream.acks).toEqual([])
  })
})

describe('tables', () => {
  const sql = `CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE "a.b" (id int PRIMARY KEY); CREATE SCHEMA "S.x"; CREATE TABLE "S.x"."T" (id int PRIMARY KEY);
    CREATE SCHEMA sales; CREATE TABLE sales.t (id int PRIMARY KEY)`
  const one = (collection: string, metadata = {}) =>
    record('create', collection, { key: { id: 1 }, after: { id: 1 }, metadata })

  test.each([
    [undefined, one('t'), 't'],
    [undefined, one('sales.t'), 'sales.t'],
    [undefined, one('a.b'), '"a.b"'],
    ['t', one('other'), 't'],
    ['sales.t', one('other'), 'sales.t'],
    ['"S.x"."T"', one('other'), '"S.x"."T"'],
    [
      '{{ index .Metadata "postgres.schema" }}.{{ index .Metadata "opencdc.collection" }}',
      one('t', { 'postgres.schema': 'sales' }),
      'sales.t',
    ],
    [
      '"{{ index .Metadata "postgres.schema" }}"."{{ .Metadata.name }}"',
      one('x', { 'postgres.schema': 'S.x', name: 'T' }),
      '"S.x"."T"',
    ],
    ['{{ if eq .Operation.String "create" }}sales.{{ end }}{{ lower "T" }}', one('x'), 'sales.t'],
    ['{{ if gt .Payload.After.id 0.0 }}sales.t{{ else }}t{{ end }}', one('x'), 'sales.t'],
    ['{{ if .Key.id }}sales.t{{ end }}', one('x'), 'sales.t'],
  ])('named by %s', async (table, told, expected) => {
    const { errors, rows } = await written(sql, [[told]], table === undefined ? {} : { table }, expected)
    expect([errors, rows]).toEqual([[''], ['(1)']])
  })

  test('a template that gives no name, or that of no table, is told of its record', async () => {
    const { errors } = await written(sql, [[one(''), one('nobody'), one('a."b'), one('t')]])
    expect(errors).toEqual([
      expect.stringMatching(/^TABLE_NAME_INVALID/),
      expect.stringMatching(/^TARGET_TABLE_MISSING: the target has no table public\.nobody/),
      expect.stringMatching(/^TABLE_NAME_INVALID/),
      '',
    ])
    const failed = await written(sql, [[one('t')]], { table: '{{ .Metadata.missing }}' })
    expect(failed.errors).toEqual([expect.stringMatching(/^TEMPLATE_FAILED/)])
  })

  test('tables and columns that are made while it runs are found', async () => {
    await using db = await testDatabase(server)
    await using sink = await Sink.started({ url: db.url }, { here: true })
    const told = () => create({ key: { id: 1 }, after: { id: 1, n: 'a' } })
    expect(await sink.deliver(told())).toEqual([expect.stringMatching(/^TARGET_TABLE_MISSING/)])
    await db.query('CREATE TABLE t (id int)')
    await waitFor(async () => (await sink.deliver(told()))[0]!.startsWith('TARGET_COLUMN_MISSING'), {
      what: 'the table',
    })
    await db.query('ALTER TABLE t ADD n text')
    await waitFor(async () => (await sink.deliver(told()))[0]!.startsWith('TARGET_KEY_MISSING'), { what: 'the column' })
    await db.query('ALTER TABLE t ADD PRIMARY KEY (id)')
    await waitFor(async () => (await sink.deliver(told()))[0] === '', { what: 'the key' })
    // What is known of the table is no longer so, and is looked up in the middle of a batch.
    await db.query('ALTER TABLE t RENAME n TO m; ALTER TABLE t ADD n int DEFAULT 5')
    await sink.deliver(record('update', 't', { key: { id: 1 }, after: { id: 1, n: 7 } }))
    await db.query('ALTER TABLE t DROP m; DROP TABLE t; CREATE TABLE t (n text, id int PRIMARY KEY)')
    expect(await sink.deliver(told())).toEqual([''])
    expect(await rowsOf(db, 't')).toEqual(['(a,1)'])
    await sink.stop()
  })
})

describe('records that the table rejects', () => {
  test('exactly they are refused, among thousands, in any table, and each says why', async () => {
    const sql = `CREATE TABLE t (id int PRIMARY KEY, n text NOT NULL, CONSTRAINT short CHECK (length(n) < 5)); CREATE TABLE u (id int PRIMARY KEY REFERENCES t)`
    // Every third record is of u, and refers to the row of t that came before it.
    const batch = Array.from({ length: 3000 }, (_, i) => {
      const id = i + 1
      if (id % 3 === 0) return record('create', 'u', { key: { id: id - 1 } })
      return create({ key: { id }, after: { n: id % 100 === 1 || id === 500 ? 'too long' : 'n' } })
    })
    const { errors, rows } = await written(sql, [batch], { replicationRole: 'origin' })
    const isBad = (id: number): boolean => (id % 3 === 0 ? isBad(id - 1) : id % 100 === 1 || id === 500)
    const failed = errors.flatMap((error, i) => (error === '' ? [] : [i + 1]))
    expect(failed).toEqual(batch.map((_, i) => i + 1).filter(isBad))
    expect(failed).toHaveLength(32)
    expect(errors[0]).toMatch(
      /^RECORD_REJECTED: table public\.t rejects a record \(create of id=1\): .*\[SQLSTATE 23514\], constraint short, column n/,
    )
    expect(errors[500]).toMatch(
      /^RECORD_REJECTED: table public\.u .*\[SQLSTATE 23503\], constraint u_id_fkey, column id/,
    )
    expect(rows).toHaveLength(2000 - failed.filter((id) => id % 3 !== 0).length)
  })

  test('by a constraint that is checked at the end: they alone', async () => {
    const sql = 'CREATE TABLE t (id int PRIMARY KEY, up int REFERENCES t DEFERRABLE INITIALLY DEFERRED)'
    const { errors, rows } = await written(
      sql,
      [
        [
          create({ key: { id: 1 }, after: { up: 1 } }),
          create({ key: { id: 2 }, after: { up: 99 } }),
          create({ key: { id: 3 }, after: { up: 1 } }),
        ],
      ],
      { replicationRole: 'origin' },
    )
    expect(errors).toEqual(['', expect.stringMatching(/create of id=2.*23503/), ''])
    expect(rows).toEqual(['(1,1)', '(3,1)'])
  })

  test('a table that may not be written, and one that is a view: their records, not those of others', async () => {
    const sql = `CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE closed (id int PRIMARY KEY); CREATE VIEW v AS SELECT * FROM t;
      DROP ROLE IF EXISTS conduit_writer; CREATE ROLE conduit_writer LOGIN; GRANT ALL ON t TO conduit_writer; GRANT TEMPORARY ON DATABASE`
    await using db = await testDatabase(server)
    await db.query(`${sql} ${db.name} TO conduit_writer`)
    const url = new URL(db.url)
    url.username = 'conduit_writer'
    await using sink = await Sink.started({ url: url.href }, { engine: 'v2', here: true })
    const told = (table: string) => record('create', table, { key: { id: 1 }, after: { id: 1 } })
    expect(await sink.deliver(told('closed'), told('t'), told('v'))).toEqual([
      expect.stringMatching(/^TARGET_DENIED: .*42501/),
      '',
      expect.stringMatching(/^TARGET_NOT_A_TABLE/),
    ])
    await sink.stop()
    expect(await rowsOf(db, 't')).toEqual(['(1)'])
    await db.query('DROP OWNED BY conduit_writer; DROP ROLE conduit_writer')
  })
})

test('delete: soft keeps rows, and says since when they are gone', async () => {
  const sql = 'CREATE TABLE t (id int PRIMARY KEY, _deleted_at timestamptz)'
  const keys = (id: number) => ({ key: { id }, after: { id } })
  const { errors, rows } = await written(
    sql,
    [
      [create(keys(1)), create(keys(2)), create(keys(3))],
      [remove({ key: { id: 1 } }), remove({ key: { id: 2 } }), create(keys(2))],
    ],
    { delete: 'soft' },
  )
  expect(errors.join('')).toBe('')
  expect(rows.map((row) => row.replace(/"2.*"/, 'gone'))).toEqual(['(1,gone)', '(2,)', '(3,)'])
})

describe('settings', () => {
  const url = 'postgres://app@localhost/copy'
  const refused = async (config: Record<string, string>) => {
    await using host = await launch()
    const error = await host.call(DestinationPluginService.configure, { config }).catch((error: Error) => error.message)
    await host.call(DestinationPluginService.teardown, {})
    return error
  }

  test('what is wrong is told by Configure, a template with its place', async () => {
    expect(await refused({ url, table: '{{ index .Metadata "opencdc.collection }}' })).toMatch(
      /^CONNECTOR_INVALID: setting "table" is .*column 20: a text is not closed/,
    )
    expect(await refused({ url, table: 'a."b' })).toMatch(/setting "table".*a quote is not closed/)
    expect(await refused({ url, key: 'a.b:c:d' })).toMatch(/^CONNECTOR_INVALID: setting "key"/)
    expect(await refused({ url, 'sdk.rate.perSecond': 'fast' })).toMatch(
      /"sdk.rate.perSecond" is "fast": it is a number/,
    )
    expect(await refused({ url, 'sdk.batch.sise': '1' })).toMatch(/did you mean "sdk.batch.size"/)
    expect(await refused({ url: 'postgres://app:secret@host/db?sslmode=maybe' })).not.toContain('secret')
  })

  test('what has no effect is told in the log', async () => {
    await using host = await launch()
    const config = { url, 'sdk.record.format': 'debezium/json', 'sdk.rate.perSecond': '1.5e3' }
    await host.call(DestinationPluginService.configure, { config })
    await host.says('sdk.record.format has no effect')
  })
})
