import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { connect, createServer } from 'node:http2'
import { connect as connectSocket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { cpuOf, peakRssOf } from '../machine.mjs'
import { entries, Frames, framed, message, walk } from './wire.mjs'

const COOKIE = '204e8e812c3a1bb73b838928c575b42a105dd2e9aa449be481bc4590486df53f'
const TOKEN = 'token'
/** As Go's client has it with go-plugin, which adapts its windows to what is sent. */
const WINDOW_BYTES = 16 * 1024 * 1024

/** Starts the executable, and calls it over plain HTTP/2. */
export class Plugin {
  /** Texts of each subject, its versions. */
  schemas
  #child
  #session
  #folder
  #schemas

  /** `known`: schemas that were registered before, as `schemas` of another one gives them. */
  static async launch(file, known = []) {
    const plugin = new Plugin()
    plugin.schemas = new Map(known.map(([subject, texts]) => [subject, texts.map((one) => Buffer.from(one, 'base64'))]))
    plugin.#schemas = await startSchemas(plugin.schemas)
    // Node's HTTP/2 reads nothing while a write is under way. Where both sides are Node's, 200 kB of a Unix socket are soon full
    // of acks and of records, and both wait for ever; TCP takes megabytes. A path that no socket can have leads there.
    plugin.#folder = mkdtempSync(join(tmpdir(), 'tailrace-bench-'))
    const TMPDIR = join(plugin.#folder, 'x'.repeat(100))
    mkdirSync(TMPDIR)
    plugin.#child = spawn(file, [], {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: {
        ...process.env,
        TMPDIR,
        CONDUIT_PLUGIN_MAGIC_COOKIE: COOKIE,
        PLUGIN_PROTOCOL_VERSIONS: '1,2',
        CONDUIT_CONNECTOR_UTILITIES_GRPC_TARGET: `127.0.0.1:${plugin.#schemas.address().port}`,
        CONDUIT_CONNECTOR_TOKEN: TOKEN,
        CONDUIT_CONNECTOR_ID: 'bench:connector',
        CONDUIT_CONNECTOR_LOG_LEVEL: 'warn',
        CONDUIT_CONNECTOR_MAX_RECEIVE_RECORD_SIZE: '4194304',
      },
    })
    const [line] = await once(plugin.#child.stdout.setEncoding('utf8'), 'data')
    const [, , network, address] = line.trim().split('|')
    const [host, port] = address.split(':')
    plugin.#session = connect('http://unused', {
      createConnection: () => (network === 'unix' ? connectSocket(address) : connectSocket(Number(port), host)),
      settings: { initialWindowSize: WINDOW_BYTES },
      maxSessionMemory: 1000,
    })
    await once(plugin.#session, 'connect')
    plugin.#session.setLocalWindowSize(WINDOW_BYTES)
    // At its end the plugin cuts it; calls under way fail by themselves.
    plugin.#session.on('error', () => {})
    return plugin
  }

  /** What the plugin has used until now. */
  get usage() {
    return { pluginCpu: cpuOf(this.#child.pid).own, pluginRss: peakRssOf(this.#child.pid) }
  }

  configure(service, settings) {
    return this.call(`/connector.v2.${service}/Configure`, message(...entries(1, settings)))
  }

  /** A unary call; rejects with the text of the status. */
  call(path, request) {
    return new Promise((resolve, reject) => {
      let response
      const stream = this.stream(path, {
        message: (bytes) => {
          response = bytes
        },
        failed: reject,
        ended: () => resolve(response),
      })
      stream.end(framed(request))
    })
  }

  /** A stream to write frames to; `message` gets those that come. */
  stream(path, { message: each, failed, ended = () => {} }) {
    const stream = this.#session.request({
      ':method': 'POST',
      ':path': path,
      'content-type': 'application/grpc',
      te: 'trailers',
    })
    const frames = new Frames(each)
    const judge = (headers) => {
      const status = headers['grpc-status']
      if (status === undefined) return
      if (status === '0') ended()
      else failed(new Error(decodeURIComponent(headers['grpc-message'] ?? `status ${status}`)))
    }
    stream.on('response', judge)
    stream.on('trailers', judge)
    stream.on('data', (chunk) => frames.push(chunk))
    stream.on('error', failed)
    return stream
  }

  /** Shutdown, and the end of the process. */
  async end() {
    const ended = once(this.#child, 'exit')
    await Promise.race([this.call('/plugin.GRPCController/Shutdown', Buffer.alloc(0)).catch(() => {}), ended])
    await ended
    this.#session.destroy()
    this.#schemas.close()
    rmSync(this.#folder, { recursive: true, force: true })
  }
}

/** Conduit's schema service: every text of a subject is a version of its own. */
async function startSchemas(versions) {
  const server = createServer()
  server.on('stream', (stream, headers) => {
    const frames = new Frames((request) => {
      const asked = {}
      walk(request, 0, request.length, (field, start, end) => {
        asked[field] = end === undefined ? start : Buffer.from(request.subarray(start, end))
      })
      const subject = asked[1].toString()
      const texts = versions.get(subject) ?? []
      versions.set(subject, texts)
      const isCreate = headers[':path'].endsWith('/CreateSchema')
      if (isCreate && !texts.some((one) => one.equals(asked[3]))) texts.push(asked[3])
      const version = isCreate ? 1 + texts.findIndex((one) => one.equals(asked[3])) : asked[2]
      const schema = message([1, subject], [2, version], [3, version], [4, 1], [5, texts[version - 1]])
      stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true })
      stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }))
      stream.end(framed(message([1, schema])))
    })
    stream.on('data', (chunk) => frames.push(chunk))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return server
}
