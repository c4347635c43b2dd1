import { Client, credentials, type ServiceError } from '@grpc/grpc-js'
import { afterEach, describe, expect, test } from 'vitest'
import { deferred } from '../../../../src/core/deferred.js'
import { FrameReader, frameHead } from '../../../../src/homes/conduit/plugin/grpc/frames.js'
import { GrpcClient } from '../../../../src/homes/conduit/plugin/grpc/grpcClient.js'
import { GrpcServer } from '../../../../src/homes/conduit/plugin/grpc/grpcServer.js'
import type { StreamCall } from '../../../../src/homes/conduit/plugin/grpc/streamCall.js'

const bytes = (value: Buffer) => value
const METHOD = { path: '/test.Echo/Call', requestDeserialize: bytes, responseSerialize: bytes }
const STREAM = { path: '/test.Echo/Stream' }

describe('frames', () => {
  const messages = ['', 'a', 'two words', 'x'.repeat(300), '', 'end'].map((text) => Buffer.from(text))
  const wire = Buffer.concat(messages.flatMap((message) => [frameHead(message.length), message]))

  function read(chunks: readonly Buffer[], maxBytes = 1000): string[] {
    const came: string[] = []
    const reader = new FrameReader(maxBytes, (bytes, start, end) => came.push(bytes.toString('latin1', start, end)))
    for (const chunk of chunks) reader.push(chunk)
    return came
  }

  test('are the same however they are cut: whole, at every place, byte by byte', () => {
    const expected = messages.map(String)
    expect(read([wire])).toEqual(expected)
    expect(read([...wire].map((byte) => Buffer.from([byte])))).toEqual(expected)
    for (let cut = 0; cut <= wire.length; cut++) {
      expect(read([wire.subarray(0, cut), wire.subarray(cut)])).toEqual(expected)
    }
    for (let size = 2; size < 20; size++) {
      const count = Math.ceil(wire.length / size)
      const chunks = Array.from({ length: count }, (_, i) => wire.subarray(i * size, (i + 1) * size))
      expect(read(chunks)).toEqual(expected)
    }
  })

  test('that are read at once lie where the one before the last lay, whole until the next but one comes', () => {
    const text = (index: number) => String.fromCharCode(97 + index).repeat(200 + 50 * (index % 3))
    const came: { bytes: Buffer; start: number; end: number }[] = []
    const reader = new FrameReader(1000, (bytes, start, end) => came.push({ bytes, start, end }), true)
    for (let index = 0; index < 9; index++) {
      const message = Buffer.from(text(index))
      reader.push(frameHead(message.length))
      reader.push(message.subarray(0, 100))
      // The one before is whole still, though this one has begun.
      const before = came.at(-1)
      if (before !== undefined) {
        expect(before.bytes.toString('latin1', before.start, before.end)).toBe(text(index - 1))
      }
      reader.push(message.subarray(100))
    }
    expect(came).toHaveLength(9)
    expect(new Set(came.slice(3).map(({ bytes }) => bytes.buffer)).size).toBe(2)
  })

  test('that are too long or compressed are refused before they are there', () => {
    expect(() => read([frameHead(1001)])).toThrow(/1001 bytes is larger than the 1000/)
    expect(read([frameHead(1000)])).toEqual([])
    expect(() => read([Buffer.from([1, 0, 0, 0, 1])])).toThrow(/compressed/)
    expect(() => read([Buffer.from([1]), Buffer.from([0, 0, 0, 1])])).toThrow(/compressed/)
  })
})

