import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, test } from 'vitest'
import type { WebSocket } from 'ws'
import { parsePipeline } from '../../../src/homes/pipeline/config/pipelineConfig.js'
import type { Sink, SinkEvent } from '../../../src/sinks/sink.js'
import { websocketSinkType } from '../../../src/sinks/websocket/websocketSinkType.js'
import { type ContractBatch, ContractBatches } from '../../../src/testing/contractBatches.js'
import { makeSink } from '../../support/sinkSettings.js'
import { waitFor } from '../../support/waitFor.js'
import { connect, freePort, Keeper, Peer, PersistentReader } from '../../support/websocketPeers.js'

const TOKEN = 'a-token-that-is-long'

/** Opened, with these settings; closed at the end of the scope. */
async function opened(settings: object, tell?: (event: SinkEvent) => void): Promise<{ sink: Sink } & AsyncDisposable> {
  const sink = makeSink(websocketSinkType, settings)
  if (tell !== undefined) sink.listen!(tell)
  await sink.open(undefined)
  return { sink, [Symbol.asyncDispose]: () => sink.close() }
}

async function write(sink: Sink, ...batches: readonly ContractBatch[]): Promise<void> {
  for (const { batch } of batches) await sink.write(batch)
}

const some = () => new ContractBatches().transaction(50)
const idsOf = ({ batch }: ContractBatch) => [...batch].map(({ id }) => id)
const idsAt = ({ records }: Keeper) => records.map(({ id }) => id)

test('the peer hears who it is, gets headers, and what it has not acknowledged comes again with the same ids', async () => {
  await using peer = await Peer.start()
  await using client = await opened({ url: peer.url, headers: { authorization: 'Bearer x' }, frameBytes: 1024 })
  const { sink } = client
  const batch = some()
  peer.keeper.acknowledges = false
  await write(sink, batch)
  await waitFor(() => peer.keeper.records.length === 50, { what: 'all records' })
  expect(peer.requests[0]!.headers.authorization).toBe('Bearer x')
  expect(peer.keeper.hellos).toEqual([{ type: 'hello', protocol: 1, pipeline: 'contract', sink: 'one' }])
  expect(peer.keeper.frames.map(({ id }) => id)).toEqual(peer.keeper.frames.map((_, index) => index + 1))
  const flushing = sink.flush({ end: false })
  const lost = expect(flushing).rejects.toMatchObject({ code: 'WEBSOCKET_CLOSED', retry: 'later' })
  peer.cut()
  await lost
  expect(sink.dueAt!()).toBe(0)
  await sink.close()
  peer.keeper.acknowledges = true
  await sink.open(null)
  await write(sink, batch)
  expect(await sink.flush({ end: true })).toBeNull()
  expect(idsAt(peer.keeper)).toEqual([...idsOf(batch), ...idsOf(batch)])
})

test('no more is under way than the window, and each frame has what it may', async () => {
  await using peer = await Peer.start()
  await using client = await opened({ url: peer.url, windowBytes: 65_536, frameBytes: 4096 })
  peer.keeper.acknowledges = false
  const writing = write(client.sink, new ContractBatches().transaction(300, 1000))
  await waitFor(() => peer.keeper.frames.length >= 15, { what: 'a full window' })
  const held = peer.keeper.frames.reduce((sum, { bytes }) => sum + bytes, 0)
  expect(held).toBeGreaterThan(56_000)
  expect(held).toBeLessThanOrEqual(65_536)
  expect(Math.max(...peer.keeper.frames.map(({ bytes }) => bytes))).toBeLessThan(4096 + 100)
  peer.keeper.acknowledges = true
  for (const socket of peer.sockets) socket.send(JSON.stringify({ type: 'ack', id: peer.keeper.frames.at(-1)!.id }))
  await writing
  await client.sink.flush({ end: true })
  expect(peer.keeper.records).toHaveLength(300)
})

