import fc from 'fast-check'
import {
  date,
  double,
  JSONS,
  jsonText,
  numeric,
  pair,
  RANGES,
  range,
  TEXTS,
  text,
  timestamptz,
  uint32,
  word,
} from './drawn.js'
import { arrayLiteral, fixed, record, type TypeSamples } from './shape.js'

/** Types of contrib extensions. */
export const EXTENSIONS = ['hstore', 'citext', 'ltree', 'cube', 'isn', 'seg', 'intarray', 'lo']
export const EXTENSION_SAMPLES: readonly TypeSamples[] = [
  {
    sql: 'public.hstore',
    extremes: [
      '',
      '"a"=>"1", "b"=>NULL, "c"=>"NULL"',
      '""=>""',
      '"q\\"x"=>"\\\\", "n"=>"t", "e"=>"1e5"',
      '"__proto__"=>"1"',
    ],
    drawn: fc.array(pair, { maxLength: 4 }).map((pairs) => pairs.join(', ')),
  },
  { sql: 'public.citext', extremes: TEXTS, drawn: text },
  {
    sql: 'public.ltree',
    extremes: ['', 'a.b.c', 'Top.Science_1'],
    drawn: fc.array(word, { maxLength: 4 }).map((labels) => labels.join('.')),
  },
  fixed('public.lquery', '*.a.*', 'a|b@*.!c{2,3}'),
  fixed('public.ltxtquery', 'a & b*@', '!x | (y & z%)'),
  fixed('public.cube', '(1),(2)', '(1,2.5,-3)', '(0)', '(1e20,2),(3,4)'),
  fixed('public.isbn', '0-393-04002-X'),
  fixed('public.isbn13', '978-0-393-04002-9'),
  fixed('public.ismn', '979-0-2600-0043-8'),
  fixed('public.issn', '1436-4522'),
  fixed('public.upc', '220356483481'),
  fixed('public.ean13', '0220356483481'),
  fixed('public.seg', '9.6 .. 1.0e1', '<5', '~6.50', '1 ..', '5(+-)0.3'),
  fixed('public.query_int', '1&(2|!3)', '42'),
  { sql: 'public.lo', extremes: ['0', '4294967295'], drawn: uint32 },
]

/** Types of users, and what is made of them. Created in this order. */
export const USER_TYPES = `
  CREATE TABLE "odd ""table""" ();
  CREATE TYPE "odd ""mood""" AS ENUM ('so so', 'sa"d', 'back\\slash', '', 'NULL', 'a,b', '(c)');
  CREATE TYPE nothing AS ();
  CREATE TYPE one AS (n int4);
  CREATE TYPE one_text AS ("a ""b"" \\c" text);
  CREATE TYPE every AS (a int4, "B ""q" text, t timestamptz, j jsonb, n numeric, bo bool, ar int4[], f float8, by bytea,
    c "char", m "odd ""mood""", h hstore, o oid, d date, "__proto__" int8);
  CREATE TYPE nested AS (e every, o one_text, list one[], x text, z nothing);
  CREATE TABLE rows_of (a int4, gone text, b text);
  ALTER TABLE rows_of DROP COLUMN gone;
  CREATE TYPE textrange AS RANGE (subtype = text, collation = "C");
  CREATE DOMAIN positive AS int4 CHECK (VALUE > 0);
  CREATE DOMAIN more_positive AS positive;
  CREATE DOMAIN ints AS int4[];
  CREATE DOMAIN some_json AS json;
  CREATE DOMAIN moment AS timestamptz;
  CREATE DOMAIN pairs AS hstore;
  CREATE DOMAIN whole AS every;
  CREATE DOMAIN boxed AS box;
  CREATE TYPE of_domains AS (p more_positive, i ints, j some_json, m moment, h pairs, li ints[], w whole);
`

const mood = fc.constantFrom('so so', 'sa"d', 'back\\slash', '', 'NULL', 'a,b', '(c)')
const ints = arrayLiteral(fc.integer().map(String))
const anyText = fc.oneof(text, fc.constantFrom(...TEXTS))
const hstore = fc.array(pair, { maxLength: 2 }).map((pairs) => pairs.join(', '))
const simpleJson = fc.constantFrom('{"a": [1, "x\\"y"]}', 'null', '[]', '{"k": {"b": null}}')
const every = record(
  fc.integer().map(String),
  anyText,
  timestamptz,
  simpleJson,
  numeric,
  fc.constantFrom('t', 'f'),
  ints,
  double,
  fc.uint8Array({ maxLength: 5 }).map((bytes) => `\\x${Buffer.from(bytes).toString('hex')}`),
  fc.constantFrom('x', '"', '\\', '', '('),
  mood,
  hstore,
  uint32,
  date,
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map(String),
)
const oneText = record(anyText)
const one = record(fc.integer().map(String))
const nested = record(every, oneText, arrayLiteral(one), anyText, fc.constant('()'))
const ofDomains = record(
  fc.integer({ min: 1, max: 1e6 }).map(String),
  ints,
  simpleJson,
  timestamptz,
  hstore,
  arrayLiteral(ints),
  every,
)

export const USER_SAMPLES: readonly TypeSamples[] = [
  { sql: 'public."odd ""mood"""', extremes: ['so so', 'NULL', ''], drawn: mood },
  fixed('public.nothing', '()'),
  { sql: 'public.one', extremes: ['()', '(1)'], drawn: one },
  { sql: 'public.one_text', extremes: ['()', '("")', '(null)', '("\\"\\\\")'], drawn: oneText },
  { sql: 'public.every', extremes: [`(${','.repeat(14)})`], drawn: every },
  { sql: 'public.nested', extremes: ['(,,,,)'], drawn: nested },
  { sql: 'public.rows_of', extremes: ['(,)', '(1,"a b")'], drawn: record(fc.integer().map(String), anyText) },
  { sql: 'public.textrange', extremes: RANGES, drawn: range(text, byCodePoint) },
  { sql: 'public.textmultirange', extremes: ['{}'], drawn: range(text, byCodePoint).map((one) => `{${one}}`) },
  fixed('public.positive', '1', '2147483647'),
  fixed('public.more_positive', '1'),
  { sql: 'public.ints', extremes: ['{}', '{NULL}'], drawn: ints },
  { sql: 'public.some_json', extremes: JSONS, drawn: jsonText },
  { sql: 'public.moment', extremes: ['infinity'], drawn: timestamptz },
  { sql: 'public.pairs', extremes: [''], drawn: hstore },
  { sql: 'public.whole', extremes: [], drawn: every },
  { ...fixed('public.boxed', '(3,4),(1,2)'), delimiter: ';' },
  { sql: 'public.of_domains', extremes: [], drawn: ofDomains },
]

/** As COLLATE "C" has it: UTF-8's order is that of code points. */
function byCodePoint(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b))
}
