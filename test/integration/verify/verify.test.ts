import pg from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { EmbeddedPostgres } from '../../../src/cli/embedded/server.js'
import { startServer } from '../../support/servers.js'
import { databasePair, told } from '../../support/verifying.js'

let server: EmbeddedPostgres
beforeAll(async () => {
  server = await startServer()
})
afterAll(() => server[Symbol.asyncDispose]())

const orders = (rows: number) => `
  CREATE TABLE orders (id bigint PRIMARY KEY, customer int NOT NULL, total numeric(12, 2), note text, at timestamptz);
  INSERT INTO orders
  SELECT n, n % 1000, n / 7.0, CASE n % 3 WHEN 0 THEN NULL WHEN 1 THEN '' ELSE 'note ' || n END, to_timestamp(n)
    FROM generate_series(1, ${rows}) AS n;
  ANALYZE orders`

describe('many rows', () => {
  test('of 200,000 that are equal none is told, else exactly the seven that differ', async () => {
    await using pair = await databasePair(server, orders(200_000))
    const [equal] = await pair.verify('orders')
    expect(equal).toMatchObject({
      verdict: 'equal',
      table: 'public.orders',
      key: ['id'],
      rows: { source: 200_000, target: 200_000 },
      complete: true,
      notes: [],
      differences: [],
    })
    await pair.target.client.query(`
      DELETE FROM orders WHERE id IN (1, 77777);
      INSERT INTO orders VALUES (200001, 1, 2, 'x', now()), (-5, 1, 2, 'x', now());
      UPDATE orders SET note = '' WHERE id = 3;
      UPDATE orders SET total = total + 0.01 WHERE id = 100000;
      UPDATE orders SET at = at + interval '1 microsecond' WHERE id = 200000`)
    const [different] = await pair.verify('orders')
    expect(different).toMatchObject({
      verdict: 'different',
      counts: { missing: 2, extra: 2, different: 3 },
      rows: { source: 200_000, target: 200_000 },
      complete: true,
    })
    expect(told(different!.differences)).toEqual([
      'different {"id":"100000"}',
      'different {"id":"200000"}',
      'different {"id":"3"}',
      'extra {"id":"-5"}',
      'extra {"id":"200001"}',
      'missing {"id":"1"}',
      'missing {"id":"77777"}',
    ])
    expect(different!.differences.every(({ values }) => values === undefined)).toBe(true)
  })

  test('repaired, the target is equal, and rows that were are not touched', async () => {
    await using pair = await databasePair(server, orders(20_000))
    await pair.target.client.query(`
      DELETE FROM orders WHERE id <= 1500;
      INSERT INTO orders SELECT n, 1, 2, 'x', now() FROM generate_series(30001, 31200) AS n;
      UPDATE orders SET note = 'it''s \\ "other"', total = NULL WHERE id BETWEEN 2000 AND 2100`)
    const xmin =
      'SELECT count(*)::int AS n, max(xmin::text::bigint)::text AS last FROM orders WHERE id BETWEEN 3000 AND 20000'
    const before = await pair.target.query(xmin)
    const [repaired] = await pair.verify('orders', { repair: true, limit: 10 })
    expect(repaired).toMatchObject({
      verdict: 'repaired',
      counts: { missing: 1500, extra: 1200, different: 101 },
      repaired: { inserted: 1500, updated: 101, deleted: 1200, equal: 0, left: 0 },
    })
    expect(repaired!.differences).toHaveLength(10)
    expect(await pair.target.query(xmin)).toEqual(before)
    expect(await pair.verify('orders')).toMatchObject([{ verdict: 'equal' }])
  })

  test('a target that differs in everything is searched until the limit is reached', async () => {
    const sql = 'CREATE TABLE t (id int PRIMARY KEY)'
    await using pair = await databasePair(server, `${sql}; INSERT INTO t SELECT generate_series(1, 150000)`, sql)
    const [table] = await pair.verify('t', { limit: 25 })
    expect(table).toMatchObject({ verdict: 'different', complete: false, rows: { source: 150_000, target: 0 } })
    expect(table!.differences).toHaveLength(25)
  })
})

