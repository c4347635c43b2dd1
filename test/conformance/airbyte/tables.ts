/** A column in words that the source and PyAirbyte's cache both print alike. */
interface Compared {
  readonly source: string
  readonly cache: string
  /** The text is JSON: its value is compared. */
  readonly json?: boolean
}

export interface ProvedTable {
  readonly name: string
  /** Changes of one round, in which no key is touched twice. */
  readonly changes: (round: number) => readonly string[]
  /** Changes behind those, which touch keys again and again: for a connector that folds them. */
  readonly many: (round: number) => readonly string[]
  readonly columns: readonly Compared[]
  /** The cache appends: a row is there as often as it came, less its deletes. */
  readonly keyless?: boolean
}

const MILLION = 1_000_000
const SHARE = 5000

/** A text that stands out of line, so that an update of another column does not send it. */
const LARGE = `(SELECT string_agg(md5((id * 1000 + i)::text), '') FROM generate_series(1, 300) i)`

export const SCHEMA_SQL = `
  CREATE TABLE composite (a text, b int, n int, v text, PRIMARY KEY (a, b));
  INSERT INTO composite SELECT 'k' || i % 10, i, i, 'row ' || i FROM generate_series(1, 3000) i;

  CREATE TABLE keyless (n int, v text);
  ALTER TABLE keyless REPLICA IDENTITY FULL;
  INSERT INTO keyless SELECT i % 500, 'v' || i % 7 FROM generate_series(1, 2000) i;

  CREATE TABLE parted (id int, day date, v text, PRIMARY KEY (id, day)) PARTITION BY RANGE (day);
  CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM ('2024-01-01') TO ('2024-02-01');
  CREATE TABLE parted_2 PARTITION OF parted FOR VALUES FROM ('2024-02-01') TO ('2024-03-01');
  CREATE TABLE parted_3 PARTITION OF parted DEFAULT;
  INSERT INTO parted SELECT i, date '2024-01-01' + i % 90, 'p' || i FROM generate_series(1, 3000) i;

  CREATE TYPE mood AS ENUM ('sad', 'ok', 'glad');
  CREATE DOMAIN positive AS int CHECK (VALUE > 0);
  CREATE TABLE every_type (
    id int PRIMARY KEY, yes bool, small int2, big int8, exact numeric(20, 6), real4 float4, real8 float8, txt text,
    varying varchar(20), fixed char(5), bin bytea, day date, clock time, clock_zone timetz, moment timestamp,
    moment_zone timestamptz, long interval, uid uuid, doc jsonb, raw json, ints int[], texts text[], feeling mood,
    positive_number positive, net inet, span int4range, cash money, large text
  );
  ALTER TABLE every_type ALTER large SET STORAGE EXTERNAL;
  INSERT INTO every_type SELECT
    id, id % 2 = 0, id, 9007199254740993 + id, id * 1.000001, id * 0.5, id / 4.0, E'tab\\t "quoted" \\\\ \\U0001F600 ' || id,
    'varying', 'fix', decode(md5(id::text), 'hex'), date '1999-12-31' + id, time '01:02:03.456789', timetz '01:02:03+05:30',
    timestamp '2001-02-03 04:05:06.789012' + id * interval '1 hour', timestamptz '2001-02-03 04:05:06+02' + id * interval '1 hour',
    id * interval '1 day 2 hours', md5(id::text)::uuid, jsonb_build_object('id', id, 'list', jsonb_build_array(1, 'two', null)),
    ('{"raw": "\\ud83d\\ude00 ' || id || '"}')::json, ARRAY[id, NULL, -id], ARRAY['a,b', '"c"', NULL], 'ok', id, '10.0.0.1',
    int4range(id, id + 5), id, ${LARGE}
  FROM generate_series(1, 500) id;
  -- Nothing but nulls; and what no row of JSON can hold.
  INSERT INTO every_type (id) VALUES (1000);
  INSERT INTO every_type (id, raw) VALUES (1001, '{"half": "\\ud83d"}'), (1002, '["\\ude00\\ud83d", "\\\\ud83d"]');
  INSERT INTO every_type (id, exact, real8) VALUES (1003, 'NaN', 'Infinity');

  CREATE TABLE million (id int PRIMARY KEY, n int8, v text);
  INSERT INTO million SELECT i, i * 1000, 'value ' || i FROM generate_series(1, ${MILLION}) i;
`

const same = (expression: string): Compared => ({
  source: `(${expression})::text`,
  cache: `CAST(${expression} AS VARCHAR)`,
})
const json = (name: string, source = `${name}::text`): Compared => ({
  source,
  cache: `CAST(${name} AS VARCHAR)`,
  json: true,
})
const moment = (name: string, source = name): Compared => ({
  source: `to_char(${source}, 'YYYY-MM-DD HH24:MI:SS.US')`,
  cache: `strftime(${name}, '%Y-%m-%d %H:%M:%S.%f')`,
})
/** The cache has numbers with nine decimals. */
const decimal = (name: string): Compared => ({
  source: `CASE WHEN ${name}::text NOT IN ('NaN', 'Infinity') THEN ${name}::numeric(38, 9)::text END`,
  cache: `CAST(${name} AS VARCHAR)`,
})
const printed = (name: string, source: string): Compared => ({ source, cache: `CAST(${name} AS VARCHAR)` })
/** Half of a pair is no character: U+FFFD comes instead. */
const MENDED = String.raw`replace(replace(raw::text, '"\ud83d"', '"\ufffd"'), '"\ude00\ud83d"', '"\ufffd\ufffd"')`

