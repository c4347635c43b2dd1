import { X509Certificate } from 'node:crypto'
import { expect, test } from 'vitest'
import { inLines } from '../../../../src/homes/airbyte/config/connection.js'
import { otherCa, testCa } from '../../../support/tls.js'

test('certificates whose line ends are blanks, or backslashes and n, are read as they were', () => {
  for (const lineEnd of ['\n', ' ', '\\n', '\r\n']) {
    const mended = inLines([testCa, otherCa].join('').replaceAll('\n', lineEnd))
    const read = mended.match(/-----BEGIN [\s\S]*?END CERTIFICATE-----/g)!.map((pem) => new X509Certificate(pem).raw)
    expect(read, JSON.stringify(lineEnd)).toEqual([testCa, otherCa].map((pem) => new X509Certificate(pem).raw))
  }
})

test('what is none, or has lines of its own kind, stays as it is', () => {
  for (const text of [
    'junk',
    '-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nAAAA\n-----END RSA PRIVATE KEY-----\n',
  ]) {
    expect(inLines(text)).toBe(text)
  }
})
