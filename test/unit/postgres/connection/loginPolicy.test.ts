import { describe, expect, test } from 'vitest'
import { LoginPolicy, type LoginRequest } from '../../../../src/postgres/connection/loginPolicy.js'
import { parseConnectionString } from '../../../../src/postgres/connectionString.js'

const PASSWORD: LoginRequest = { method: 'password' }
const MD5: LoginRequest = { method: 'md5' }
const SCRAM: LoginRequest = { method: 'sasl', mechanisms: ['SCRAM-SHA-256'] }
const PLUS: LoginRequest = { method: 'sasl', mechanisms: ['SCRAM-SHA-256-PLUS', 'SCRAM-SHA-256'] }

/** What becomes of a login that goes on as the server wants it; undefined: it is let in. */
function outcome(text: string, request: LoginRequest | undefined, { encrypted = true, proves = true } = {}) {
  const { channelBinding, acceptedLogins } = parseConnectionString(`host=h ${text}`, { HOME: '/nowhere' })
  const policy = new LoginPolicy(channelBinding, acceptedLogins, encrypted)
  const problem = request === undefined ? undefined : policy.asked(request)
  if (problem !== undefined) return `asked: ${problem}`
  if (request?.method === 'sasl' && proves) policy.proved()
  const late = policy.letIn()
  return late === undefined ? undefined : `let in: ${late}`
}

describe('channel_binding', () => {
  test('require takes SCRAM-SHA-256-PLUS only', () => {
    const binding = 'channel_binding=require'
    expect(outcome(binding, PLUS)).toBeUndefined()
    for (const request of [PASSWORD, MD5, SCRAM]) {
      expect(outcome(binding, request)).toMatch(/^asked: channel_binding=require .* without it/)
      expect(outcome(binding, request, { encrypted: false })).toMatch(/^asked: .*the connection has no TLS/)
    }
    expect(outcome(binding, undefined)).toMatch(/^let in: .*let us in without a password without it/)
  })

  test('prefer and disable take every login', () => {
    for (const binding of ['', 'channel_binding=disable']) {
      for (const request of [PASSWORD, MD5, SCRAM, PLUS, undefined]) expect(outcome(binding, request)).toBeUndefined()
    }
  })
})

describe('require_auth', () => {
  test.each<[string, (LoginRequest | undefined)[]]>([
    ['password', [PASSWORD]],
    ['md5', [MD5]],
    ['scram-sha-256', [SCRAM, PLUS]],
    ['none', [undefined]],
    ['md5,none', [MD5, undefined]],
    ['!password', [MD5, SCRAM, PLUS, undefined]],
    ['!none,!md5', [PASSWORD, SCRAM, PLUS]],
    ['gss', []],
  ])('%s', (accepted, fitting) => {
    for (const request of [PASSWORD, MD5, SCRAM, PLUS, undefined]) {
      const what = outcome(`require_auth=${accepted}`, request)
      if (fitting.includes(request)) expect(what).toBeUndefined()
      // before a password is sent, where one is asked for
      else
        expect(what).toMatch(request === undefined ? /^let in: require_auth accepts/ : /^asked: require_auth accepts/)
    }
  })
})

test('a server that lets us in without the end of SCRAM has not proved that it is ours', () => {
  expect(outcome('', SCRAM, { proves: false })).toBe(
    'let in: the server let us in without proving that it knows the password',
  )
})

test('SASL without SCRAM cannot be done', () => {
  expect(outcome('', { method: 'sasl', mechanisms: ['OAUTHBEARER'] })).toContain(
    'OAUTHBEARER, which tailrace cannot do',
  )
})
