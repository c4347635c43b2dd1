import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { refusal } from '../../../../../src/homes/pipeline/http/access.js'
import { isLoopback, parseAddress } from '../../../../../src/homes/pipeline/http/address.js'
import { chooseHttp } from '../../../../../src/homes/pipeline/http/httpChoice.js'

const TOKEN = 'a-token-of-a-test-0123456789'
const READ = { open: false, changes: false }
const CHANGE = { open: false, changes: true }
const json = { 'content-type': 'application/json' }

test.each([
  ['127.0.0.1:8080', { host: '127.0.0.1', port: 8080 }],
  ['8080', { host: '127.0.0.1', port: 8080 }],
  ['[::1]:80', { host: '::1', port: 80 }],
  ['db.example:0', { host: 'db.example', port: 0 }],
])('%s is an address', (text, address) => expect(parseAddress(text)).toEqual(address))

test.each(['', 'localhost', ':8080', '::1:80', '1.2.3.4:65536', '[db]:80', 'http://a:80', 'a b:80'])(
  '%j is no address',
  (text) => expect(parseAddress(text)).toBeUndefined(),
)

test('loopback is what nobody but this machine can mean', () => {
  for (const host of ['localhost', '127.0.0.1', '127.9.9.9', '::1']) expect(isLoopback(host), host).toBe(true)
  for (const host of ['0.0.0.0', '::', '10.0.0.1', '127.example.com', 'localhost.example', '']) {
    expect(isLoopback(host), host).toBe(false)
  }
})

test('without a token only a host of this machine is answered: a name that was made to lead here is not', () => {
  for (const host of ['localhost', 'LOCALHOST:9000', '127.0.0.1:8080', '[::1]:8080']) {
    expect(refusal(undefined, { host }, READ), host).toBeUndefined()
  }
  for (const host of [
    'evil.example',
    'evil.example:8080',
    '127.0.0.1.evil.example',
    '',
    'a]:1',
    '[::1',
    'localhost:8080@evil',
  ]) {
    expect(refusal(undefined, { host }, READ), host).toMatchObject({ code: 'REQUEST_FORBIDDEN' })
    expect(refusal(undefined, { host }, { open: true, changes: false }), host).toBeDefined()
  }
})

test('with a token whoever has it is answered, under any host, and what tells nothing needs none', () => {
  const host = 'tailrace.example'
  const bearer = (token: string) => ({ host, authorization: `Bearer ${token}` })
  expect(refusal(TOKEN, bearer(TOKEN), READ)).toBeUndefined()
  expect(refusal(TOKEN, { host }, { open: true, changes: false })).toBeUndefined()
  for (const headers of [{ host }, { host: 'localhost' }, { host, authorization: `Basic ${TOKEN}` }]) {
    expect(refusal(TOKEN, headers, READ)).toMatchObject({ code: 'REQUEST_UNAUTHORIZED', message: 'a token is needed' })
  }
  for (const wrong of [`${TOKEN}x`, TOKEN.slice(1), 'ü', 'x']) {
    const refused = refusal(TOKEN, bearer(wrong), READ)
    expect(refused).toMatchObject({ code: 'REQUEST_UNAUTHORIZED', message: 'the token is wrong' })
    expect(JSON.stringify(refused)).not.toContain(wrong.length > 5 ? wrong : TOKEN)
  }
})

test('a change is taken from this interface’s own page, and from programs, and from no other page', () => {
  const host = 'localhost:8080'
  expect(refusal(undefined, { host, ...json }, CHANGE)).toBeUndefined()
  const charset = { 'content-type': 'Application/JSON; charset=utf-8' }
  expect(refusal(undefined, { host, ...charset, origin: 'http://localhost:8080' }, CHANGE)).toBeUndefined()
  const own = { ...json, origin: 'https://tailrace.example', 'sec-fetch-site': 'same-origin' }
  const proxied = { host: 'tailrace.example', authorization: `Bearer ${TOKEN}`, ...own }
  expect(refusal(TOKEN, proxied, CHANGE)).toBeUndefined()
  for (const headers of [
    {},
    { 'content-type': 'text/plain' },
    { 'content-type': 'application/x-www-form-urlencoded' },
    { ...json, origin: 'null' },
    { ...json, origin: 'http://evil.example' },
    { ...json, origin: 'http://localhost:9999' },
    { ...json, 'sec-fetch-site': 'cross-site' },
    { ...json, 'sec-fetch-site': 'same-site' },
  ]) {
    const refused = refusal(undefined, { host, ...headers }, CHANGE)
    expect(refused, JSON.stringify(headers)).toMatchObject({ code: 'REQUEST_FORBIDDEN' })
  }
})

