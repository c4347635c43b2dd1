import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { packing, unpackPosition } from '../../../../src/homes/conduit/source/packedPosition.js'

const ORIGIN =
  '{"version":1,"system":"7710974990324191594","timeline":1,"database":"shop","slot":"shop_slot","epoch":5,"captured":[16388],' +
  '"publications":"16402:735 ypAtSorL3qEy qpyxi8Ldi4QN"'
const BEGINNING =
  `${ORIGIN},"lsn":"1A/16B3748","seq":-1,"sub":0,"fingerprint":0,"snapshot":{"id":"1A/16B3748","rows":2000,"tables":` +
  '[{"oid":16388,"id":"1A/16B3748","schema":"public","name":"orders","key":["id"],"stretches":[{"to":["2000"],"read":true},' +
  '{"to":["452666"]},{}]}],"upTo":{"oid":16388,"stretch":0,"read":true,"rows":'
const STEP = '2001,"to":["2001"]}}}'
const PLACE = ',"lsn":"0/16B3748","seq":7,"sub":0,"fingerprint":-1731}'

/** As the first version that packed has packed it. */
const DEFLATED =
  'pwxUX5oYGluYmlpYGxkYmhpaGppYmeGKnOCO/ABEzIF48aryYYsSLBbYYMTEwQo4RMydjcxMLbPFCRGQgdEM8amRggD1aLCx0MPXgjKD8opTUomJiosmIhGiyIBRNAA=='
const DEFLATED_TEXT =
  '{"version":1,"system":"7710974990324191594","timeline":1,"database":"shop","slot":"shop_slot","epoch":5,"captured":[16388],' +
  '"publications":"16402","lsn":"0/16B3748","seq":-1,"sub":0,"fingerprint":0,"snapshot":{"id":"0/16B3748","rows":2000,"tables":' +
  '[{"oid":16388,"id":"0/16B3748","schema":"public","name":"orders","key":["id"],"stretches":[{"to":["2000"],"read":true},{}]}],' +
  '"upTo":{"oid":16388,"stretch":0,"read":true,"rows":'
/** As the first version that coded has coded it. */
const CODED = `~!#GsC4uYyMdFq"shop&shop_slot'5(#EAE)#EAS:735 ypAtSorL3qEy qpyxi8Ldi4QN*$BoBazdI/@A;2000<@D=@B>orders?id[2000\`#Bug6{@C|0}`

const manyTables = (count: number) => {
  const table = (_: unknown, i: number) =>
    `{"oid":${16384 + 7 * i},"id":"1A/16B3748","schema":"public","name":"table_${i}","key":["id"],"stretches":[{}]}`
  return BEGINNING.replace('}],"upTo"', `},${Array.from({ length: count }, table).join()}],"upTo"`)
}

describe('a position whose beginning is packed', () => {
  const piece = fc.oneof(
    ...[fc.string({ unit: 'grapheme' }), fc.string(), fc.string({ unit: fc.constantFrom(...'\\#$@.^%~AZ059/-_"') })],
    ...[
      fc.bigInt({ min: 0n, max: 2n ** 70n }).map(String),
      fc.constantFrom('16388', '1A/16B3748', '0/0', '01/2', 'AB/0C'),
    ],
    fc.integer({ min: 0, max: BEGINNING.length }).map((at) => BEGINNING.slice(at, at + 60)),
  )

  test('is unpacked to what it was, whatever is in it', () => {
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 40 }), fc.array(fc.string({ unit: 'grapheme' })), (pieces, key) => {
        const beginning = `{${pieces.join('')}`
        const short = key.map((one) => JSON.stringify(one)).join('')
        const step = key.length === 0 ? '2001}}}' : `2001,"to":${JSON.stringify(key)}}}}`
        expect(unpackPosition(`${packing.beforeStep(beginning)}2001${short}`)).toBe(beginning + step)
        const place = `${packing.beforePlace(beginning)}0/16B3748,7,0,`
        expect(unpackPosition(`${place}-1731`)).toBe(beginning + PLACE)
        const ended = ',"lsn":"0/16B3748","seq":7,"sub":0,"end":"0/16B3800"}'
        expect(unpackPosition(`${place}0/16B3800`)).toBe(beginning + ended)
      }),
      { numRuns: 2000 },
    )
  })

  test('is much shorter, and printable ASCII', () => {
    const packed = packing.beforeStep(BEGINNING)
    expect(packed.length).toBeLessThan(BEGINNING.length / 3.5)
    expect(packed).toMatch(/^[!-~ ]+$/)
    expect(packing.beforePlace(ORIGIN).length).toBeLessThan(ORIGIN.length / 2)
  })

  test('of many tables is deflated', () => {
    const beginning = manyTables(200)
    const packed = packing.beforeStep(beginning)
    expect(packed.length).toBeLessThan(beginning.length / 5)
    expect(unpackPosition(`${packed}2001"2001"`)).toBe(beginning + STEP)
  })

  test('that was stored by any version is still read', () => {
    expect(unpackPosition(`${DEFLATED}.${STEP}`)).toBe(DEFLATED_TEXT + STEP)
    expect(unpackPosition(`${DEFLATED}^2001"2001"`)).toBe(DEFLATED_TEXT + STEP)
    expect(unpackPosition(`${CODED}^2001"2001"`)).toBe(BEGINNING + STEP)
  })

  test.each([`${DEFLATED.slice(0, 20)}.${STEP}`, '~\\Qx^2', '~@A^2', '~#^2"2"', '~\\Q%0/1,2,0,3'])(
    'and is damaged is an error: %s',
    (text) => {
      expect(() => unpackPosition(text)).toThrow(expect.objectContaining({ code: 'POSITION_INVALID' }))
    },
  )

  test.each([
    '{"version":1}',
    'payments.old:12',
    'p.}x',
    'pay^1:12',
    '~p%0/1:12',
    '~x^2,"to":["2"]}}}',
    '0/16B3748',
    '12',
    '',
  ])('any other is as it is: %s', (text) => {
    expect(unpackPosition(text)).toBe(text)
  })
})
