import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { deferred } from '../../../../../src/core/deferred.js'
import { apiRoutes } from '../../../../../src/homes/pipeline/http/apiRoutes.js'
import { HttpServer, MAX_CONNECTIONS } from '../../../../../src/homes/pipeline/http/httpServer.js'
import type { ManagedPipeline } from '../../../../../src/homes/pipeline/http/managedPipeline.js'
import { pageRoutes } from '../../../../../src/homes/pipeline/http/pageFiles.js'
import { json, type Route } from '../../../../../src/homes/pipeline/http/route.js'
import { Metrics } from '../../../../../src/homes/pipeline/metrics/metrics.js'
import { PauseSwitch } from '../../../../../src/homes/pipeline/run/pauseSwitch.js'
import { Replays } from '../../../../../src/homes/pipeline/run/replays.js'
import { PipelineMonitor } from '../../../../../src/homes/pipeline/status/pipelineMonitor.js'

const open: AsyncDisposable[] = []
afterEach(async () => {
  for (const one of open.splice(0)) await one[Symbol.asyncDispose]()
})

async function serve(routes: readonly Route[], faults: unknown[] = []): Promise<URL> {
  const address = { host: '127.0.0.1', port: 0 }
  const server = await HttpServer.listen({ address, token: undefined, routes, onFault: (one) => faults.push(one) })
  open.push(server)
  return new URL(server.url)
}

/** As it goes over the wire; resolves when the server has closed the connection. */
function raw(url: URL, text: string): Promise<string> {
  const socket = connect(Number(url.port), url.hostname, () => socket.write(text))
  const chunks: Buffer[] = []
  socket.on('data', (chunk) => chunks.push(chunk))
  const closed = deferred<string>()
  socket.on('error', () => {})
  socket.on('close', () => closed.resolve(Buffer.concat(chunks).toString()))
  return closed.promise
}

const post = (url: URL, path: string, body: string | Uint8Array) =>
  fetch(new URL(path, url), { method: 'POST', body, headers: { 'content-type': 'application/json' } })

