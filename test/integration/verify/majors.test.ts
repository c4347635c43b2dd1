import { afterAll, beforeAll, expect, test } from 'vitest'
import type { EmbeddedPostgres } from '../../../src/cli/embedded/server.js'
import { majors, startServer } from '../../support/servers.js'
import { databasePair, told } from '../../support/verifying.js'

let oldest: EmbeddedPostgres
let newest: EmbeddedPostgres
beforeAll(async () => {
  ;[oldest, newest] = await Promise.all([
    startServer({ major: Math.min(...majors) }),
    startServer({
      major: Math.max(...majors),
      settings: { lc_monetary: 'C', datestyle: 'German', intervalstyle: 'sql_standard' },
    }),
  ])
})
afterAll(() => Promise.all([oldest?.[Symbol.asyncDispose](), newest?.[Symbol.asyncDispose]()]))

const SQL = `
  CREATE TYPE mood AS ENUM ('sad', 'glad'); CREATE TYPE pair AS (a int, b text); CREATE DOMAIN code AS varchar(10);
  CREATE TABLE everything (
    id bigint PRIMARY KEY, i2 smallint, f4 real, f8 double precision, n numeric, ok boolean, t text, v varchar(20), c char(5), nm name,
    b bytea, d date, tm time, tz timetz, ts timestamp, tstz timestamptz, iv interval, u uuid, j json, jb jsonb, x xml, ip inet, ci cidr,
    mac macaddr, m mood, p pair, co code, arr int[], tarr text[], r int4range, pt point, bits bit varying, mo money, vec tsvector,
    cls regclass, o oid, ch "char");
  INSERT INTO everything
  SELECT g, g % 7, g / 3.0, g / 7.0, g / 7.0, g % 2 = 0, repeat('ä', g % 9), 'v' || g, 'c' || g % 99, 'n' || g, decode(md5(g::text), 'hex'),
         '2026-01-01'::date + g, '00:00'::time + g * interval '1 s', '12:00+02'::timetz, '2026-01-01'::timestamp + g * interval '1 ms',
         '2026-01-01'::timestamptz + g * interval '1 ms', g * interval '1 day 3 seconds', md5(g::text)::uuid, '{"a": 1.0}', '{"b": 1.00, "a": [1]}',
         '<a>1</a>', ('10.0.0.' || g % 256)::inet, '10.0.0.0/8', '08:00:2b:01:02:03', CASE g % 2 WHEN 0 THEN 'sad' ELSE 'glad' END::mood,
         ROW(g, 'x,"y')::pair, 'c' || g % 99, ARRAY[g, NULL], ARRAY['a b', NULL, ''], int4range(g, g + 5), point(g, 1.5), B'101', (g * 1.5)::numeric::money,
         to_tsvector('simple', 'a b ' || g), 'pg_class'::regclass, g, 'x'
    FROM generate_series(1, 500) AS g;
  INSERT INTO everything (id) VALUES (0);
  INSERT INTO everything (id, f8, n, d, tstz) VALUES (-1, 'NaN', 'NaN', 'infinity', '-infinity')`

test('values of every type are alike on the oldest and the newest major, and are repaired across them', async () => {
  await using pair = await databasePair([oldest, newest], SQL)
  expect(await pair.verify('everything')).toMatchObject([
    { verdict: 'equal', rows: { source: 502, target: 502 }, notes: [] },
  ])
  // In a row for each column that one becomes NULL; row 8 is lost.
  const columns = await pair.target.query<{ name: string; quoted: string }>(
    `SELECT attname AS name, quote_ident(attname) AS quoted FROM pg_attribute
      WHERE attrelid = 'everything'::regclass AND attnum > 1 ORDER BY attnum`,
  )
  const changed = columns.map(({ name, quoted }, at) => ({ id: String(100 + at), name, quoted }))
  await pair.target.query(
    changed.map(({ id, quoted }) => `UPDATE everything SET ${quoted} = NULL WHERE id = ${id}`).join(';'),
  )
  await pair.target.query('DELETE FROM everything WHERE id = 8')
  const [table] = await pair.verify('everything', { values: true, repair: true })
  expect(told(table!.differences)).toEqual([
    ...changed.map(({ id }) => `different {"id":"${id}"}`),
    'missing {"id":"8"}',
  ])
  const differing = table!.differences.filter(({ kind }) => kind === 'different')
  expect(differing.map(({ key, values }) => [key.id, values!.map(({ column }) => column)])).toEqual(
    changed.map(({ id, name }) => [id, [name]]),
  )
  expect(table).toMatchObject({ verdict: 'repaired', repaired: { inserted: 1, updated: changed.length, deleted: 0 } })
  expect(await pair.verify('everything')).toMatchObject([{ verdict: 'equal' }])
})
