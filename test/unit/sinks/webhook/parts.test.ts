import { expect, test } from 'vitest'
import { shownUrl } from '../../../../src/sinks/shownUrl.js'
import { retryAfterMs, shownBody, verdictOf } from '../../../../src/sinks/webhook/answer.js'
import { Circuit } from '../../../../src/sinks/webhook/circuit.js'
import { problemOfHeaders } from '../../../../src/sinks/webhook/headers.js'
import { hiddenOf } from '../../../../src/sinks/webhook/hidden.js'
import { batchId, headerId } from '../../../../src/sinks/webhook/requestId.js'
import { secretBytes } from '../../../../src/sinks/webhook/signature.js'

test('a circuit opens after failures in a row, lets one request through when its time is over, and closes when that gets an answer', () => {
  const circuit = new Circuit({ failures: 3, openMs: 1000 })
  expect([circuit.failed(0), circuit.failed(10)]).toEqual([undefined, undefined])
  circuit.succeeded(20)
  expect([circuit.failed(30), circuit.failed(40), circuit.failed(50)]).toEqual([undefined, undefined, 3])
  // Of those that were under way.
  expect(circuit.failed(60)).toBe(undefined)
  expect(circuit.admit(550)).toBe(500)
  expect([circuit.admit(1050), circuit.admit(1050)]).toEqual([0, Number.POSITIVE_INFINITY])
  expect(circuit.failed(1100)).toBe(undefined)
  expect(circuit.admit(1200)).toBe(900)
  expect(circuit.outages(1200)).toEqual({ count: 1, seconds: 1.15 })
  expect(circuit.admit(2100)).toBe(0)
  // Whoever was to find out was cut off.
  circuit.released(2200)
  expect(circuit.admit(2200)).toBe(0)
  expect(circuit.succeeded(2250)).toBe(2200)
  expect([circuit.admit(2250), circuit.outages(9999)]).toEqual([0, { count: 1, seconds: 2.2 }])
  circuit.hold(5000)
  expect([circuit.admit(4000), circuit.admit(5000)]).toEqual([1000, 0])
})

test('a circuit with 0 failures never opens', () => {
  const circuit = new Circuit({ failures: 0, openMs: 1000 })
  for (let n = 0; n < 100; n++) expect(circuit.failed(n)).toBe(undefined)
  expect(circuit.admit(100)).toBe(0)
})

test('an answer is of the endpoint, of a record, or asks for another try', () => {
  const endpoint = [401, 410]
  const verdicts = [200, 204, 301, 304, 400, 401, 403, 408, 409, 410, 413, 422, 425, 429, 500, 503, 599]
  expect(verdicts.map((status) => [status, verdictOf(status, endpoint)])).toEqual([
    ...[
      [200, 'delivered'],
      [204, 'delivered'],
      [301, 'redirect'],
      [304, 'redirect'],
      [400, 'record'],
      [401, 'endpoint'],
    ],
    ...[
      [403, 'record'],
      [408, 'again'],
      [409, 'record'],
      [410, 'endpoint'],
      [413, 'record'],
      [422, 'record'],
    ],
    ...[
      [425, 'again'],
      [429, 'again'],
      [500, 'again'],
      [503, 'again'],
      [599, 'again'],
    ],
  ])
  // A setting's word comes first.
  expect(verdictOf(503, [503])).toBe('endpoint')
})

test('Retry-After is seconds or a date, an hour at most, and no nonsense', () => {
  const now = Date.parse('2026-11-22T10:00:00Z')
  expect(retryAfterMs('7', now)).toBe(7000)
  expect(retryAfterMs('Sun, 22 Nov 2026 10:00:30 GMT', now)).toBe(30_000)
  expect(retryAfterMs('Sun, 22 Nov 2026 09:00:00 GMT', now)).toBe(0)
  expect(retryAfterMs('99999999999999999999', now)).toBe(3_600_000)
  expect([undefined, 'soon', '-1', ''].map((text) => retryAfterMs(text, now) ?? 'none')).toEqual([
    ...['none', 'none', expect.anything(), 'none'],
  ])
})