describe('a server', () => {
  const servers: GrpcServer[] = []
  const clients: Client[] = []
  afterEach(() => {
    for (const client of clients.splice(0)) client.close()
    for (const server of servers.splice(0)) server.close()
  })

  async function serve(add: (server: GrpcServer) => void) {
    const calls = { count: 0 }
    const server = new GrpcServer({
      maxReceiveBytes: 100_000,
      describe: (error) => `described: ${(error as Error).message}`,
      onCall: () => calls.count++,
    })
    servers.push(server)
    add(server)
    const port = await server.listen({ host: '127.0.0.1', port: 0 })
    const unlimited = { 'grpc.max_receive_message_length': -1, 'grpc.max_send_message_length': -1 }
    const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure(), unlimited)
    clients.push(client)
    const call = (message: Buffer, path = METHOD.path) =>
      new Promise<Buffer>((resolve, reject) => {
        client.makeUnaryRequest(path, bytes, bytes, message, (error, response) => {
          if (error) reject(error)
          else resolve(response!)
        })
      })
    return { server, client, call, calls }
  }

  test('answers a library’s client, with messages of any length', async () => {
    const { call, calls } = await serve((server) => server.unary(METHOD, async (request) => request))
    for (const length of [0, 1, 16_384, 100_000]) expect((await call(Buffer.alloc(length, 7))).length).toBe(length)
    expect(calls.count).toBe(4)
  })

  test('gives errors as statuses, with all of their text', async () => {
    const text = 'line one\nß 雪 100% "x": a,b;c \u0000 \ud800'
    const { call } = await serve((server) =>
      server.unary(METHOD, () => {
        throw new Error(text)
      }),
    )
    const failure = (promise: Promise<unknown>) =>
      promise.then(
        () => undefined,
        (error: ServiceError) => error,
      )
    expect(await failure(call(Buffer.alloc(0)))).toMatchObject({
      code: 2,
      details: `described: ${text.replace('\ud800', '\ufffd')}`,
    })
    expect(await failure(call(Buffer.alloc(0), '/test.Echo/Nothing'))).toMatchObject({
      code: 12,
      details: 'there is no method /test.Echo/Nothing',
    })
    expect(await failure(call(Buffer.alloc(100_001)))).toMatchObject({ code: 8 })
  })

  test('has messages of a stream go both ways, tells when it was cancelled, and ends it with an error', async () => {
    const cancelled = deferred<void>()
    const failed = deferred<unknown>()
    let call: StreamCall
    const { client } = await serve((server) =>
      server.stream(STREAM, (begun) => {
        call = begun
        return {
          onMessage: (all, start, end) => {
            if (all[start] === 0x21) throw new Error('no such message')
            begun.write(Buffer.from(all.subarray(start, end)))
          },
          onCancelled: cancelled.resolve,
          onFailed: failed.resolve,
        }
      }),
    )
    const stream = client.makeBidiStreamRequest(STREAM.path, bytes, bytes)
    const came: string[] = []
    const all = deferred<void>()
    stream.on('data', (message: Buffer) => {
      came.push(message.toString())
      if (came.length === 1000) all.resolve()
    })
    stream.on('error', () => {})
    const sent = Array.from({ length: 1000 }, (_, i) => `message ${i}`)
    for (const message of sent) stream.write(Buffer.from(message))
    await all.promise
    expect(came).toEqual(sent)
    stream.cancel()
    await cancelled.promise
    // Nobody takes it: nothing waits, and nothing fails.
    expect(call!.write(Buffer.from('late'))).toBe(true)
    await call!.drained()

    const other = client.makeBidiStreamRequest(STREAM.path, bytes, bytes)
    const status = new Promise<ServiceError>((resolve) => other.on('error', resolve as never))
    other.on('data', () => {})
    other.write(Buffer.from('!'))
    expect(await status).toMatchObject({ code: 2, details: 'described: no such message' })
    expect(await failed.promise).toMatchObject({ message: 'no such message' })
  })

  test('a stream that is paused keeps what comes, within its window, and hands all of it on in order', async () => {
    const [SIZE, COUNT] = [30_000, 500]
    const begun = deferred<StreamCall>()
    const came: number[] = []
    const { client } = await serve((server) =>
      server.stream(STREAM, (call) => {
        begun.resolve(call)
        return {
          onMessage: (all, start, end) => {
            expect(end - start).toBe(SIZE)
            came.push(all.readUInt32BE(start))
            if (came.length % 100 === 0) call.pause()
          },
          onCancelled: () => {},
          onFailed: () => {},
        }
      }),
    )
    const stream = client.makeBidiStreamRequest(STREAM.path, bytes, bytes)
    stream.on('error', () => {})
    let taken = 0
    for (let i = 0; i < COUNT; i++) {
      const message = Buffer.alloc(SIZE)
      message.writeUInt32BE(i)
      stream.write(message, () => taken++)
    }
    const call = await begun.promise
    for (let hundred = 1; hundred <= COUNT / 100; hundred++) {
      await expect.poll(() => came.length).toBeGreaterThanOrEqual(100 * hundred)
      if (hundred === 1) {
        for (let i = 0; i < 100; i++) await new Promise((resolve) => setImmediate(resolve))
        // 15 MB fit into no window: what is not asked for stays with who sends it.
        expect(taken).toBeLessThan(COUNT / 2)
        expect(came.length).toBeLessThan(200)
      }
      call.resume()
    }
    await expect.poll(() => came.length).toBe(COUNT)
    expect(came).toEqual(Array.from({ length: COUNT }, (_, i) => i))
    stream.cancel()
  })

  test('a stream whose reader is slow says so, and when more can be written; one that cannot begin has an error', async () => {
    const begun = deferred<StreamCall>()
    const nothing = () => {}
    const listener = { onMessage: nothing, onCancelled: nothing, onFailed: nothing }
    const { client } = await serve((server) => {
      server.stream(STREAM, (call) => {
        begun.resolve(call)
        return listener
      })
      server.stream({ path: '/test.Echo/Refused' }, () => {
        throw new Error('not now')
      })
    })
    const stream = client.makeBidiStreamRequest(STREAM.path, bytes, bytes)
    stream.on('error', () => {})
    const call = await begun.promise
    const message = Buffer.alloc(1024 * 1024)
    let written = 1
    while (call.write(message)) written++
    let drained = false
    const draining = call.drained().then(() => {
      drained = true
    })
    let read = 0
    // Everything that was written fits into no window: it is drained by reading alone.
    for (let i = 0; i < 40 && call.write(message); i++) written++
    for (let i = 0; i < 40; i++, written++) call.write(message)
    expect(drained).toBe(false)
    const all = deferred<void>()
    stream.on('data', (one: Buffer) => {
      read += one.length
      if (read === written * message.length) all.resolve()
    })
    await all.promise
    await draining
    stream.cancel()

    const refused = client.makeBidiStreamRequest('/test.Echo/Refused', bytes, bytes)
    const status = new Promise<ServiceError>((resolve) => refused.on('error', resolve as never))
    refused.on('data', () => {})
    expect(await status).toMatchObject({ code: 2, details: 'described: not now' })
  })
})

