import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { jsonRow } from '../../../src/codec/payload/jsonRow.js'
import { type Structured, structuredRow } from '../../../src/codec/payload/structuredRow.js'
import type { TextTarget } from '../../../src/codec/text/target.js'

const TEXT: TextTarget = { kind: 'text', array: false }
const JSONS: TextTarget = { kind: 'json', array: false }
const BYTEA: TextTarget = { kind: 'bytea', array: false }
const array = ({ kind }: TextTarget, delimiter = ','): TextTarget => ({ kind, array: true, delimiter })

const fromJson = (json: string, target = TEXT) => jsonRow(Buffer.from(`{"v":${json}}`), () => target).texts[0]
const fromStruct = (value: unknown, target = TEXT) => structuredRow({ v: value } as Structured, () => target).texts[0]

describe('both forms', () => {
  test.each<[string, TextTarget, string | null]>([
    ['null', TEXT, null],
    ['null', JSONS, null],
    ['true', TEXT, 'true'],
    ['12', TEXT, '12'],
    ['-1.5', TEXT, '-1.5'],
    ['"it\'s \\"x\\" \\u00e9\\n"', TEXT, 'it\'s "x" é\n'],
    ['""', TEXT, ''],
    ['"null"', TEXT, 'null'],
    ['{"a":[1,{"b":null}]}', TEXT, '{"a":[1,{"b":null}]}'],
    ['[1,2]', TEXT, '[1,2]'],
    ['[1,2]', JSONS, '[1,2]'],
    ['true', JSONS, 'true'],
    ['1', JSONS, '1'],
    ['"{\\"a\\": 1}"', JSONS, '{"a": 1}'],
    ['"plain words"', JSONS, '"plain words"'],
    ['"3q2+7w=="', BYTEA, '\\xdeadbeef'],
    ['"\\\\xDEAD"', BYTEA, '\\xDEAD'],
    ['""', BYTEA, '\\x'],
    ['[1,null,3]', array(TEXT), '{1,NULL,3}'],
    ['[]', array(TEXT), '{}'],
    ['["a b","NULL","",null,"x\\"y\\\\"]', array(TEXT), '{"a b","NULL","",NULL,"x\\"y\\\\"}'],
    ['[[1,2],[3,4]]', array(TEXT), '{{1,2},{3,4}}'],
    ['["3q2+7w==",null]', array(BYTEA), '{"\\\\xdeadbeef",NULL}'],
    ['[{"a":1},[2],"s",null]', array(JSONS), '{"{\\"a\\":1}",[2],"\\"s\\"",NULL}'],
    ['["(1,2),(0,0)","(3,4),(1,1)"]', array(TEXT, ';'), '{"(1,2),(0,0)";"(3,4),(1,1)"}'],
    ['"{1,2}"', array(TEXT), '{1,2}'],
  ])('%s for %j is %s', (json, target, text) => {
    expect(fromJson(json, target)).toBe(text)
    expect(fromJson(` \n${json}\t`, target)).toBe(text)
    expect(fromStruct(JSON.parse(json), target)).toBe(text)
  })

  test('columns by name, whatever the name', () => {
    const json = '{ "a-b" : 1 , "__proto__" : 2 , "é\\"" : null , "" : "x" }'
    const row = { columns: ['a-b', '__proto__', 'é"', ''], texts: ['1', '2', null, 'x'] }
    expect(jsonRow(Buffer.from(json), () => TEXT)).toStrictEqual(row)
    expect(structuredRow(JSON.parse(json), () => TEXT)).toStrictEqual(row)
    expect(jsonRow(Buffer.from(' { } '), () => TEXT)).toStrictEqual({ columns: [], texts: [] })
  })

  test('whatever JSON there is, both are the same', () => {
    // numbers are written alike by both only where JavaScript writes them back as they were
    const target = fc.constantFrom(TEXT, JSONS, array(TEXT), array(JSONS))
    fc.assert(
      fc.property(
        fc.dictionary(fc.string(), fc.jsonValue({ noUnicodeString: false }), { noNullPrototype: true }),
        target,
        (object, one) => {
          const json = JSON.stringify(object)
          const parsed = JSON.parse(json)
          const fromRaw = jsonRow(Buffer.from(json), () => one)
          const structured = structuredRow(parsed, () => one)
          expect(Object.fromEntries(fromRaw.columns.map((name, i) => [`_${name}`, fromRaw.texts[i]]))).toStrictEqual(
            Object.fromEntries(structured.columns.map((name, i) => [`_${name}`, structured.texts[i]])),
          )
        },
      ),
    )
  })

  test('a text for bytea that is neither hex nor base64 is refused with its column', () => {
    for (const run of [() => fromJson('"h\\u00e9llo"', BYTEA), () => fromStruct('hello', BYTEA)]) {
      expect(run).toThrow(
        expect.objectContaining({
          code: 'PAYLOAD_INVALID',
          message: expect.stringContaining('column v: a text for bytea'),
        }),
      )
    }
  })
})

describe('raw JSON', () => {
  test('numbers keep their digits, and json its text', () => {
    expect(fromJson('12345678901234567890.10')).toBe('12345678901234567890.10')
    expect(fromJson('9223372036854775807')).toBe('9223372036854775807')
    expect(fromJson('[1.10,1e400]', array(TEXT))).toBe('{1.10,1e400}')
    expect(fromJson('{"b" : 1.50, "a":1e400,\n"a": 2}', JSONS)).toBe('{"b" : 1.50, "a":1e400,\n"a": 2}')
  })

  test('of a name that comes twice the last counts', () => {
    expect(jsonRow(Buffer.from('{"a":1,"b":2,"\\u0061":3}'), () => TEXT)).toStrictEqual({
      columns: ['b', 'a'],
      texts: ['2', '3'],
    })
  })

  test.each([
    ['', 'no JSON'],
    ['{"a":', 'no JSON'],
    ['{"a":1}{', 'no JSON'],
    ['{a:1}', 'no JSON'],
    ['[1]', 'it is JSON, and no object'],
    ['null', 'it is JSON, and no object'],
    ['"secret"', 'it is JSON, and no object'],
  ])('%s is refused', (text, problem) => {
    expect(() => jsonRow(Buffer.from(text), () => TEXT)).toThrow(
      expect.objectContaining({ code: 'PAYLOAD_INVALID', message: expect.stringContaining(problem) }),
    )
  })

  test('bytes that are no UTF-8 are refused', () => {
    expect(() => jsonRow(Buffer.from([0x7b, 0xff, 0x7d]), () => TEXT)).toThrow('no UTF-8')
  })
})

describe('structured data', () => {
  test('doubles are written by the fewest digits, in words where JSON has none', () => {
    expect([0.1, -0, 1e21, 5e-324, Number.NaN, -Infinity].map((one) => fromStruct(one))).toStrictEqual([
      ...['0.1', '-0', '1e+21', '5e-324', 'NaN', '-Infinity'],
    ])
    expect(fromStruct(Number.NaN, JSONS)).toBe('"NaN"')
    expect(fromStruct({ a: [Infinity] }, JSONS)).toBe('{"a":["Infinity"]}')
  })
})
