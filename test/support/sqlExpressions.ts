/** Expressions over the columns of test/integration/processors/expressions.test.ts, whose values the server knows. */
export const EXPRESSIONS: readonly string[] = [
  'i4 > 0 AND b',
  'i4 > 0 OR b',
  'NOT b',
  'b IS TRUE',
  'b IS NOT FALSE',
  'b IS UNKNOWN',
  'i4 IS NULL',
  't IS NOT NULL',
  'i4 IN (1, 2, 3, NULL)',
  'i4 NOT IN (1, 2, NULL)',
  'i8 NOT IN (1, 2)',
  // A single precision number and decimals: of one they are doubles, of several they are all of single precision.
  'f4 IN (0.1)',
  'f4 IN (0.1, 2.5)',
  'f4 NOT IN (0.1, 3000000000)',
  'f4 IN (0.1, n, 2.5)',
  'i4 IN (1, 2.5, NULL)',
  "c IN ('ab', 'x')",
  "d IN ('2020-02-29', '2024-07-04'::timestamptz)",
  "t IN ('a', 'b', '')",
  'i4 BETWEEN -5 AND 5',
  'n NOT BETWEEN 0 AND 1.5',
  'i4 BETWEEN SYMMETRIC 10 AND -10',
  'i4 IS DISTINCT FROM i2',
  't IS NOT DISTINCT FROM v',
  "t LIKE 'a%'",
  "t NOT LIKE '_b%'",
  "t ILIKE '%A_'",
  "t LIKE '%!%%' ESCAPE '!'",
  "t LIKE 'a\\%'",
  "c LIKE 'ab%'",
  "c LIKE 'ab'",
  "c = 'ab'",
  "c = 'ab   '",
  'c = t',
  "v || '-' || i4",
  't || b::text',
  'length(t) + length(c) + octet_length(t)',
  'c::text || c',
  'i4 + i2 * 2 - i8 / 3 % 7 > 1.5',
  'i4 + i4',
  'i4 * i4',
  'i2 + i2',
  '-i2',
  '- i4',
  'i8 * i8',
  'i4 / i2',
  'i4 % i2',
  'n / n2',
  'n / 3',
  'n2 / n',
  '1 / n',
  'n % n2',
  'n * n2 + 0.10',
  'n - n2',
  'n = n2',
  'n <> 1.0',
  'n > 0.1',
  'f4 = f8',
  'f8 > n',
  'f4 > 0.1',
  'f8 + f4',
  'f8 * 2',
  'f8 / f4',
  'f4 * f4',
  'n::int',
  'f8::int',
  'f4::numeric',
  'f8::numeric',
  'n::float8',
  'n::real',
  'i8::int',
  'i4::smallint',
  'n::numeric(6,2)',
  'n2::text',
  'f4::text',
  '1513801.25::real::text',
  'f8::text',
  't::int',
  't::numeric',
  't::boolean',
  't::date',
  'i4::boolean',
  'b::int',
  't::varchar(3)',
  't::char(3)',
  'd::timestamp',
  'ts::date',
  'tz::date',
  'ts::timestamptz',
  'ts::timestamp(0)',
  'tz::text',
  'd::text',
  'u::text',
  'y::text',
  'ip::text',
  'jb::text',
  'e::text',
  'd = ts',
  'd < tz',
  'ts <= tz',
  "d >= '2020-02-29'",
  "ts > '2021-01-01 12:00:00.5'",
  "tz < '2021-01-01 12:00:00+02'",
  "tz = '2021-01-01T10:00:00Z'",
  "d <> 'infinity'",
  'd + 30',
  'd - 1',
  "d - '2000-01-01'",
  'extract(year FROM d)',
  'extract(month FROM ts) + extract(quarter FROM ts)',
  'extract(dow FROM d) * 10 + extract(isodow FROM tz)',
  'extract(doy FROM d)',
  'extract(second FROM ts)',
  'extract(epoch FROM tz)',
  'extract(hour FROM ts) + extract(minute FROM ts)',
  "date_trunc('month', ts)",
  "date_trunc('week', tz)",
  "date_trunc('hour', ts)",
  "date_trunc('quarter', d)",
  "u = 'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'",
  "u > '80000000-0000-0000-0000-000000000000'",
  "y = '\\x6162'",
  "y < '\\x80'",
  "e = 'sad'",
  "e <> 'glad'",
  "e IN ('sad')",
  "jb->>'a' = 'x'",
  "jb->'b'->>'c'",
  "(jb->'list'->>0)::int",
  "jb->'list'->>-1",
  "jb->'b'",
  "j->>'a'",
  "j->'list'->>1",
  "jb->>'missing' IS NULL",
  't COLLATE "C" < \'b\'',
  't COLLATE "C" >= v',
  'greatest(t COLLATE "C", v)',
  'lower(t)',
  'upper(c)',
  'btrim(t) || rtrim(t) || ltrim(t)',
  "trim(both 'a' from t)",
  "trim(leading 'ab' from t)",
  'substring(t from 2 for 2)',
  'substr(t, 0, 2)',
  'substr(t, -1)',
  "position('b' in t)",
  "strpos(t, 'b')",
  'left(t, 2) || right(t, 2) || left(t, -1) || right(t, -1)',
  "replace(t, 'a', 'xx')",
  'reverse(t)',
  "starts_with(t, 'a')",
  "split_part(t, 'b', 1) || split_part(t, 'b', -1)",
  'md5(t)',
  'concat(t, b, i4, n2, NULL, c)',
  "coalesce(t, v, 'none')",
  'coalesce(i4, i8, 0)',
  "nullif(t, 'a')",
  'nullif(v, c) = left(v, 2)',
  'nullif(i4, n) / 2',
  'nullif(i4, f4)::text',
  "nullif('1', i4) / 2",
  'v = c',
  'c <> v',
  't = c',
  'lower(v) = coalesce(c, v)',
  'lower(v) = coalesce(v, c)',
  'coalesce(c, t) = t',
  'coalesce(c, t)::text',
  'coalesce(t::varchar, c) = c',
  'CASE WHEN b THEN c ELSE t END = v',
  'CASE WHEN b THEN v ELSE c END = t',
  'greatest(c, v COLLATE "C") = t',
  't LIKE c',
  'c LIKE c',
  'v LIKE c',
  'nullif(i4, i2)',
  'greatest(i4, i2, 0)',
  'least(n, i4)',
  'abs(i4) + abs(n) + abs(f8)',
  'abs(i2)',
  'abs(f4)::text',
  'mod(i4, 7)',
  'mod(n, 0.7)',
  'round(n)',
  'round(n, 1)',
  'round(n, -1)',
  'round(f8)',
  'round(i4)',
  'trunc(n, 1)',
  'trunc(f8)',
  'floor(n) + ceil(n)',
  'floor(f8)',
  'ceiling(n)',
  'sign(n)',
  'sign(i4)',
  "CASE WHEN i4 > 0 THEN 'more' WHEN i4 < 0 THEN 'less' ELSE t END",
  'CASE i2 WHEN 1 THEN 1 WHEN 2 THEN 2.5 END',
  'CASE WHEN b THEN i4 ELSE n END',
  '"Odd name" = \'x\'',
  't.i4 = 1',
  'NULL',
  'NULL = 1',
  "'1' = 1",
  'i8 > 9007199254740993',
  'i8 = 9007199254740993.0',
  "n = 'NaN'",
  "f8 = 'NaN'",
  "n < 'Infinity'",
  '2147483647 + i2',
  '-9223372036854775808',
  '1.50e3 + n2',
  '10 / 4',
  '10 / 4.0',
  '1.0 / 3',
  "'a' < 'b' COLLATE \"C\"",
  'b = true',
  'b < true',
  'b = (i4 > 3)',
]