test('what tells of the data is not read by a page of another site', () => {
  const headers = (site: string) => ({ host: 'localhost', 'sec-fetch-site': site, authorization: `Bearer ${TOKEN}` })
  for (const token of [undefined, TOKEN]) {
    expect(refusal(token, headers('cross-site'), READ)).toMatchObject({ code: 'REQUEST_FORBIDDEN' })
    for (const site of ['same-origin', 'none']) expect(refusal(token, headers(site), READ), site).toBeUndefined()
    // A link to the page may stand anywhere.
    expect(refusal(token, headers('cross-site'), { open: true, changes: false })).toBeUndefined()
  }
})

test('where to listen is said by the command line, or else by the files, which must agree', async () => {
  const files = [
    { path: 'a.yaml', http: { http: '8080', httpToken: TOKEN, httpTokenFile: undefined } },
    { path: 'b.yaml', http: undefined },
  ]
  expect(await chooseHttp({}, [])).toBeUndefined()
  expect(await chooseHttp({ httpToken: TOKEN }, [])).toBeUndefined()
  expect(await chooseHttp({}, files)).toEqual({ address: { host: '127.0.0.1', port: 8080 }, token: TOKEN })
  const own = await chooseHttp({ http: '[::1]:1', httpToken: `${TOKEN}2` }, files)
  expect(own).toEqual({ address: { host: '::1', port: 1 }, token: `${TOKEN}2` })
  const other = { path: 'c.yaml', http: { ...files[0]!.http, http: '8081' } }
  await expect(chooseHttp({}, [...files, other])).rejects.toMatchObject({
    ...{ code: 'HTTP_APART', message: expect.stringContaining('a.yaml and c.yaml') },
  })
  expect((await chooseHttp({ http: '9000' }, [...files, other]))?.address.port).toBe(9000)
})

test('another address than loopback wants a token, and a token that cannot be guessed', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'tailrace-test-'))
  const httpTokenFile = join(folder, 'token')
  try {
    await writeFile(httpTokenFile, `${TOKEN}\n`)
    expect((await chooseHttp({ http: '0.0.0.0:80', httpTokenFile }, []))?.token).toBe(TOKEN)
    await writeFile(httpTokenFile, '\n')
    for (const [given, code] of [
      [{ http: '0.0.0.0:80' }, 'HTTP_TOKEN_MISSING'],
      [{ http: '[::]:80' }, 'HTTP_TOKEN_MISSING'],
      [{ http: 'nowhere' }, 'HTTP_ADDRESS_INVALID'],
      [{ http: '80', httpToken: 'short' }, 'HTTP_TOKEN_UNFIT'],
      [{ http: '80', httpToken: '' }, 'HTTP_TOKEN_UNFIT'],
      [{ http: '80', httpToken: `${TOKEN} with spaces` }, 'HTTP_TOKEN_UNFIT'],
      [{ http: '80', httpTokenFile }, 'HTTP_TOKEN_UNFIT'],
      [{ http: '80', httpTokenFile: `${httpTokenFile}s` }, 'HTTP_TOKEN_UNFIT'],
    ] as const) {
      const error = await chooseHttp(given, []).catch((error) => error)
      expect(error, JSON.stringify(given)).toMatchObject({ code })
      expect(error.message).not.toContain(TOKEN)
    }
  } finally {
    await rm(folder, { recursive: true })
  }
})