/** Each key once. */
function touched(table: string, key: string, set: string): (round: number) => readonly string[] {
  return (round) => [
    `UPDATE ${table} SET ${set} WHERE ${key} % 7 = ${round}`,
    `DELETE FROM ${table} WHERE ${key} % 7 <> ${round} AND ${key} % 11 = ${round}`,
  ]
}

export const TABLES: readonly ProvedTable[] = [
  {
    name: 'composite',
    changes: (round) => [
      ...touched('composite', 'n', `v = v || ' changed in ${round}'`)(round),
      // Of other keys: they are moved.
      `UPDATE composite SET b = b + ${round}00000 WHERE b < 3000 AND n % 77 = 76 - ${round}`,
      `INSERT INTO composite SELECT 'new', ${round}000000 + i, -7, 'in ${round}' FROM generate_series(1, 200) i`,
    ],
    many: (round) => [
      `UPDATE composite SET v = v || ' again' WHERE n % 3 = 0`,
      `UPDATE composite SET b = -b WHERE n % 77 = 5`,
      `UPDATE composite SET b = -b WHERE n % 77 = 5`,
      `DELETE FROM composite WHERE n % 77 = 6`,
      `INSERT INTO composite VALUES ('twice', ${round}, 1, 'first')`,
      `DELETE FROM composite WHERE a = 'twice'`,
      `INSERT INTO composite VALUES ('twice', ${round}, 1, 'second')`,
    ],
    columns: [same('a'), same('b'), same('n'), same('v')],
  },
  {
    name: 'keyless',
    changes: (round) => [
      `UPDATE keyless SET v = v || '${round}' WHERE n % 7 = ${round}`,
      `DELETE FROM keyless WHERE n % 7 <> ${round} AND n % 11 = ${round}`,
      `INSERT INTO keyless SELECT i % 5, 'new in ${round}' FROM generate_series(1, 100) i`,
    ],
    many: () => [`UPDATE keyless SET v = v || '+' WHERE n % 3 = 0`],
    columns: [same('n'), same('v')],
    keyless: true,
  },
  {
    name: 'parted',
    changes: (round) => [
      ...touched('parted', 'id', `v = v || ' changed in ${round}'`)(round),
      // To another partition.
      `UPDATE parted SET day = '2024-05-01' WHERE id % 77 = 76 - ${round}`,
      `INSERT INTO parted SELECT ${round}000000 + 7 * i, date '2024-01-15' + i, 'in ${round}' FROM generate_series(1, 60) i`,
    ],
    many: () => [
      `UPDATE parted SET v = v || ' again' WHERE id % 3 = 0`,
      `UPDATE parted SET day = day + 1 WHERE id % 77 = 5`,
    ],
    columns: [same('id'), { source: 'day::text', cache: 'CAST(CAST(day AS DATE) AS VARCHAR)' }, same('v')],
  },
  {
    name: 'every_type',
    changes: (round) => [
      // The large text stays as it is, and is not sent.
      ...touched('every_type', 'id', `small = -small, txt = txt || ' changed in ${round}'`)(round),
      `INSERT INTO every_type (id, big, raw) VALUES (${round}0001, ${round}, '{"half": "\\ud83d"}')`,
    ],
    many: () => [
      `UPDATE every_type SET feeling = 'glad' WHERE id % 3 = 0`,
      `UPDATE every_type SET large = large || 'x' WHERE id % 3 = 0 AND id % 5 = 0`,
      `UPDATE every_type SET feeling = 'sad' WHERE id % 3 = 0`,
    ],
    columns: [
      same('id'),
      same('yes'),
      same('small'),
      same('big'),
      decimal('exact'),
      decimal('real4'),
      decimal('real8'),
      same('txt'),
      same('varying'),
      printed('fixed', `rpad(fixed, 5)`),
      printed('bin', `encode(bin, 'base64')`),
      { source: 'day::text', cache: 'CAST(CAST(day AS DATE) AS VARCHAR)' },
      printed('clock', 'clock::text'),
      // The cache has no time with a zone.
      printed('clock_zone', 'clock_zone::time::text'),
      moment('moment'),
      moment('moment_zone', `moment_zone AT TIME ZONE 'UTC'`),
      // As the connector's sessions print it.
      printed('long', 'long::text'),
      printed('uid', 'uid::text'),
      json('doc'),
      json('raw', MENDED),
      json('ints', 'to_json(ints)::text'),
      json('texts', 'to_json(texts)::text'),
      printed('feeling', 'feeling::text'),
      same('positive_number'),
      printed('net', `CASE WHEN net IS NOT NULL THEN format('%s', net) END`),
      printed('span', 'span::text'),
      printed('cash', 'cash::text'),
      same('large'),
    ],
  },
  {
    name: 'million',
    changes: (round) => [
      `UPDATE million SET v = v || ' changed in ${round}' WHERE id % ${MILLION / SHARE} = ${round}`,
      `DELETE FROM million WHERE id % ${MILLION / SHARE} = 100 + ${round}`,
      `INSERT INTO million SELECT ${round + 1} * ${MILLION} + i, i, 'in ${round}' FROM generate_series(1, ${SHARE}) i`,
    ],
    many: () => [
      `UPDATE million SET n = n + 1 WHERE id < 2000`,
      `UPDATE million SET n = n + 1 WHERE id < 2000`,
      `UPDATE million SET n = n + 1 WHERE id < 2000`,
    ],
    columns: [same('id'), same('n'), same('v')],
  },
]