test('memory of a message can be written over once it is said to be done, and not before, however slow the reader is', async () => {
  const begun = deferred<StreamCall>()
  const server = new GrpcServer({ maxReceiveBytes: 1000, describe: String, onCall: () => {} })
  const nothing = () => {}
  server.stream(STREAM, (call) => {
    begun.resolve(call)
    return { onMessage: nothing, onCancelled: nothing, onFailed: nothing }
  })
  const port = await server.listen({ host: '127.0.0.1', port: 0 })
  const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure(), {
    'grpc.max_receive_message_length': -1,
  })
  const stream = client.makeBidiStreamRequest(STREAM.path, bytes, bytes)
  stream.on('error', () => {})
  const call = await begun.promise
  const count = 60
  let done = 0
  for (let i = 0; i < count; i++) {
    const message = Buffer.alloc(300_000, i)
    call.write(message, () => {
      done++
      message.fill(255)
    })
  }
  expect(done).toBeLessThan(count)
  const came: number[] = []
  const all = deferred<void>()
  stream.on('data', (message: Buffer) => {
    expect(message.equals(Buffer.alloc(300_000, came.length))).toBe(true)
    came.push(message[0]!)
    if (came.length === count) all.resolve()
  })
  await all.promise
  await call.drained()
  await expect.poll(() => done).toBe(count)
  stream.cancel()
  client.close()
  server.close()
})

test('a client has answers, statuses with their text, a limit of time, and a new connection where the old one is gone', async () => {
  const method = { ...METHOD, requestSerialize: bytes, responseDeserialize: bytes }
  const serve = (port: number) => {
    const server = new GrpcServer({ maxReceiveBytes: 1000, describe: (error) => String(error), onCall: () => {} })
    server.unary(METHOD, (request) => {
      if (request.toString() === 'wait') return new Promise<Buffer>(() => {})
      if (request.toString() === 'fail') throw new Error('ß\n100%')
      return request
    })
    return server.listen({ host: '127.0.0.1', port }).then((bound) => ({ server, port: bound }))
  }
  const { server, port } = await serve(0)
  const client = new GrpcClient(`localhost:${port}`)
  const call = (text: string, { path = METHOD.path, deadlineMs = 5000 } = {}) =>
    client.call({ ...method, path }, Buffer.from(text), { metadata: { 'x-token': 'a' }, deadlineMs }).then(String)
  expect(await Promise.all(['', 'a', 'x'.repeat(1000)].map((text) => call(text)))).toEqual(['', 'a', 'x'.repeat(1000)])
  await expect(call('fail')).rejects.toMatchObject({ status: 2, message: 'Error: ß\n100%' })
  await expect(call('', { path: '/test.Echo/Nothing' })).rejects.toMatchObject({ status: 12 })
  await expect(call('wait', { deadlineMs: 50 })).rejects.toMatchObject({ status: 4 })
  const waiting = call('wait')
  waiting.catch(() => {})
  await call('a')
  server.close()
  await expect(waiting).rejects.toMatchObject({ status: 14 })
  await expect(call('a')).rejects.toMatchObject({ status: 14, message: expect.stringMatching(/ECONNREFUSED/) })
  const again = await serve(port)
  expect(await call('back')).toBe('back')
  client.close()
  again.server.close()
})
