import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type CompositeType, nameOf, type PgType } from '../../../src/postgres/catalog/types.js'
import {
  arrayOf,
  type BuiltinName,
  builtin,
  compositeOf,
  hstore,
  int2vector,
  oidvector,
  toJson,
  toValue,
  userScalar,
} from '../../support/codecTypes.js'
import { drawnValue } from '../../support/drawnValues.js'
import { slowJson } from '../../support/slowJson.js'

const of = (name: BuiltinName) => arrayOf(builtin(name))

// Type, text, JSON, JavaScript value: each line was seen on a server.
const ARRAYS: readonly (readonly [PgType, string, string, unknown])[] = [
  [of('int4'), '{}', '[]', []],
  [of('int4'), '{{1,2},{3,4}}', '[[1,2],[3,4]]', [[1, 2], [3, 4]]], // biome-ignore format: a table
  [of('int4'), '[0:1][2:3]={{1,2},{3,4}}', '[[1,2],[3,4]]', [[1, 2], [3, 4]]], // biome-ignore format: a table
  [of('int4'), '[-2:-1]={1,2}', '[1,2]', [1, 2]],
  [of('int4'), '{{{{{{1}}}}}}', '[[[[[[1]]]]]]', [[[[[[1]]]]]]],
  [of('text'), '{NULL,"NULL","",null}', '[null,"NULL","",null]', [null, 'NULL', '', null]],
  [
    of('text'),
    '{"a b","{","}",",","\\"","\\\\"}',
    '["a b","{","}",",","\\"","\\\\"]',
    ['a b', '{', '}', ',', '"', '\\'],
  ],
  [of('text'), '{NULLS,nul}', '["NULLS","nul"]', ['NULLS', 'nul']],
  [
    arrayOf(builtin('box'), ';'),
    '{(1,2),(0,0);(3,4),(1,1)}',
    '["(1,2),(0,0)","(3,4),(1,1)"]',
    ['(1,2),(0,0)', '(3,4),(1,1)'],
  ],
  [int2vector, '1 2 3', '[1,2,3]', [1, 2, 3]],
  [int2vector, '-1', '[-1]', [-1]],
  [int2vector, '', '[]', []],
  [oidvector, '4 4294967295', '["4","4294967295"]', [4, 4294967295]],
  [arrayOf(int2vector), '{"1 2",""}', '[[1,2],[]]', [[1, 2], []]],
  [arrayOf(of('int4')), '{"{1,2}",NULL}', '[[1,2],null]', [[1, 2], null]],
  [of('bool'), '{t,f,NULL}', '[true,false,null]', [true, false, null]],
  [of('numeric'), '{NaN,1.10}', '["NaN",1.10]', ['NaN', '1.10']],
  [of('int8'), '{1,9223372036854775807}', '[1,9223372036854775807]', [1n, 9223372036854775807n]],
  [
    of('timestamptz'),
    '{"2020-01-01 00:00:00+00",infinity}',
    '["2020-01-01T00:00:00+00:00","infinity"]',
    ['2020-01-01T00:00:00+00:00', 'infinity'],
  ],
  [of('jsonb'), '{"{\\"a\\": 1}",NULL,"null"}', '[{"a": 1},null,null]', [{ a: 1 }, null, null]],
  [of('json'), '{"{\\"a\\":\n1}"}', '[{"a": 1}]', [{ a: 1 }]],
  [of('bytea'), '{"\\\\xdead"}', '["\\\\xdead"]', [new Uint8Array([0xde, 0xad])]],
  [of('oid'), '{1,2}', '["1","2"]', [1, 2]],
  [arrayOf(hstore), '{"\\"a\\"=>\\"1\\"",""}', '[{"a": "1"},{}]', [{ a: '1' }, {}]],
  [arrayOf(userScalar('mood')), '{"so so",glad}', '["so so","glad"]', ['so so', 'glad']],
]

function titled(cases: readonly (readonly [PgType, string, string, unknown])[]) {
  return cases.map(([type, text, json, value]) => [nameOf(type), text, json, type, value] as const)
}

describe('an array', () => {
  test.each(titled(ARRAYS))('%s %s is %s', (_, text, json, type, value) => {
    expect(toJson(type, text)).toBe(json)
    expect(toValue(type, text)).toStrictEqual(value)
  })

  test('hands the options on to its elements', () => {
    expect(toJson(of('int8'), '{1,NULL}', { bigNumbers: 'string' })).toBe('["1",null]')
    expect(toJson(of('bytea'), '{"\\\\xdead"}', { bytea: 'base64' })).toBe('["3q0="]')
    expect(toValue(of('timestamp'), '{"2020-01-01 00:00:00"}', { timestamps: 'date' })).toStrictEqual([
      new Date('2020-01-01'),
    ])
  })
})

const PAIR = compositeOf({ i: builtin('int4'), t: builtin('text') })
const EVERY = compositeOf({
  a: builtin('int4'),
  'B "q': builtin('text'),
  t: builtin('timestamptz'),
  j: builtin('jsonb'),
  n: builtin('numeric'),
  bo: builtin('bool'),
  ar: of('int4'),
})

