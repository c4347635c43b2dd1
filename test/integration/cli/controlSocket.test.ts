import { once } from 'node:events'
import { createConnection, createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { ask } from '../../../src/cli/control/client.js'
import { ControlServer } from '../../../src/cli/control/controlServer.js'
import { MAX_LINE_BYTES } from '../../../src/cli/control/lineReader.js'
import type { SignalRequest } from '../../../src/cli/control/protocol.js'
import { configureLog } from '../../../src/cli/log.js'
import { TABLE_NOT_FOUND } from '../../../src/core/errors.js'
import { ControlledSource } from '../../support/controlledSource.js'
import { type TemporaryFolder, temporaryFolder } from '../../support/temporaryFolder.js'
import { waitFor } from '../../support/waitFor.js'

let folder: TemporaryFolder
let path: string
let server: ControlServer
let source: ControlledSource
let attached: Promise<void>
const clients: Socket[] = []

beforeEach(async () => {
  configureLog({ format: 'text', level: 'error' })
  folder = await temporaryFolder()
  path = join(folder.path, 'run.sock')
  server = (await ControlServer.open({ control: path }))!
  source = new ControlledSource()
  attached = server.attach(source)
})
afterEach(async () => {
  for (const client of clients.splice(0)) client.destroy()
  source.end()
  await server[Symbol.asyncDispose]()
  await folder[Symbol.asyncDispose]()
})

/** A client of the socket that says what the test wants. */
class Raw {
  readonly socket: Socket
  text = ''

  constructor(socket: Socket) {
    this.socket = socket
    socket.setEncoding('utf8').on('data', (chunk: string) => {
      this.text += chunk
    })
    clients.push(socket)
  }

  static async connect(): Promise<Raw> {
    const socket = createConnection(path)
    await once(socket, 'connect')
    return new Raw(socket)
  }

  get answers(): Record<string, unknown>[] {
    const lines = this.text.slice(0, this.text.lastIndexOf('\n') + 1).split('\n')
    return lines.slice(0, -1).map((line) => JSON.parse(line) as Record<string, unknown>)
  }

  /** The types of what came for this id. */
  types(id: unknown): unknown[] {
    return this.answers.filter((answer) => answer.id === id).map(({ type }) => type)
  }

  say(message: object): void {
    this.socket.write(`${JSON.stringify({ version: 1, ...message })}\n`)
  }

  async got(count: number): Promise<Record<string, unknown>[]> {
    await waitFor(() => this.answers.length >= count, { what: `answer ${count}` })
    return this.answers
  }
}

function signal(request: SignalRequest) {
  return ask(request, { places: [{ path, locked: false, explicit: true }], onWaiting: () => {} })
}

/** The error that it is answered with. */
function refusal(request: SignalRequest): Promise<unknown> {
  return signal(request).then(
    () => 'done',
    (error: unknown) => error,
  )
}

async function called(count: number): Promise<string[]> {
  await waitFor(() => source.calls.length >= count, { what: `call ${count}` })
  return source.calls.map(({ call }) => call)
}

/** The socket answers: what was sent to it before has been read. */
async function status() {
  const result = await signal({ command: 'status' })
  if (result.command !== 'status') throw new Error('no status')
  return result.status
}

test('each command reaches the source as it was given, and its result comes back', async () => {
  const added = signal({ command: 'add', tables: 'orders,"Odd, name"' })
  expect(await called(1)).toEqual(['addTables orders,"Odd, name"'])
  source.calls[0]!.end.resolve(['public.orders', 'public."Odd, name"'])
  expect(await added).toEqual({ command: 'add', tables: ['public.orders', 'public."Odd, name"'] })

  const removed = signal({ command: 'remove', tables: 'archive.*' })
  await called(2)
  source.calls[1]!.end.resolve([])
  expect(await removed).toEqual({ command: 'remove', tables: [] })

  const read = signal({ command: 'resnapshot', table: 'orders', where: 'id > 100' })
  expect((await called(3)).slice(1)).toEqual(['removeTables archive.*', 'resnapshot orders {"where":"id > 100"}'])
  source.calls[2]!.end.resolve([])
  expect(await read).toEqual({ command: 'resnapshot', table: 'orders' })
})

test('a re-snapshot that is finished when the source has done it is told with its rows', async () => {
  const before = signal({ command: 'resnapshot', table: 'orders' })
  await called(1)
  source.tell({ type: 'snapshot-table-finished', table: 'public.customers', rows: 5 })
  source.tell({ type: 'snapshot-table-finished', table: 'public.orders', rows: 7 })
  await status()
  source.calls[0]!.end.resolve([])
  expect(await before).toEqual({ command: 'resnapshot', table: 'orders', rows: 7 })
})

test('what the source refuses comes with its code and hint, and the run takes further signals', async () => {
  const refused = refusal({ command: 'add', tables: 'oders' })
  await called(1)
  source.calls[0]!.end.reject(TABLE_NOT_FOUND({ names: ['oders'], nearest: ['public.orders'] }))
  expect(await refused).toMatchObject({ code: 'TABLE_NOT_FOUND', hint: expect.stringContaining('orders') })
  expect((await status()).phase).toBe('starting')
})

test('changes are made one after another; the status is told meanwhile, and another client’s answers are its own', async () => {
  const first = await Raw.connect()
  const second = await Raw.connect()
  first.say({ id: 1, command: 'add', tables: 'a' })
  await called(1)
  second.say({ id: 1, command: 'remove', tables: 'b' })
  second.say({ id: 2, command: 'status' })
  await second.got(3)
  expect(second.types(1)).toEqual(['accepted'])
  expect(second.types(2)).toEqual(['accepted', 'done'])
  expect(source.calls).toHaveLength(1)
  source.calls[0]!.end.resolve(['public.a'])
  expect(await called(2)).toEqual(['addTables a', 'removeTables b'])
  source.calls[1]!.end.resolve(['public.b'])
  expect((await second.got(4)).at(-1)).toEqual({
    version: 1,
    id: 1,
    type: 'done',
    result: { command: 'remove', tables: ['public.b'] },
  })
  expect(first.types(1)).toEqual(['accepted', 'done'])
})

test('while a change takes its time, what the run waits for is told', async () => {
  const client = await Raw.connect()
  client.say({ command: 'add', tables: 'a' })
  await called(1)
  source.tell({ type: 'waiting-for-transactions', seconds: 1, holders: ['pid 7'] })
  const answers = await client.got(2)
  expect(answers[1]).toMatchObject({ type: 'waiting', for: expect.stringContaining('pid 7') })
})

test('fragments and several requests in one piece are read', async () => {
  const client = await Raw.connect()
  for (const byte of '{"version":1,"id":1,"command":"status"}\n') {
    client.socket.write(byte)
    await new Promise((resolve) => setImmediate(resolve))
  }
  client.socket.write('{"version":1,"id":2,"command":"status"}\n\n{"version":1,"id":3,"command":"status"}\n')
  await client.got(6)
  expect([1, 2, 3].map((id) => client.types(id))).toEqual(Array.from({ length: 3 }, () => ['accepted', 'done']))
})

test('bad input is answered, and the same client may go on', async () => {
  const client = await Raw.connect()
  client.socket.write('nonsense\n{"version":1,"id":"x","command":"stauts"}\n{"version":1,"command":"status"}\n')
  const [nonsense, unknown, ...rest] = await client.got(4)
  expect(nonsense).toMatchObject({ type: 'error', error: { code: 'SIGNAL_INVALID' } })
  expect(unknown).toMatchObject({ id: 'x', error: { code: 'SIGNAL_INVALID', hint: 'Did you mean status?' } })
  expect(rest.map(({ type }) => type)).toEqual(['accepted', 'done'])
})

test.each([
  ['a line without end', Buffer.alloc(MAX_LINE_BYTES + 1, 'x')],
  ['bytes that are no text', Buffer.from([0xff, 0xfe, 0x0a])],
])('%s is answered with an error and the end of that connection, and of no other', async (_, bytes) => {
  const client = await Raw.connect()
  client.socket.write(bytes)
  expect((await client.got(1))[0]).toMatchObject({ type: 'error', error: { code: 'SIGNAL_INVALID' } })
  await waitFor(() => client.socket.readableEnded, { what: 'the end of the connection' })
  expect((await status()).phase).toBe('starting')
})

test('a client that goes away in the middle harms nobody: what was begun goes on, what was not is not begun', async () => {
  const [first, second, third] = [await Raw.connect(), await Raw.connect(), await Raw.connect()]
  first.say({ command: 'add', tables: 'a' })
  await called(1)
  second.say({ command: 'add', tables: 'b' })
  await second.got(1)
  third.say({ command: 'add', tables: 'c' })
  await third.got(1)
  first.socket.destroy()
  second.socket.destroy()
  // The server learns it when it says something: every two seconds.
  await third.got(2)
  await status()
  source.calls[0]!.end.resolve(['public.a'])
  expect(await called(2)).toEqual(['addTables a', 'addTables c'])
})

test('a client that has said all closes its side and still gets its answers, then the end', async () => {
  const socket = createConnection({ path, allowHalfOpen: true })
  const client = new Raw(socket)
  socket.end('{"version":1,"command":"add","tables":"a"}\n')
  await called(1)
  source.calls[0]!.end.resolve(['public.a'])
  await waitFor(() => socket.readableEnded, { what: 'the end of the connection' })
  expect(client.answers.map(({ type }) => type)).toEqual(['accepted', 'done'])
})

test('a client may wait for so many answers, and no more', async () => {
  const client = await Raw.connect()
  for (let id = 1; id <= 17; id++) client.say({ id, command: 'add', tables: 'a' })
  await client.got(17)
  expect(client.types(16)).toEqual(['accepted'])
  expect(client.answers.find(({ id }) => id === 17)).toMatchObject({ error: { code: 'SIGNAL_UNAVAILABLE' } })
})

test('more clients than it takes at once are turned away, until others go', async () => {
  const many = await Promise.all(Array.from({ length: 16 }, () => Raw.connect()))
  many.at(-1)!.say({ command: 'status' })
  await many.at(-1)!.got(2)
  expect(await refusal({ command: 'status' })).toMatchObject({ code: 'SIGNAL_UNANSWERED' })
  many[0]!.socket.destroy()
  await waitFor(() => refusal({ command: 'status' }).then((answer) => answer === 'done'), { what: 'an answer' })
})

test('what the source was asked when it ended is answered, and nothing is asked of it any more', async () => {
  const [begun, queued] = [refusal({ command: 'add', tables: 'a' }), refusal({ command: 'remove', tables: 'b' })]
  await called(1)
  await status()
  source.end()
  await attached
  const stopped = { code: 'SIGNAL_UNAVAILABLE', message: expect.stringContaining('before that was done') }
  expect(await begun).toMatchObject(stopped)
  expect(await queued).toMatchObject({ code: 'SIGNAL_UNAVAILABLE' })
  expect(source.calls).toHaveLength(1)
  // The next attempt of the same run.
  source = new ControlledSource()
  attached = server.attach(source)
  const again = signal({ command: 'add', tables: 'a' })
  await called(1)
  source.calls[0]!.end.resolve(['public.a'])
  expect(await again).toEqual({ command: 'add', tables: ['public.a'] })
})

test('the end of the run is told to whoever still waits, also when somebody reads nothing', async () => {
  const deaf = await Raw.connect()
  deaf.socket.pause()
  for (let id = 0; id < 2000; id++) deaf.say({ id: 'x'.repeat(500), command: 'status' })
  const begun = refusal({ command: 'add', tables: 'a' })
  await called(1)
  source.end()
  await attached
  await server[Symbol.asyncDispose]()
  expect(await begun).toMatchObject({ code: 'SIGNAL_UNAVAILABLE' })
  server = (await ControlServer.open({ control: path }))!
})

test('a run that says nothing is not waited for', async () => {
  const silent = createServer(() => {}).listen(join(folder.path, 'silent.sock'))
  await once(silent, 'listening')
  const places = [{ path: join(folder.path, 'silent.sock'), locked: false, explicit: true }]
  const asked = ask({ command: 'status' }, { places, onWaiting: () => {}, silentMs: 200 })
  await expect(asked).rejects.toMatchObject({ code: 'SIGNAL_UNANSWERED', message: expect.stringContaining('0.2 s') })
  silent.close()
})

test.each([
  ['no JSON', 'hello\n'],
  ['another version', '{"version":9,"type":"accepted"}\n'],
  ['nothing, and the end', ''],
])('what answers with %s is no run', async (_, answer) => {
  const other = createServer((socket) => socket.end(answer)).listen(join(folder.path, 'other.sock'))
  await once(other, 'listening')
  const places = [{ path: join(folder.path, 'other.sock'), locked: false, explicit: true }]
  await expect(ask({ command: 'status' }, { places, onWaiting: () => {} })).rejects.toMatchObject({
    code: 'SIGNAL_UNANSWERED',
  })
  other.close()
})
