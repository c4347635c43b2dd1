import { once } from 'node:events'
import type { RequestListener } from 'node:http'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { fileURLToPath } from 'node:url'
import { beforeAll, expect, test } from 'vitest'
import { WebSocketServer } from 'ws'
import { loadGrammar } from '../../../src/processors/sql/grammar.js'
import type { Sink } from '../../../src/sinks/sink.js'
import { webhookSinkType } from '../../../src/sinks/webhook/webhookSinkType.js'
import { websocketSinkType } from '../../../src/sinks/websocket/websocketSinkType.js'
import { ContractBatches } from '../../../src/testing/contractBatches.js'
import { batchOf, chainOf, recordsOf, tableOf } from '../../support/processing.js'
import { BatchBuilder } from '../../support/rowBatches.js'
import { makeSink } from '../../support/sinkSettings.js'
import { serverTls, testCa } from '../../support/tls.js'
import { waitFor } from '../../support/waitFor.js'
import { freePort, Keeper, PersistentReader } from '../../support/websocketPeers.js'

beforeAll(() => loadGrammar())

const fileOf = (name: string) => fileURLToPath(new URL(`../../support/tls/${name}`, import.meta.url))
const CA = fileOf('ca.crt')
const OTHER_CA = fileOf('other-ca.crt')
/** Loopback, too, and no name of the certificate. */
const OTHER_HOST = '127.0.0.2'

/** For localhost and 127.0.0.1, by an authority of its own. */
async function secureServer(answer: RequestListener = () => {}) {
  const server = createServer(serverTls, answer).listen(0, '0.0.0.0')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const close = async () => {
    server.closeAllConnections()
    server.close()
    await once(server, 'close')
  }
  return { server, port, at: (host: string) => `${host}:${port}`, [Symbol.asyncDispose]: close }
}

/** Of a sink that is given some records: what it fails with, or undefined. */
async function failureOf(sink: Sink): Promise<unknown> {
  try {
    await sink.open(undefined)
    await sink.write(new ContractBatches().transaction(5).batch)
    await sink.flush({ end: true })
    return undefined
  } catch (error) {
    return error
  } finally {
    await sink.close()
  }
}

const unknown = { code: 'TLS_UNTRUSTED', retry: 'operator', hint: expect.stringContaining('tls_ca of the sink') }
const misnamed = {
  ...{
    code: 'TLS_UNTRUSTED',
    retry: 'operator',
    hint: expect.stringContaining('a name that stands in the certificate'),
  },
  message: expect.stringContaining(OTHER_HOST),
}

test('webhook: an authority of the user’s own is trusted by tls_ca alone, and the host’s name is looked at', async () => {
  let requests = 0
  await using secure = await secureServer((request, response) => {
    request.resume().once('end', () => {
      requests++
      response.writeHead(204).end()
    })
  })
  const failure = (more: object, host = '127.0.0.1') =>
    failureOf(makeSink(webhookSinkType, { url: `https://${secure.at(host)}/hook/5ecret`, retryMs: 60_000, ...more }))
  expect(await failure({})).toMatchObject({
    ...unknown,
    message: expect.stringContaining(
      `the certificate of https://127.0.0.1:${secure.port}/*** is not accepted: unable to`,
    ),
  })
  expect(await failure({ tlsCa: OTHER_CA })).toMatchObject(unknown)
  expect(await failure({ tlsCa: CA }, OTHER_HOST)).toMatchObject(misnamed)
  expect(requests).toBe(0)
  expect(await failure({ tlsCa: CA })).toBeUndefined()
  expect(await failure({ tlsCa: CA }, 'localhost')).toBeUndefined()
  expect(await failure({ tlsInsecure: true }, OTHER_HOST)).toBeUndefined()
  expect(requests).toBe(15)
  expect(await failure({ tlsCa: fileOf('server.key') })).toMatchObject({
    code: 'TLS_FILE_UNREADABLE',
    message: expect.stringContaining('(tls_ca): it has no certificate in PEM'),
  })
})

test('websocket, to a peer: the same', async () => {
  await using secure = await secureServer()
  const keeper = new Keeper()
  const sockets = new WebSocketServer({ server: secure.server })
  sockets.on('connection', (socket) => keeper.hear(socket))
  const failure = (more: object, host = '127.0.0.1') =>
    failureOf(makeSink(websocketSinkType, { url: `wss://${secure.at(host)}/`, ...more }))
  expect(await failure({})).toMatchObject(unknown)
  expect(await failure({ tlsCa: OTHER_CA })).toMatchObject(unknown)
  expect(await failure({ tlsCa: CA }, OTHER_HOST)).toMatchObject(misnamed)
  expect(keeper.records).toEqual([])
  expect(await failure({ tlsCa: CA })).toBeUndefined()
  expect(keeper.records).toHaveLength(5)
})

test('websocket, where readers connect to: with tls_cert and tls_key by wss alone', async () => {
  const port = await freePort()
  const settings = { listen: `127.0.0.1:${port}`, tlsCert: fileOf('server.crt'), tlsKey: fileOf('server.key') }
  const sink = makeSink(websocketSinkType, settings)
  await sink.open(undefined)
  try {
    await using plain = new PersistentReader(`ws://127.0.0.1:${port}/`)
    await using reader = new PersistentReader(`wss://127.0.0.1:${port}/`, { ca: testCa })
    await sink.write(new ContractBatches().transaction(5).batch)
    await sink.flush({ end: false })
    await waitFor(() => reader.keeper.records.length === 5, { what: 'its records' })
    expect(plain.keeper.hellos).toEqual([])
  } finally {
    await sink.close()
  }
  expect(await failureOf(makeSink(websocketSinkType, { ...settings, tlsKey: fileOf('client.key') }))).toMatchObject({
    code: 'TLS_FILE_UNREADABLE',
  })
})

test('processors that ask a server: the same, said in the failure of the record', async () => {
  await using secure = await secureServer((_, response) => response.end('{"city": "Ulm"}'))
  const orders = tableOf('orders', ['id int4'])
  const asked = async (more: string, host = '127.0.0.1') => {
    const { whole } = chainOf(
      `  - {type: http, endpoint: "https://${secure.at(host)}/{id}", columns: {city: city}, retries: 0${more}}`,
    )
    try {
      return recordsOf(await whole.process(batchOf(new BatchBuilder([orders]).create(['1']).batch)))
    } catch (error) {
      return (error as Error).message
    } finally {
      await whole.close()
    }
  }
  expect(await asked('')).toMatch(
    /cannot be reached: UNABLE_TO_\w+\. Name the file .*: tls_ca of the sink or processor/,
  )
  expect(await asked(`, tls_ca: ${CA}`, OTHER_HOST)).toMatch(/ERR_TLS_CERT_ALTNAME_INVALID/)
  expect(await asked(`, tls_ca: ${CA}`)).toMatchObject([{ after: { id: 1, city: 'Ulm' } }])
  expect(() => chainOf('  - {type: http, endpoint: "https://a/", tls_ca: /none.pem}')).toThrow('cannot read /none.pem')
})