const COMPOSITES: readonly (readonly [CompositeType, string, string, unknown])[] = [
  [
    EVERY,
    '(1,"a""b","2020-01-01 00:00:00+00","{""k"": 1}",1.10,t,"{1,2}")',
    '{"a":1,"B \\"q":"a\\"b","t":"2020-01-01T00:00:00+00:00","j":{"k": 1},"n":1.10,"bo":true,"ar":[1,2]}',
    { a: 1, 'B "q': 'a"b', t: '2020-01-01T00:00:00+00:00', j: { k: 1 }, n: '1.10', bo: true, ar: [1, 2] },
  ],
  [PAIR, '(,"")', '{"i":null,"t":""}', { i: null, t: '' }],
  [PAIR, '(-5,null)', '{"i":-5,"t":"null"}', { i: -5, t: 'null' }],
  [PAIR, '(1,"\\\\ "" \\"")', '{"i":1,"t":"\\\\ \\" \\""}', { i: 1, t: '\\ " "' }],
  [compositeOf({ o: builtin('int4') }), '()', '{"o":null}', { o: null }],
  [compositeOf({ s: builtin('text') }), '("")', '{"s":""}', { s: '' }],
  [compositeOf({}), '()', '{}', {}],
  [
    compositeOf({ a: compositeOf({ n: builtin('int4'), s: builtin('text'), x: builtin('int4') }), b: arrayOf(PAIR) }),
    '("(1,""x y"",)","{""(2,\\\\""b\\\\"")"",NULL}")',
    '{"a":{"n":1,"s":"x y","x":null},"b":[{"i":2,"t":"b"},null]}',
    { a: { n: 1, s: 'x y', x: null }, b: [{ i: 2, t: 'b' }, null] },
  ],
  [compositeOf({ j: builtin('json') }), '(" {""a"":\n1} ")', '{"j": {"a": 1} }', { j: { a: 1 } }],
  [compositeOf({ p: builtin('point'), r: builtin('tstzrange') }), '("(1,2)",empty)', '{"p":"(1,2)","r":"empty"}', { p: '(1,2)', r: 'empty' }], // biome-ignore format: a table
]

describe('a composite', () => {
  test.each(titled(COMPOSITES))('%s %s is %s', (_, text, json, type, value) => {
    expect(toJson(type, text)).toBe(json)
    expect(toValue(type, text)).toStrictEqual(value)
  })

  test('of another shape than the type is a string, and that is told once', () => {
    const told: string[] = []
    const options = { onShapeMismatch: (type: CompositeType) => told.push(type.name) }
    for (const text of ['(1,a,b)', '(1)', '()', '(hello,a)', '(2020-01-01,a)', '(1.5e,a)', '(-,a)']) {
      expect(toJson(PAIR, text, options)).toBe(JSON.stringify(text))
      expect(toValue(PAIR, text, options)).toBe(text)
      expect(toJson(arrayOf(PAIR), `{"${text}",NULL}`, options)).toBe(`[${JSON.stringify(text)},null]`)
    }
    expect(told).toStrictEqual([PAIR.name])
    expect(toJson(PAIR, '(1,a)', options)).toBe('{"i":1,"t":"a"}')
  })

  test.each([
    ['bool', 'true'],
    ['numeric', '1,5'],
    ['json', '{""a"": 1'],
    ['json', 'hello'],
    ['jsonb', '[1}'],
    ['timestamp', 'say ""no""'],
    ['uuid', 'a\\\\b'],
  ] as const)('with a field of %s that cannot be one is a string', (name, field) => {
    const text = `("${field}")`
    expect(toJson(compositeOf({ field: builtin(name) }), text)).toBe(JSON.stringify(text))
  })

  test('may have a field called __proto__', () => {
    const type = compositeOf({ ['__proto__']: builtin('int4') })
    const value = toValue(type, '(1)') as object
    expect(Object.getPrototypeOf(value)).toBe(Object.prototype)
    expect(Object.entries(value)).toStrictEqual([['__proto__', 1]])
    expect(toJson(type, '(1)')).toBe('{"__proto__":1}')
  })
})

describe('an hstore', () => {
  test.each([
    ['', '{}', {}],
    ['"a"=>"1", "b"=>NULL, "q\\"x"=>"t"', '{"a": "1", "b": null, "q\\"x": "t"}', { a: '1', b: null, 'q"x': 't' }],
    ['"a"=>"NULL"', '{"a": "NULL"}', { a: 'NULL' }],
    ['""=>""', '{"": ""}', { '': '' }],
    ['"a\n"=>"\\\\, \\"b\\"=>"', '{"a\\n": "\\\\, \\"b\\"=>"}', { 'a\n': '\\, "b"=>' }],
  ])('%s is %s', (text, json, value) => {
    expect(toJson(hstore, text)).toBe(json)
    expect(toValue(hstore, text)).toStrictEqual(value)
  })

  test('may have the key __proto__', () => {
    expect(Object.entries(toValue(hstore, '"__proto__"=>"1"') as object)).toStrictEqual([['__proto__', '1']])
  })
})

test('types nested a thousand levels deep are compiled and read', () => {
  let type: PgType = builtin('int4')
  for (let level = 0; level < 1000; level++) type = compositeOf({ a: type, b: type })
  expect(toJson(type, '(,)')).toBe('{"a":null,"b":null}')
  expect(toValue(arrayOf(type), '{"(,)"}')).toStrictEqual([{ a: null, b: null }])
})

test('drawn values of drawn types are what the slow twin makes of them', () => {
  fc.assert(
    fc.property(drawnValue, ({ type, text }) => {
      const json = toJson(type, text)
      expect(json).toBe(slowJson(type, text))
      JSON.parse(json)
    }),
    { numRuns: 2000 },
  )
})

test('long parts that need unescaping survive until the output is taken', () => {
  const long = 'a"\\'.repeat(30_000)
  const plain = 'b'.repeat(100_000)
  const item = (text: string) => `"${text.replaceAll(/["\\]/g, '\\$&')}"`
  const text = `{${[long, `${plain}"`, long, `"${plain}c`, 'short"'].map(item).join(',')}}`
  const expected = JSON.stringify([long, `${plain}"`, long, `"${plain}c`, 'short"'])
  expect(toJson(of('text'), text) === expected).toBe(true)
})
