import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { packBeginning, unpackPosition } from '../../../../src/homes/conduit/source/packedPosition.js'

const BEGINNING =
  '{"version":1,"system":"7710974990324191594","timeline":1,"database":"shop","slot":"shop_slot","epoch":5,"captured":[16388],' +
  '"publications":"16402","lsn":"0/16B3748","seq":-1,"sub":0,"fingerprint":0,"snapshot":{"id":"0/16B3748","rows":2000,"tables":' +
  '[{"oid":16388,"id":"0/16B3748","schema":"public","name":"orders","key":["id"],"stretches":[{"to":["2000"],"read":true},{}]}],' +
  '"upTo":{"oid":16388,"stretch":0,"read":true,"rows":'
/** As the first version has packed it. */
const STORED =
  'pwxUX5oYGluYmlpYGxkYmhpaGppYmeGKnOCO/ABEzIF48aryYYsSLBbYYMTEwQo4RMydjcxMLbPFCRGQgdEM8amRggD1aLCx0MPXgjKD8opTUomJiosmIhGiyIBRNAA==.'
const REST = '2001,"to":["2001"]}}}'

describe('a position whose beginning is packed', () => {
  test('is unpacked to what it was, whatever its names', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), fc.string(), (name, more) => {
        const [beginning, rest] = [`${BEGINNING}${JSON.stringify(name)}`, `${JSON.stringify(more)}}`]
        expect(unpackPosition(packBeginning(beginning) + rest)).toBe(beginning + rest)
      }),
      { numRuns: 50 },
    )
  })

  test('is much shorter, and ASCII', () => {
    const packed = packBeginning(BEGINNING)
    expect(packed.length).toBeLessThan(BEGINNING.length / 3)
    expect(packed).toMatch(/^p[A-Za-z0-9+/]+=*\.$/)
  })

  test('that was stored by any version is still read', () => {
    const stored = `${STORED}${REST}`
    expect(unpackPosition(stored)).toBe(BEGINNING + REST)
  })

  test('and is damaged is an error', () => {
    expect(() => unpackPosition(`${STORED.slice(0, 20)}.${REST}`)).toThrow(
      expect.objectContaining({ code: 'POSITION_INVALID' }),
    )
  })

  test.each(['{"version":1}', 'payments.old:12', 'p.}x', '0/16B3748', '12', ''])(
    'any other is as it is: %s',
    (text) => {
      expect(unpackPosition(text)).toBe(text)
    },
  )
})