describe('keys', () => {
  const NAMES = `INSERT INTO names SELECT w || n, n, n FROM unnest('{ä,Z,a,ß,"a b",_,é}'::text[]) AS w, generate_series(1, 300) AS n`
  const namesWith = (collation: string) =>
    `CREATE TABLE names (word varchar(40) COLLATE ${collation}, n int, v int, PRIMARY KEY (word, n)); ${NAMES}`

  test.each(['"C"', '"en-x-icu"', 'insensitive'])('composite and text, the target under %s', async (collation) => {
    const make = `CREATE COLLATION insensitive (provider = icu, locale = 'und-u-ks-level2', deterministic = false);`
    await using pair = await databasePair(server, make + namesWith('"default"'), make + namesWith(collation))
    expect(await pair.verify('names')).toMatchObject([{ verdict: 'equal', key: ['word', 'n'] }])
    await pair.target.client.query(`
      UPDATE names SET v = 0 WHERE word = 'ß7' AND n = 7;
      DELETE FROM names WHERE word = 'a b300' AND n = 300;
      INSERT INTO names VALUES ('Ω', 1, 1)`)
    const [table] = await pair.verify('names')
    expect(told(table!.differences)).toEqual([
      'different {"word":"ß7","n":"7"}',
      'extra {"word":"Ω","n":"1"}',
      'missing {"word":"a b300","n":"300"}',
    ])
    expect(await pair.verify('names', { repair: true })).toMatchObject([{ verdict: 'repaired' }])
    expect(await pair.verify('names')).toMatchObject([{ verdict: 'equal' }])
  })

  test('keys that are equal but print differently are put right', async () => {
    const sql =
      "CREATE COLLATION insensitive (provider = icu, locale = 'und-u-ks-level2', deterministic = false); CREATE TABLE t (a numeric, b text COLLATE insensitive, v int, PRIMARY KEY (a, b)); "
    await using pair = await databasePair(
      server,
      `${sql} INSERT INTO t VALUES (1.0, 'x', 1), (2, 'Y', 2), (3, 'z', 3)`,
      `${sql} INSERT INTO t VALUES (1.00, 'x', 1), (2, 'y', 2), (3, 'z', 3)`,
    )
    const [table] = await pair.verify('t', { repair: true })
    expect(table).toMatchObject({ verdict: 'repaired', repaired: { inserted: 2, deleted: 2, updated: 0 } })
    expect(await pair.target.query('SELECT a::text, b FROM t ORDER BY a')).toEqual([
      { a: '1.0', b: 'x' },
      { a: '2', b: 'Y' },
      { a: '3', b: 'z' },
    ])
  })

  test('of every kind of type', async () => {
    const sql = `
      CREATE TYPE mood AS ENUM ('sad', 'glad'); CREATE DOMAIN code AS varchar(10);
      CREATE TABLE t (u uuid, d date, at timestamptz, m mood, c code, ch char(5), b bytea, f float8, i inet, ok bool, o oid, v int,
                      PRIMARY KEY (u, d, at, m, c, ch, b, f, i, ok, o));
      INSERT INTO t SELECT md5(n::text)::uuid, '2026-01-01'::date + n, to_timestamp(n), CASE n % 2 WHEN 0 THEN 'sad' ELSE 'glad' END::mood,
                           'c' || n, 'x' || n, decode(lpad(n::text, 4, '0'), 'hex'), n / 3.0, ('10.0.0.' || n)::inet, n % 2 = 0, n, n
        FROM generate_series(1, 200) AS n`
    await using pair = await databasePair(server, sql)
    expect(await pair.verify('t')).toMatchObject([{ verdict: 'equal' }])
    await pair.target.client.query(
      'UPDATE t SET v = -1 WHERE v IN (7, 8); DELETE FROM t WHERE v = 9; UPDATE t SET f = 0 WHERE v = 10',
    )
    expect(await pair.verify('t', { repair: true })).toMatchObject([
      { verdict: 'repaired', counts: { missing: 2, extra: 1, different: 2 } },
    ])
    expect(await pair.verify('t')).toMatchObject([{ verdict: 'equal' }])
  })

  test('a unique index does where there is no primary key; --key names another one', async () => {
    await using pair = await databasePair(
      server,
      'CREATE TABLE t (a int, b int NOT NULL UNIQUE, c int); INSERT INTO t VALUES (1, 10, 5), (2, 20, 5)',
      'CREATE TABLE t (a int, b int, c int); INSERT INTO t VALUES (1, 10, 6), (2, 20, 5)',
    )
    expect(await pair.verify('t')).toMatchObject([{ key: ['b'], differences: [{ key: { b: '10' } }] }])
    expect(await pair.verify('t', { keys: ['t:a'] })).toMatchObject([
      { key: ['a'], differences: [{ key: { a: '1' } }] },
    ])
    await pair.target.client.query('INSERT INTO t VALUES (2, 20, 5), (NULL, 30, 5)')
    expect(await pair.verify('t')).toMatchObject([
      {
        differences: expect.arrayContaining([
          expect.objectContaining({ key: { b: '20' }, rows: { source: 1, target: 2 } }),
        ]),
      },
    ])
    await expect(pair.verify('t', { repair: true })).rejects.toMatchObject({ code: 'VERIFY_KEY_UNUSABLE' })
    await expect(pair.verify('t', { keys: ['t:a'] })).rejects.toMatchObject({ code: 'VERIFY_KEY_UNUSABLE' })
  })
})

