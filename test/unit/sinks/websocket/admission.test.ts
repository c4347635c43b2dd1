import type { IncomingMessage } from 'node:http'
import { expect, test } from 'vitest'
import { admit, isLoopback } from '../../../../src/sinks/websocket/admission.js'

const TOKEN = 'a-token-that-is-long'
const request = (headers: Record<string, string>, url = '/') => ({ headers, url }) as IncomingMessage
const OPEN = { token: undefined, namesNeeded: false }

test('with a token only who has it is let in, wherever the page is from', () => {
  const options = { token: TOKEN, namesNeeded: false }
  for (const authorization of ['', TOKEN, `Bearer ${TOKEN}x`, `Bearer ${TOKEN.slice(1)}`]) {
    expect(admit(request({ authorization }), options)).toMatchObject({ status: 401 })
  }
  expect(admit(request({ authorization: `Bearer ${TOKEN}`, origin: 'https://shop.example' }), options)).toEqual({
    name: '',
  })
})

test('without a token a browser’s page is let in only from this machine', () => {
  for (const origin of ['https://evil.example', 'null', 'http://127.0.0.1.evil.example', 'file://']) {
    expect(admit(request({ origin }), OPEN)).toMatchObject({ status: 403 })
  }
  for (const origin of ['http://localhost:3000', 'http://127.0.0.1', 'http://[::1]:80']) {
    expect(admit(request({ origin }), OPEN)).toEqual({ name: '' })
  }
  expect(admit(request({}), OPEN)).toEqual({ name: '' })
})

test('a reader has the name that it gives, and has to give one where it is counted', () => {
  expect(admit(request({}, '/orders?reader=search-1'), OPEN)).toEqual({ name: 'search-1' })
  expect(admit(request({}, '/'), { ...OPEN, namesNeeded: true })).toMatchObject({ status: 400 })
  for (const name of ['a%20b', `${'x'.repeat(101)}`, '%0d%0a']) {
    expect(admit(request({}, `/?reader=${name}`), OPEN)).toMatchObject({ status: 400 })
  }
})

test('loopback is what no other machine reaches', () => {
  expect(['127.0.0.1', '127.8.0.1', '::1', 'localhost'].map(isLoopback)).toEqual([true, true, true, true])
  expect(['0.0.0.0', '::', '10.0.0.1', '127.example.com', ''].map(isLoopback)).toEqual([
    false,
    false,
    false,
    false,
    false,
  ])
})