function pipelineOf(name: string) {
  const pause = new PauseSwitch()
  const source = { host: 'db', port: 5432, database: null, slot: 's', publication: 'tailrace' }
  const monitor = new PipelineMonitor({ name, source, sinks: [] }, pause)
  let asked = 0
  const watched = new Proxy(monitor, {
    get: (target, property) => {
      if (property === 'status') asked++
      const value = Reflect.get(target, property, target)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
  const signal: ManagedPipeline['signal'] = async (request) => ({ name, ...request })
  const place = { name, statePath: '/nowhere', bufferBytes: 0, source: { tables: 't' }, sinks: [] }
  const pipeline: ManagedPipeline = {
    ...{ name, pause, monitor: watched, signal },
    config: place,
    replays: new Replays(),
  }
  return { pipeline, asked: () => asked }
}

test('10,000 requests, and more connections than there may be, cost a run next to nothing', async () => {
  const { pipeline, asked } = pipelineOf('shop')
  const url = await serve(
    apiRoutes({ version: '1', startedAt: new Date(), pipelines: [pipeline], metrics: new Metrics('1') }),
  )
  // One behind the other, without waiting for answers, over twenty connections.
  const asked500 = ['/api/status', '/metrics', '/readyz', '/nowhere', '/api/status?history=0']
    .map((path) => `GET ${path} HTTP/1.1\r\nHost: ${url.host}\r\n\r\n`)
    .join('')
    .repeat(100)
  const began = performance.now()
  const answers = await Promise.all(
    Array.from({ length: 20 }, () => raw(url, asked500.replace(/\r\n\r\n$/, '\r\nConnection: close\r\n\r\n'))),
  )
  const seconds = (performance.now() - began) / 1000
  const codes = answers.flatMap((text) => [...text.matchAll(/HTTP\/1\.1 (\d+) /g)].map(([, code]) => code))
  const counted = ['200', '404', '503'].map((code) => codes.filter((one) => one === code).length)
  expect(counted).toEqual([6000, 2000, 2000])
  // Five times a second for the status and once for the metrics, whoever asks.
  expect(asked()).toBeLessThan(3 + seconds * 6)

  const sockets = Array.from({ length: MAX_CONNECTIONS + 40 }, () => connect(Number(url.port), url.hostname))
  const refused = await new Promise<number>((resolve) => {
    let closed = 0
    for (const socket of sockets) {
      socket.on('error', () => {})
      socket.on('close', () => {
        if (++closed === 40) resolve(closed)
      })
    }
  })
  expect(refused).toBe(40)
  for (const socket of sockets) socket.destroy()
}, 30_000)

test('what cannot be understood is answered with what is wrong, and the connection goes on where it can', async () => {
  const faults: unknown[] = []
  const broken: Route = {
    ...{ method: 'GET', path: '/broken' },
    answer: () => {
      throw new Error('a secret of ours')
    },
  }
  const echo: Route = { method: 'POST', path: '/echo', answer: ({ body }) => json(body) }
  const url = await serve([broken, echo], faults)
  expect(await (await post(url, '/echo', '{"a":1}')).json()).toEqual({ a: 1 })
  expect(await (await post(url, '/echo', '')).json()).toEqual({})
  for (const [body, problem] of [
    ['{', 'no JSON'],
    ['[1]', 'no JSON object'],
    ['x'.repeat(70_000), 'more than 65536 bytes'],
  ] as const) {
    const answer = await post(url, '/echo', body)
    expect([answer.status, await answer.json()]).toEqual([
      400,
      { error: { code: 'REQUEST_INVALID', message: expect.stringContaining(problem), hint: expect.any(String) } },
    ])
  }
  const nowhere = await fetch(new URL('/api/../%2e%2e/etc/passwd', url))
  expect([nowhere.status, await nowhere.json()]).toMatchObject([404, { error: { code: 'REQUEST_NOT_FOUND' } }])
  const wrong = await fetch(new URL('/echo', url))
  expect([wrong.status, wrong.headers.get('allow')]).toEqual([405, 'POST'])
  expect((await fetch(new URL('/echo', url), { method: 'DELETE' })).status).toBe(403)
  const failed = await fetch(new URL('/broken', url))
  expect([failed.status, await failed.text()]).toEqual([500, expect.not.stringContaining('secret')])
  expect(faults).toEqual([expect.objectContaining({ message: 'a secret of ours' })])
  expect(Object.fromEntries(failed.headers)).toMatchObject({
    'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
    'x-content-type-options': 'nosniff',
    'cache-control': 'no-store',
    connection: 'keep-alive',
  })
})

test('bytes that are no HTTP, headers without end and other protocols are closed, not waited for', async () => {
  const url = await serve([])
  const host = `Host: ${url.host}\r\n`
  expect(await raw(url, '\x16\x03\x01\x02\x00\x01\x00')).toBe('')
  expect(await raw(url, `GET / HTTP/1.1\r\n${host}X: ${'x'.repeat(20_000)}\r\n\r\n`)).toBe('')
  const upgrade = 'Connection: Upgrade\r\nUpgrade: websocket\r\n'
  expect(await raw(url, `GET / HTTP/1.1\r\n${host}${upgrade}\r\n`)).toBe('')
  expect(await raw(url, 'GET / HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n')).toMatch(/^HTTP\/1.1 403 /)
  // Refused before the body: what follows is no second request.
  const smuggled = `POST /x HTTP/1.1\r\n${host}Content-Length: 100000\r\n\r\nGET / HTTP/1.1\r\n`
  expect((await raw(url, smuggled)).match(/HTTP\/1\.1 \d+/g)).toEqual(['HTTP/1.1 403'])
})

test('at most sixteen changes wait, and whoever hangs up is known to have gone', async () => {
  const goOn = deferred<void>()
  const gone: (() => boolean)[] = []
  const slow: Route = {
    ...{ method: 'POST', path: '/slow' },
    answer: async (request) => {
      gone.push(request.gone)
      await goOn.promise
      return json({})
    },
  }
  const url = await serve([slow])
  const leaving = new AbortController()
  const headers = { 'content-type': 'application/json' }
  const left = fetch(new URL('/slow', url), { method: 'POST', body: '{}', headers, signal: leaving.signal })
  const asked = Array.from({ length: 15 }, () => post(url, '/slow', '{}'))
  while (gone.length < 16) await new Promise((resolve) => setTimeout(resolve, 5))
  const refused = await post(url, '/slow', '{}')
  expect([refused.status, await refused.json()]).toMatchObject([503, { error: { code: 'REQUEST_TOO_MANY' } }])
  expect(gone.some((one) => one())).toBe(false)
  leaving.abort()
  await left.catch(() => {})
  while (!gone.some((one) => one())) await new Promise((resolve) => setTimeout(resolve, 5))
  expect(gone.filter((one) => one())).toHaveLength(1)
  goOn.resolve()
  expect((await Promise.all(asked)).map(({ status }) => status)).toEqual(new Array(15).fill(200))
  expect((await post(url, '/slow', '{}')).status).toBe(200)
})

test('of answers that read much only eight are under way', async () => {
  const goOn = deferred<void>()
  let reading = 0
  const answer = async () => {
    reading++
    await goOn.promise
    return json({})
  }
  const url = await serve([
    { method: 'GET', path: '/much', costly: true, answer },
    { method: 'GET', path: '/little', answer: () => json({}) },
  ])
  const much = () => fetch(new URL('/much', url))
  const asked = Array.from({ length: 8 }, much)
  while (reading < 8) await new Promise((resolve) => setTimeout(resolve, 5))
  const refused = await much()
  expect([refused.status, await refused.json()]).toMatchObject([503, { error: { code: 'REQUEST_TOO_MANY' } }])
  expect((await fetch(new URL('/little', url))).status).toBe(200)
  goOn.resolve()
  expect((await Promise.all(asked)).map(({ status }) => status)).toEqual(new Array(8).fill(200))
  expect((await much()).status).toBe(200)
})

test('a request names one of several pipelines, or pauses all', async () => {
  const [a, b] = [pipelineOf('a').pipeline, pipelineOf('b').pipeline]
  const url = await serve(
    apiRoutes({ version: '1', startedAt: new Date(), pipelines: [a, b], metrics: new Metrics('1') }),
  )
  const paused = async (path: string, body: object) => {
    const answer = await post(url, path, JSON.stringify(body))
    return [answer.status, a.pause.isOn, b.pause.isOn]
  }
  expect(await paused('/api/pause', { pipeline: 'b' })).toEqual([200, false, true])
  expect(await paused('/api/pause', {})).toEqual([200, true, true])
  expect(await paused('/api/resume', { pipeline: 'a' })).toEqual([200, false, true])
  expect(await paused('/api/resume', { pipeline: 'c' })).toEqual([404, false, true])
  expect(await paused('/api/resume', { pipeline: 5 })).toEqual([400, false, true])
  expect((await post(url, '/api/signal', '{"command":"status"}')).status).toBe(400)
  const signalled = await post(url, '/api/signal', '{"pipeline":"b","command":"status"}')
  expect(await signalled.json()).toEqual({ name: 'b', command: 'status' })
  expect(await (await fetch(new URL('/readyz', url))).text()).toBe('1 of 2 pipelines ready\n')
})

test('a page’s files are what its folder has, with nothing from elsewhere allowed to run', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'tailrace-test-'))
  try {
    await mkdir(join(folder, 'parts'))
    await writeFile(join(folder, 'index.html'), '<!doctype html>')
    await writeFile(join(folder, 'parts', 'page.js'), 'let a')
    await writeFile(join(folder, 'notes.txt'), 'of nobody')
    const routes = await pageRoutes(folder)
    expect(routes.map(({ path }) => path).sort()).toEqual(['/', '/index.html', '/parts/page.js'])
    const url = await serve(routes)
    const page = await fetch(url)
    expect([page.status, await page.text()]).toEqual([200, '<!doctype html>'])
    expect(page.headers.get('content-security-policy')).toMatch(/^default-src 'none'; script-src 'self';/)
    expect(page.headers.get('content-security-policy')).not.toMatch(/unsafe|https?:/)
    expect((await fetch(new URL('/parts/page.js', url))).headers.get('content-type')).toMatch(/^text\/javascript/)
    const head = await fetch(url, { method: 'HEAD' })
    expect([head.status, head.headers.get('content-length'), await head.text()]).toEqual([200, '15', ''])
    expect(await pageRoutes(join(folder, 'missing'))).toEqual([])
  } finally {
    await rm(folder, { recursive: true })
  }
})