describe('columns', () => {
  test('another order, more columns, and other types that print alike are equal, and noted', async () => {
    const rows = `SELECT n, 'v' || n, n / 4.0, CASE n % 2 WHEN 0 THEN '' END, n % 2 = 0, ARRAY[n, NULL]::int[], ('10.0.0.' || n % 200)::inet FROM generate_series(1, 1000) AS n`
    await using pair = await databasePair(
      server,
      `CREATE TABLE t (id int PRIMARY KEY, name varchar(20), price numeric(10, 2), note text, ok boolean, list int[], at inet);
       INSERT INTO t ${rows}`,
      `CREATE TABLE t (loaded timestamptz DEFAULT now(), at text, note varchar(30), list text, ok text, name text, price numeric, id bigint PRIMARY KEY);
       INSERT INTO t (id, name, price, note, ok, list, at)
       SELECT id, name, price::numeric(10, 2), note, CASE WHEN ok THEN 't' ELSE 'f' END, list::text, host(at)
         FROM (${rows}) AS r (id, name, price, note, ok, list, at)`,
    )
    const [table] = await pair.verify('t')
    expect(table).toMatchObject({ verdict: 'equal', rows: { source: 1000, target: 1000 } })
    expect(table!.notes).toEqual([
      'only the target has loaded',
      'the columns stand in another order',
      'id is integer in the source, bigint in the target',
      'name is character varying(20) in the source, text in the target',
      'price is numeric(10,2) in the source, numeric in the target',
      'note is text in the source, character varying(30) in the target',
      'ok is boolean in the source, text in the target',
      'list is integer[] in the source, text in the target',
      'at is inet in the source, text in the target',
    ])
    await pair.target.client.query("UPDATE t SET ok = 'true' WHERE id = 2; UPDATE t SET price = 1 WHERE id = 4")
    expect(told((await pair.verify('t'))[0]!.differences)).toEqual(['different {"id":"2"}', 'different {"id":"4"}'])
    expect(await pair.verify('t', { repair: true })).toMatchObject([{ verdict: 'repaired', repaired: { updated: 2 } }])
    expect(await pair.verify('t')).toMatchObject([{ verdict: 'equal' }])
  })

  test('NULL, an empty text, -0 and trailing zeroes are told apart, with their values', async () => {
    const sql = 'CREATE TABLE t (id int PRIMARY KEY, a text, b text, f float8, n numeric, r record_type)'
    const type = 'CREATE TYPE record_type AS (x int, y int); '
    await using pair = await databasePair(
      server,
      `${type}${sql}; INSERT INTO t VALUES (1, NULL, '', 0, 1.0, NULL), (2, 'NULL', 'x', 1, 1, ROW(1, NULL)), (3, NULL, '', 0, 0, ROW(NULL, NULL)), (4, 'same', 'same', 1, 1, NULL)`,
      `${type}${sql}; INSERT INTO t VALUES (1, '', NULL, '-0', 1.00, NULL), (2, NULL, 'x', 1, 1, ROW(1, NULL)), (3, NULL, '', 0, 0, NULL), (4, 'same', 'same', 1, 1, NULL)`,
    )
    const [table] = await pair.verify('t', { values: true })
    const byKey = [...table!.differences].sort((a, b) => Number(a.key.id) - Number(b.key.id))
    expect(byKey.map(({ key, values }) => ({ key, values }))).toEqual([
      {
        key: { id: '1' },
        values: [
          { column: 'a', source: null, target: '' },
          { column: 'b', source: '', target: null },
          { column: 'f', source: '0', target: '-0' },
          { column: 'n', source: '1.0', target: '1.00' },
        ],
      },
      { key: { id: '2' }, values: [{ column: 'a', source: 'NULL', target: null }] },
      { key: { id: '3' }, values: [{ column: 'r', source: '(,)', target: null }] },
    ])
    expect(await pair.verify('t', { repair: true })).toMatchObject([{ verdict: 'repaired' }])
    expect(await pair.verify('t')).toMatchObject([{ verdict: 'equal' }])
  })

  test('one that the target lacks is an error, unless others are chosen', async () => {
    await using pair = await databasePair(
      server,
      'CREATE TABLE t (id int PRIMARY KEY, a int, "B" int); INSERT INTO t VALUES (1, 1, 1)',
      'CREATE TABLE t (id int PRIMARY KEY, a int); INSERT INTO t VALUES (1, 1)',
    )
    await expect(pair.verify('t')).rejects.toMatchObject({
      code: 'VERIFY_COLUMNS_MISSING',
      message: 'columns of public.t are missing in public.t: "B"',
    })
    expect(await pair.verify('t', { columns: ['t:a'] })).toMatchObject([
      { verdict: 'equal', key: ['id'], notes: ['not compared: "B"'] },
    ])
  })

  test('generated and identity columns: never written, or as they are', async () => {
    const sql = `CREATE TABLE t (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, a int, twice int GENERATED ALWAYS AS (a * 2) STORED);
      INSERT INTO t (a) VALUES (1), (2), (3)`
    await using pair = await databasePair(server, sql)
    await pair.target.client.query('DELETE FROM t WHERE id = 1; UPDATE t SET a = 9 WHERE id = 2')
    expect(await pair.verify('t', { repair: true })).toMatchObject([{ repaired: { inserted: 1, updated: 1 } }])
    expect(await pair.verify('t')).toMatchObject([{ verdict: 'equal' }])
  })

  test('a repair that does not make the row equal is rolled back, and said', async () => {
    const sql = 'CREATE TABLE t (id int PRIMARY KEY, a int); INSERT INTO t VALUES (1, 1), (2, 2);'
    await using pair = await databasePair(
      server,
      sql,
      `${sql} UPDATE t SET a = 0; CREATE FUNCTION stay() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF NEW.id = 2 THEN NEW.a := 7; END IF; RETURN NEW; END $$;
       CREATE TRIGGER stay BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION stay()`,
    )
    await expect(pair.verify('t', { repair: true })).rejects.toMatchObject({
      code: 'VERIFY_REPAIR_INEFFECTIVE',
      message: 'rows of public.t would differ still after their repair: 1, such as ["2"]',
    })
    expect(await pair.target.query('SELECT a FROM t')).toEqual([{ a: 0 }, { a: 0 }])
  })
})