/** As Blink documents it, without anything of ours. */
const BLINK = (url: string) => `service: {pipeline_id: 1}
source:
  driver: postgres_cdc
  config: {host: db, port: 5432, database: shop, user: app, password: secret, schema: public, slot_name: x}
  stream_schema:
    - {stream: contract, columns: [{name: note, databrewType: String, nativeConnectorType: text}]}
sink: {driver: websocket, config: {url: "${url}"}}
`

test('a file of Blink’s sends each record in a frame of its own, and waits for nobody', async () => {
  await using peer = await Peer.start()
  const [config] = parsePipeline('/etc/blink.yaml', BLINK(peer.url), {}).sinks
  const sink = config!.create()
  await sink.open(undefined)
  await write(sink, new ContractBatches().notes(['a', 'b']))
  await sink.flush({ end: true })
  await sink.close()
  await waitFor(() => peer.keeper.binary.length === 2, { what: 'both records' })
  expect(peer.keeper.binary.map((text) => JSON.parse(text)[0].note)).toEqual(['a', 'b'])
  expect(peer.keeper.hellos).toEqual([])
})

test.each<[string, (socket: WebSocket) => void, object]>([
  [
    'says why it closes',
    (socket) => socket.close(4000, 'disk full'),
    { code: 'WEBSOCKET_CLOSED', message: expect.stringContaining('code 4000 (disk full)') },
  ],
  [
    'acknowledges what was never sent',
    (socket) => socket.send('{"type":"ack","id":99}'),
    { code: 'WEBSOCKET_PEER_INVALID', retry: 'operator' },
  ],
  ['sends what is no frame', (socket) => socket.send('ok'), { code: 'WEBSOCKET_PEER_INVALID' }],
  ['sends without end', (socket) => socket.send('x'.repeat(100_000)), { code: 'WEBSOCKET_CLOSED' }],
  [
    'says nothing',
    () => {},
    { code: 'WEBSOCKET_SILENT', retry: 'later', message: expect.stringContaining('no ack for 200 ms') },
  ],
])('a peer that %s', async (_, act, error) => {
  await using peer = await Peer.start()
  peer.keeper.acknowledges = false
  await using client = await opened({ url: peer.url, ackTimeoutMs: 200 })
  await write(client.sink, some())
  for (const socket of peer.sockets) act(socket)
  await expect(client.sink.flush({ end: false })).rejects.toMatchObject(error)
})

test('why nobody can be connected to is told without what the URL keeps secret', async () => {
  const port = await freePort()
  const url = `ws://u:c0rrect@127.0.0.1:${port}/feed-5ecret?token=5ecret`
  const failure = async (given: string) =>
    makeSink(websocketSinkType, { url: given })
      .open(undefined)
      .catch((error) => error)
  const refused = await failure(url)
  expect(refused).toMatchObject({ code: 'WEBSOCKET_UNREACHABLE', retry: 'later' })
  expect(`${refused.message}${JSON.stringify(refused.details)}`).not.toMatch(/c0rrect|5ecret/)
  let status = 401
  const server = createServer()
    .on('upgrade', (_, socket) => socket.end(`HTTP/1.1 ${status} x\r\n\r\n`))
    .listen(0, '127.0.0.1')
  await once(server, 'listening')
  const answering = `ws://127.0.0.1:${(server.address() as AddressInfo).port}`
  expect(await failure(answering)).toMatchObject({
    code: 'WEBSOCKET_REFUSED',
    hint: expect.stringContaining('authorization'),
  })
  status = 503
  expect(await failure(answering)).toMatchObject({ code: 'WEBSOCKET_UNREACHABLE', retry: 'later' })
  server.close()
})