test('what is printed of an answer has no secret, no control character, and an end', () => {
  const control = String.fromCharCode(27)
  expect(shownBody(Buffer.from(`no: Bearer abc123\r\n${control}[31mred`), ['Bearer abc123'])).toBe('no: *** [31mred')
  expect(shownBody(Buffer.from('x'.repeat(5000)), [])).toHaveLength(201)
})

test('a URL is printed without credentials, query and path, any of which may be a token', () => {
  const shown = (text: string) => shownUrl(new URL(text))
  expect(shown('https://me:pass@example.com:8443/?key=1&5ecret')).toBe('https://example.com:8443/')
  expect(shown('wss://example.com')).toBe('wss://example.com/')
  for (const path of ['a', 'bot123456:AAbb/sendMessage', 'onlylettersmakethistoken', 'a/b?key=1']) {
    expect(shown(`https://example.com/${path}`)).toBe('https://example.com/***')
  }
})

test('of an answer is hidden what the settings keep secret, as it is written and as it is meant', () => {
  const url = new URL('https://me:pa%20ss%2Fword@example.com/api/hooktoken%21/x?key=que%2Fry+1&bare5ecret&n=1')
  const hidden = hiddenOf(url, ['Bearer tok-1234', 'plain-5'], ['whsec_abc'])
  const answer = 'Bearer tok-1234, tok-1234, plain-5, whsec_abc, pa%20ss%2Fword, pa ss/word'
  const ofUrl = 'hooktoken%21, hooktoken!, que%2Fry+1, que/ry 1, bare5ecret'
  const shown = (text: string) => shownBody(Buffer.from(text), hidden)
  expect(shown(answer)).toBe(new Array(6).fill('***').join(', '))
  expect(shown(ofUrl)).toBe(new Array(5).fill('***').join(', '))
  expect(shown('no api at example.com takes 1 of me')).toBe('no api at example.com takes 1 of me')
})

test('an id in a header is the record’s, percent-encoded; a long one is told by its hash; that of several depends on them alone', () => {
  expect(headerId('0/16B3748/12')).toBe('0/16B3748/12')
  const id = '0/16B3748/public.orders/ü\r\nx: y,7.1'
  expect(headerId(id)).toMatch(/^[\x21-\x7e]+$/)
  expect(headerId(id)).not.toContain('.')
  expect(decodeURIComponent(headerId(id))).toBe(id)
  expect(headerId(`a${'x'.repeat(5000)}`)).toMatch(/^sha256:[0-9a-f]{64}$/)
  expect(batchId(['a', 'b'])).toMatch(/^batch-2-[0-9a-f]{32}$/)
  expect(batchId(['a', 'b'])).toBe(batchId(['a', 'b']))
  expect(batchId(['a', 'b'])).not.toBe(batchId(['ab']))
})

test('headers that would be others are refused, without a word of their values', () => {
  const problem = (name: string, value: string | number = 'v') => problemOfHeaders({ [name]: value })
  expect([problem('X-Shop', 'a b\tc ü'), problem('authorization', 'Bearer x'), problem('X-Number', 7)]).toEqual([
    ...[undefined, undefined, undefined],
  ])
  for (const value of ['a\r\nEvil: 1', 'a\nb', 'a\0b', 'snow\u2603', '\x7f']) {
    expect(problem('X-Shop', value)).toBe(
      'the value of X-Shop has a character that no header can have, such as a line break',
    )
  }
  for (const name of ['', 'a b', 'a:b', 'a\r\nb', 'ü']) expect(problem(name)).toContain('is no name of a header')
  for (const name of ['Content-Length', 'transfer-encoding', 'Webhook-Id', 'Idempotency-Key']) {
    expect(problem(name)).toBe(`${name} is set by the sink itself`)
  }
  expect(problemOfHeaders({ 'X-A': '1', 'x-a': '2' })).toBe('x-a stands there twice')
})

test('a secret is base64 of 24 to 64 bytes', () => {
  const of = (bytes: number) => Buffer.alloc(bytes, 7).toString('base64')
  expect(secretBytes(`whsec_${of(24)}`)).toEqual(Buffer.alloc(24, 7))
  expect(secretBytes(of(64))).toEqual(Buffer.alloc(64, 7))
  for (const wrong of ['', 'whsec_', 'password', of(23), of(65), `${of(24)}!`, `whsec_ ${of(24)}`]) {
    expect(secretBytes(wrong)).toBe(undefined)
  }
})