test('a repair that the server refuses in passing is tried again', async () => {
  const sql = 'CREATE TABLE t (id int PRIMARY KEY, a int); INSERT INTO t VALUES (1, 1), (2, 2);'
  await using pair = await databasePair(
    server,
    sql,
    `${sql} DELETE FROM t WHERE id = 1; CREATE SEQUENCE attempts; CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
     BEGIN IF nextval('public.attempts') < 3 THEN RAISE EXCEPTION 'not now' USING ERRCODE = '40001'; END IF; RETURN NEW; END $$;
     CREATE TRIGGER refuse BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION refuse()`,
  )
  expect(await pair.verify('t', { repair: true })).toMatchObject([{ verdict: 'repaired', repaired: { inserted: 1 } }])
})

describe('tables without a key', () => {
  const SQL = `CREATE TABLE log (a int, b text); INSERT INTO log SELECT n % 50, 'x' FROM generate_series(1, 5000) AS n`

  test('are compared as multisets', async () => {
    await using pair = await databasePair(server, SQL)
    expect(await pair.verify('log')).toMatchObject([
      { verdict: 'equal', key: [], rows: { source: 5000, target: 5000 } },
    ])
    await pair.target.client.query(`
      INSERT INTO log VALUES (7, 'x'), (NULL, 'new');
      DELETE FROM log WHERE ctid = (SELECT min(ctid) FROM log WHERE a = 8)`)
    const [table] = await pair.verify('log', { values: true })
    expect(table!.counts).toEqual({ missing: 1, extra: 2, different: 0 })
    const rows = table!.differences.map(({ kind, rows, values }) => ({ kind, rows, values }))
    expect(rows).toEqual(
      expect.arrayContaining([
        { kind: 'extra', rows: { source: 100, target: 101 }, values: both('7', 'x') },
        { kind: 'missing', rows: { source: 100, target: 99 }, values: both('8', 'x') },
        {
          kind: 'extra',
          rows: { source: 0, target: 1 },
          values: [
            { column: 'a', source: undefined, target: null },
            { column: 'b', source: undefined, target: 'new' },
          ],
        },
      ]),
    )
  })

  const both = (a: string, b: string) => [
    { column: 'a', source: a, target: a },
    { column: 'b', source: b, target: b },
  ]

  test('are not repaired, and nothing else is then', async () => {
    await using pair = await databasePair(server, `${SQL}; CREATE TABLE t (id int PRIMARY KEY)`)
    await pair.target.client.query('INSERT INTO t VALUES (1)')
    await expect(pair.verify('t,log', { repair: true })).rejects.toMatchObject({
      code: 'VERIFY_REPAIR_KEYLESS',
      message: 'without a key rows cannot be repaired one by one: public.log',
    })
    expect(await pair.target.query('SELECT id FROM t')).toEqual([{ id: 1 }])
  })
})