test('readers: what one has is durable, what none has is kept for who joins, and who is slow is cut off with a reason', async () => {
  const port = await freePort()
  const url = `ws://127.0.0.1:${port}/`
  const notices: string[] = []
  const settings = { listen: `127.0.0.1:${port}`, readerBytes: 65_536, windowBytes: 65_536, frameBytes: 4096 }
  await using listening = await opened(settings, (event) => notices.push((event as { message: string }).message))
  const { sink } = listening
  const batch = some()
  await write(sink, batch)
  const flushing = sink.flush({ end: false })
  await using first = new PersistentReader(url)
  await flushing
  expect(idsAt(first.keeper)).toEqual(idsOf(batch))
  // From when it joins: nothing of what is safe already.
  const lazy = (await connect(`${url}?reader=lazy`)) as WebSocket
  const kept = new Keeper()
  kept.acknowledges = false
  kept.hear(lazy)
  const closed = once(lazy, 'close')
  await write(sink, new ContractBatches().transaction(300, 1000))
  await sink.flush({ end: false })
  const [code, reason] = await closed
  expect([code, String(reason)]).toEqual([4008, expect.stringMatching(/^too slow: \d+ bytes are not acknowledged$/)])
  expect(kept.frames.reduce((sum, { bytes }) => sum + bytes, 0)).toBeLessThanOrEqual(65_536)
  expect(first.keeper.records).toHaveLength(350)
  expect(notices).toEqual([expect.stringMatching(/^the reader lazy is cut off: too slow/)])
  await sink.close()
  await waitFor(() => first.closes.length > 0, { what: 'the reader to be told' })
  expect(first.closes[0]).toEqual({ code: 1001, reason: 'the sink is closed' })
})

test('two readers that are needed have to have it both, each counted once by its name', async () => {
  const port = await freePort()
  const url = `ws://127.0.0.1:${port}/`
  await using listening = await opened({ listen: `127.0.0.1:${port}`, readers: 2, maxReaders: 2, ackTimeoutMs: 100 })
  const batch = some()
  await write(listening.sink, batch)
  let durable = false
  const flushing = listening.sink.flush({ end: false }).then(() => {
    durable = true
  })
  await using a = new PersistentReader(`${url}?reader=a`)
  await waitFor(() => a.keeper.records.length === 50, { what: 'the first reader' })
  // The same one once more takes the place of the other.
  const again = (await connect(`${url}?reader=a`)) as WebSocket
  await waitFor(() => a.closes.length > 0, { what: 'the one that was replaced' })
  expect(a.closes[0]).toMatchObject({ code: 4009 })
  again.terminate()
  expect(await connect(url)).toBe(400)
  expect(durable).toBe(false)
  // Who takes records and says nothing is cut off, too.
  const silent = (await connect(`${url}?reader=b`)) as WebSocket
  const [code, reason] = await once(silent, 'close')
  expect([code, String(reason)]).toEqual([4008, 'too slow: no ack for 100 ms'])
  await using b = new PersistentReader(`${url}?reader=b`)
  await flushing
  expect(idsAt(b.keeper)).toEqual(idsOf(batch))
  await waitFor(() => a.socket?.readyState === 1, { what: 'the first reader to be back' })
  expect(await connect(`${url}?reader=c`)).toBe(503)
})

test('who has not the token is not let in, and a port that somebody has is told', async () => {
  const port = await freePort()
  const url = `ws://127.0.0.1:${port}/`
  await using listening = await opened({ listen: `127.0.0.1:${port}`, token: TOKEN })
  expect(await connect(url)).toBe(401)
  const reader = (await connect(url, { headers: { authorization: `Bearer ${TOKEN}` } })) as WebSocket
  expect(reader.readyState).toBe(reader.OPEN)
  expect((await fetch(url.replace('ws', 'http'))).status).toBe(426)
  const other = makeSink(websocketSinkType, { listen: `127.0.0.1:${port}` })
  await expect(other.open(undefined)).rejects.toMatchObject({ code: 'WEBSOCKET_LISTEN_FAILED' })
  await other.close()
  await listening.sink.close()
})

test('closed while acknowledgements are waited for nothing of that is durable', async () => {
  await using peer = await Peer.start()
  peer.keeper.acknowledges = false
  for (const settings of [{ url: peer.url }, { listen: `127.0.0.1:${await freePort()}` }]) {
    await using one = await opened(settings)
    await write(one.sink, some())
    const flushing = expect(one.sink.flush({ end: true })).rejects.toThrow('the sink was closed')
    await one.sink.close()
    await flushing
  }
})