/** Around drawn conditions, which may be constant. */
const [OPEN, CLOSE] = ['⟦', '⟧']

/**
 * What the planner knows it computes before its time, also what would never be asked, and what nobody asked for it leaves out
 * (PostgreSQL docs, 4.2.14): errors come and go. Asked with these it knows nothing, other than the constants of which IN makes one array.
 */
export const OPAQUE = `CREATE FUNCTION opaque(known boolean) RETURNS boolean LANGUAGE plpgsql AS 'BEGIN RETURN known; END'`

function unfolded(expression: string): string {
  const known = /\bIN \([^()]*\)|\bNULL::\w+|\btrue\b|(?<=[ (⟦-])(?:0|1|2\.50|0\.1|3000000000)(?=[ ),:⟧])/g
  const asked = expression.replace(known, (constant) =>
    constant.startsWith('IN ') ? constant : `(SELECT ${constant})`,
  )
  return asked.replaceAll(OPEN, 'opaque(').replaceAll(CLOSE, ')')
}

/** Draws rows and expressions; the same of the same seed. */
export class Drawn {
  #state: number

  constructor(seed: number) {
    this.#state = seed >>> 0 || 1
  }

  /** SQL literals of a row, in the order of the columns; NULL is frequent. */
  row(): string[] {
    const or = (...values: readonly string[]) => (this.#below(6) === 0 ? 'NULL' : this.#one(values))
    const text = () =>
      or(
        "''",
        "'a'",
        "'ab'",
        "'ab '",
        "'Abc'",
        "' b '",
        "'1'",
        "'12.50'",
        "'a%b'",
        "'äöü'",
        "'💧x'",
        "'true'",
        "'2024-02-29'",
      )
    return [
      or('0', '1', '2', '-3', '32767', '-32768'),
      or('0', '1', '-1', '3', '7', '100', '2147483647', '-2147483648'),
      or('0', '1', '-5', '9007199254740993', '9223372036854775807', '-9223372036854775808'),
      or(
        '0',
        '1',
        '1.0',
        '-1.5',
        '0.1',
        '2.5',
        '-2.5',
        '123456789012345678901234567890.123',
        '1e-20',
        "'NaN'",
        "'Infinity'",
      ),
      or('0', '1.00', '-1.55', '99999.99', '0.01'),
      or('0', '1', '0.1', '-2.5', '1e10', '1.5e-8', "'NaN'"),
      or('0', '1', '0.1', '2.5', '3.5', '-0.5', '1e15', '123456.789', '1e-5', "'NaN'", "'Infinity'"),
      or('true', 'false'),
      text(),
      text(),
      or("''", "'ab'", "'abc'", "'x'"),
      or("'2020-02-29'", "'1999-12-31'", "'2024-07-04'", "'0044-03-15 BC'", "'infinity'"),
      or(
        "'2021-01-01 12:00:00.5'",
        "'1999-12-31 23:59:59.999999'",
        "'2024-07-04'",
        "'-infinity'",
        "'0044-03-15 01:02:03 BC'",
      ),
      or("'2021-01-01 10:00:00+00'", "'2020-06-15 23:30:00.123+02'", "'1969-12-31 23:00:00Z'", "'infinity'"),
      or(
        "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'",
        "'00000000-0000-0000-0000-000000000000'",
        "'ffffffff-0000-4000-8000-000000000000'",
      ),
      or("'\\x6162'", "'\\x'", "'\\xff00'"),
      or(`'{"a" : "x", "list":[1, 22 ,3]}'`, `'{"a":null}'`, "'[1,2]'", '\'"s"\'', `'{"a":"q\\u00e9","a":"last"}'`),
      or(
        `'{"a": "x", "b": {"c": "d"}, "list": [1, 2]}'`,
        `'{"a": 1.50, "b": {"c": [1, {"x": "}"}]}}'`,
        "'[]'",
        "'null'",
        "'7'",
      ),
      or("'sad'", "'glad'"),
      or("'10.0.0.1'", "'::1'"),
      text(),
    ]
  }

  /** An expression, and how the server is asked for the same. */
  expression(): { expression: string; asked: string } {
    const drawn = this.#bool(3)
    return { expression: drawn.replaceAll(OPEN, '(').replaceAll(CLOSE, ')'), asked: unfolded(drawn) }
  }

  #bool(depth: number): string {
    return `${OPEN}${this.#condition(depth)}${CLOSE}`
  }