test('partitioned tables, under other names in the target', async () => {
  await using pair = await databasePair(
    server,
    `CREATE TABLE t (id int PRIMARY KEY, a int) PARTITION BY RANGE (id);
     CREATE TABLE t_1 PARTITION OF t FOR VALUES FROM (0) TO (100); CREATE TABLE t_2 PARTITION OF t FOR VALUES FROM (100) TO (200);
     INSERT INTO t SELECT n, n FROM generate_series(0, 199) AS n`,
    `CREATE SCHEMA copy; CREATE TABLE copy.public_t (a int, id int PRIMARY KEY) PARTITION BY HASH (id);
     CREATE TABLE copy.p0 PARTITION OF copy.public_t FOR VALUES WITH (MODULUS 2, REMAINDER 0);
     CREATE TABLE copy.p1 PARTITION OF copy.public_t FOR VALUES WITH (MODULUS 2, REMAINDER 1);
     INSERT INTO copy.public_t SELECT n, n FROM generate_series(0, 198) AS n; UPDATE copy.public_t SET a = -1 WHERE id = 150`,
  )
  const naming = { targetTable: 'copy.{schema}_{table}' }
  const [table] = await pair.verify('t', naming)
  expect(table).toMatchObject({
    verdict: 'different',
    target: 'copy.public_t',
    counts: { missing: 1, extra: 0, different: 1 },
  })
  expect(await pair.verify('t', { ...naming, repair: true })).toMatchObject([{ verdict: 'repaired' }])
  expect(await pair.verify('t', naming)).toMatchObject([{ verdict: 'equal' }])
})

test('databases of other encodings are compared by what they print', async () => {
  const sql = 'CREATE TABLE t (id text PRIMARY KEY, a text, n numeric, f int)'
  const rows = `INSERT INTO t VALUES ('ä', 'é', 1, 1), ('b', NULL, 2, 2), ('c', '', 3, 3)`
  await using pair = await databasePair(server, `${sql}; ${rows}`)
  const latin = `${pair.target.name}_latin`
  await pair.target.query(`CREATE DATABASE ${latin} ENCODING LATIN1 TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'`)
  try {
    const target = server.url(latin)
    const client = new pg.Client({ connectionString: target })
    await client.connect()
    await client.query(`${sql}; ${rows}`)
    expect(await pair.verify('t', { target })).toMatchObject([{ verdict: 'equal', rows: { source: 3, target: 3 } }])
    await client.query(`UPDATE t SET a = 'è' WHERE id = 'ä'; UPDATE t SET a = '' WHERE id = 'b'`)
    await client.end()
    const [table] = await pair.verify('t', { target })
    expect(told(table!.differences)).toEqual(['different {"id":"b"}', 'different {"id":"ä"}'])
    expect(await pair.verify('t', { target, repair: true })).toMatchObject([{ verdict: 'repaired' }])
    expect(await pair.verify('t', { target })).toMatchObject([{ verdict: 'equal' }])
  } finally {
    await pair.target.query(`DROP DATABASE ${latin} WITH (FORCE)`)
  }
})

test('what cannot be compared is said before anything is read', async () => {
  await using pair = await databasePair(
    server,
    'CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE u (id int PRIMARY KEY)',
  )
  await pair.target.client.query('DROP TABLE u')
  await expect(pair.verify('t,u')).rejects.toMatchObject({
    code: 'VERIFY_TARGET_MISSING',
    message: expect.stringMatching(/^postgres:\/\/\S+ has no table public\.u to compare with$/),
  })
  await expect(pair.verify('t,v')).rejects.toMatchObject({ code: 'TABLE_NOT_FOUND' })
  await expect(pair.verify('t,u', { targetTable: 't' })).rejects.toMatchObject({ code: 'VERIFY_TARGET_SHARED' })
  await expect(pair.verify('t', { targetTable: '{schem}.t' })).rejects.toMatchObject({ code: 'SETTING_INVALID' })
})