  #condition(depth: number): string {
    if (depth === 0) return this.#one(['b', 'true', 'i4 > 0', 't IS NULL', 'NULL::boolean', "t = 'a'"])
    const kinds: readonly (() => string)[] = [
      () => `(${this.#bool(depth - 1)} ${this.#one(['AND', 'OR'])} ${this.#bool(depth - 1)})`,
      () => `NOT ${this.#bool(depth - 1)}`,
      () =>
        `(${this.#bool(depth - 1)}) IS ${this.#one(['', 'NOT '])}${this.#one(['TRUE', 'FALSE', 'NULL', 'UNKNOWN'])}`,
      () => `${this.#number(depth - 1)} ${this.#comparison()} ${this.#number(depth - 1)}`,
      () => `${this.#number(depth - 1)} ${this.#one(['', 'NOT '])}BETWEEN ${this.#number(0)} AND ${this.#number(0)}`,
      () => `${this.#number(depth - 1)} ${this.#one(['', 'NOT '])}IN (${this.#number(0)}, ${this.#number(0)})`,
      () => `${this.#text(depth - 1)} ${this.#one(['=', '<>'])} ${this.#text(depth - 1)}`,
      () => `${this.#text(depth - 1)} ${this.#one(['', 'NOT '])}IN (${this.#text(0)}, ${this.#text(0)})`,
      () => `${this.#text(depth - 1)} COLLATE "C" ${this.#comparison()} ${this.#text(depth - 1)}`,
      () =>
        `${this.#text(depth - 1)} ${this.#one(['LIKE', 'NOT LIKE', 'ILIKE'])} ${this.#one(["'a%'", "'_b%'", "'%'", "'%b%'", "'%1%'", 'c', 'v'])}`,
      () => `${this.#time()} ${this.#comparison()} ${this.#time()}`,
      () => `${this.#number(depth - 1)} IS ${this.#one(['', 'NOT '])}DISTINCT FROM ${this.#number(depth - 1)}`,
    ]
    return this.#one(kinds)()
  }

  #comparison(): string {
    return this.#one(['=', '<>', '<', '<=', '>', '>='])
  }

  #number(depth: number): string {
    if (depth <= 0) {
      return this.#one([
        'i2',
        'i4',
        'i8',
        'n',
        'n2',
        'f4',
        'f8',
        '0',
        '1',
        '-1',
        '2.50',
        '0.1',
        '3000000000',
        'NULL::int',
      ])
    }
    const kinds: readonly (() => string)[] = [
      () => `(${this.#number(depth - 1)} ${this.#one(['+', '-', '*', '/'])} ${this.#number(depth - 1)})`,
      () => `(- ${this.#number(depth - 1)})`,
      () => `abs(${this.#number(depth - 1)})`,
      () => `${this.#one(['round', 'floor', 'ceil', 'trunc', 'sign'])}(${this.#number(depth - 1)})`,
      () => `length(${this.#text(depth - 1)})`,
      () => `nullif(${this.#number(depth - 1)}, ${this.#number(0)})`,
      () => `coalesce(${this.#number(depth - 1)}, ${this.#number(depth - 1)})`,
      () => `(CASE WHEN ${this.#bool(0)} THEN ${this.#number(depth - 1)} ELSE ${this.#number(depth - 1)} END)`,
      () =>
        `(${this.#number(depth - 1)})::${this.#one(['int', 'bigint', 'numeric', 'float8', 'numeric(20,3)', 'real'])}`,
      () => `${this.#one(['greatest', 'least'])}(${this.#number(depth - 1)}, ${this.#number(0)})`,
    ]
    return this.#one(kinds)()
  }

  #text(depth: number): string {
    if (depth <= 0) return this.#one(['t', 'v', 'c', "'a'", "'ab'", "''", 'NULL::text', 't', 'v'])
    const kinds: readonly (() => string)[] = [
      () => `(${this.#text(depth - 1)} || ${this.#text(depth - 1)})`,
      () => `lower(${this.#text(depth - 1)})`,
      () => `btrim(${this.#text(depth - 1)})`,
      () => `substr(${this.#text(depth - 1)}, ${this.#one(['1', '2', '-1'])}, ${this.#one(['0', '1', '2'])})`,
      () => `coalesce(${this.#text(depth - 1)}, ${this.#text(0)})`,
      () => `(${this.#number(depth - 1)})::text`,
      () => `${this.#time()}::text`,
      () => `nullif(${this.#text(depth - 1)}, ${this.#one(['t', 'v', 'c', 'NULL::text'])})`,
      () => `(CASE WHEN ${this.#bool(0)} THEN ${this.#text(depth - 1)} ELSE ${this.#text(0)} END)`,
      () => `(${this.#text(depth - 1)})::${this.#one(['varchar', 'varchar(2)', 'char(3)', 'text'])}`,
    ]
    return this.#one(kinds)()
  }

  #time(): string {
    return this.#one([
      'd',
      'ts',
      'tz',
      'd',
      "'2020-02-29'::date",
      "'2021-01-01 12:00'::timestamp",
      'ts::date',
      'd::timestamptz',
    ])
  }

  #one<Value>(values: readonly Value[]): Value {
    return values[this.#below(values.length)]!
  }

  /** mulberry32. */
  #below(bound: number): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0
    let t = this.#state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) % bound
  }
}
