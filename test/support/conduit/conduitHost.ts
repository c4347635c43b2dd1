import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { Client, credentials } from '@grpc/grpc-js'
import { SourcePluginService } from '../../../src/homes/conduit/proto/connector/v2/source.js'
import { SpecifierPluginService } from '../../../src/homes/conduit/proto/connector/v2/specifier.js'
import { GRPCControllerService } from '../../../src/homes/conduit/proto/plugin/controller.js'
import { GRPCStdioService } from '../../../src/homes/conduit/proto/plugin/stdio.js'
import { type WaitOptions, waitFor } from '../waitFor.js'
import { DestinationStream } from './destinationStream.js'
import { startPluginHere } from './pluginHere.js'
import { type LogLine, readLogLine } from './pluginLog.js'
import type { SchemaRegistry } from './schemaRegistry.js'
import { type AckWishes, SourceStream } from './sourceStream.js'

/** The built executable, or another build of it. */
export const pluginPath =
  process.env.TAILRACE_CONDUIT ?? fileURLToPath(new URL('../../../dist/tailrace-conduit.cjs', import.meta.url))

const COOKIE = '204e8e812c3a1bb73b838928c575b42a105dd2e9aa449be481bc4590486df53f'
/** So long the host waits for the handshake, and after Shutdown for the process. */
const HANDSHAKE_MS = 60_000
const GRACE_MS = 2000
const UNLIMITED = { 'grpc.max_receive_message_length': -1, 'grpc.max_send_message_length': -1 }

export interface LaunchOptions {
  /** Default `pipeline:connector`. */
  readonly connectorId?: string
  /** Default info. */
  readonly logLevel?: string
  /** Further variables, of the shell in which Conduit runs. */
  readonly env?: Readonly<Record<string, string>>
  /** Another file than the built one, for instance a link to it. */
  readonly file?: string
  readonly args?: readonly string[]
  /** Whose schemas the plugin uses; without one its calls find nobody. */
  readonly schemas?: SchemaRegistry
  /** The plugin runs in this process, where that it is one of its own is not the matter. */
  readonly here?: boolean
}

type Unary = { readonly path: string; readonly requestStream: false; readonly responseStream: false }
type RequestOf<Method> = Method extends { requestSerialize: (value: infer Request) => Buffer } ? Request : never
type ResponseOf<Method> = Method extends { responseDeserialize: (value: Buffer) => infer Response } ? Response : never

/**
 * Conduit, as far as a plugin can tell: launches the executable and calls it as go-plugin and Conduit's client do
 * (reference sections 1 to 3). `await using host = await launch()`: at the end of the scope what still runs is killed.
 */
export async function launch(options: LaunchOptions = {}): Promise<ConduitHost> {
  const child = options.here
    ? await startPluginHere({ ...hostEnvironment(options), ...options.env })
    : spawnPlugin(options)
  const host = new ConduitHost(child)
  try {
    await host.connect()
    return host
  } catch (error) {
    await host[Symbol.asyncDispose]()
    throw error
  }
}

/** The process alone, as Conduit starts it. */
export function spawnPlugin({ file = pluginPath, args = [], ...options }: LaunchOptions): ChildProcess {
  const { PATH, HOME, TMPDIR } = process.env
  return spawn(file, [...args], {
    // A group of its own, which a test can interrupt as a terminal does.
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { PATH, HOME, ...(TMPDIR !== undefined && { TMPDIR }), ...hostEnvironment(options), ...options.env },
  })
}

export function hostEnvironment({
  connectorId = 'pipeline:connector',
  logLevel = 'info',
  schemas,
}: LaunchOptions = {}): Record<string, string> {
  const token = JSON.stringify({ value: 'token', connector_id: connectorId })
  schemas?.admit(token)
  return {
    CONDUIT_CONNECTOR_UTILITIES_GRPC_TARGET: schemas?.target ?? '[::]:1',
    CONDUIT_CONNECTOR_TOKEN: token,
    CONDUIT_CONNECTOR_ID: connectorId,
    CONDUIT_CONNECTOR_LOG_LEVEL: logLevel,
    CONDUIT_CONNECTOR_MAX_RECEIVE_RECORD_SIZE: '4194304',
    CONDUIT_PLUGIN_MAGIC_COOKIE: COOKIE,
    PLUGIN_MIN_PORT: '10000',
    PLUGIN_MAX_PORT: '25000',
    PLUGIN_PROTOCOL_VERSIONS: '2,1',
  }
}

export class ConduitHost implements AsyncDisposable {
  readonly child: ChildProcess
  /** Resolves with code and signal when the process has ended. */
  readonly ended: Promise<readonly [number | null, NodeJS.Signals | null]>
  /** The first line on standard output, and what came after it. */
  handshake = ''
  stdoutLater = ''
  /** From the start of the process to the line. */
  handshakeMs = 0
  /** Where a log line would have ended the host. */
  panic: unknown
  readonly logs: LogLine[] = []
  #client: Client | undefined

  constructor(child: ChildProcess) {
    this.child = child
    this.ended = once(child, 'exit').then(([code, signal]) => [code, signal] as const)
    let rest = ''
    child.stderr!.setEncoding('utf8').on('data', (chunk: string) => {
      const lines = (rest + chunk).split('\n')
      rest = lines.pop()!
      for (const line of lines) this.#log(line)
    })
  }

  get pid(): number {
    return this.child.pid!
  }

  get running(): boolean {
    return this.child.exitCode === null && this.child.signalCode === null
  }

  /** Waits for the handshake, and dials. */
  async connect(): Promise<void> {
    const since = performance.now()
    let output = ''
    this.child.stdout!.setEncoding('utf8').on('data', (chunk: string) => {
      output += chunk
      const [line, ...later] = output.split('\n')
      if (later.length === 0) return
      if (this.handshake === '') this.handshakeMs = performance.now() - since
      this.handshake = line!
      this.stdoutLater = later.join('\n')
    })
    await waitFor(() => this.handshake !== '' || !this.running, { what: 'the handshake', timeoutMs: HANDSHAKE_MS })
    const fields = this.handshake.trim().split('|')
    if (fields.length < 5) throw new Error(`no handshake, but "${this.handshake}" and ${JSON.stringify(this.logs)}`)
    const [, , network, address] = fields
    const target = network === 'unix' ? `unix:${address}` : address!
    const options = { ...UNLIMITED, 'grpc.default_authority': 'unused', 'grpc.enable_http_proxy': 0 }
    this.#client = new Client(target, credentials.createInsecure(), options)
    // As go-plugin does right after dialling.
    const { path, requestSerialize, responseDeserialize } = GRPCStdioService.streamStdio
    const stdio = this.#client.makeServerStreamRequest(path, requestSerialize, responseDeserialize, {})
    stdio.on('error', () => {}).resume()
  }

  /** A call by its definition: `host.call(SourcePluginService.open, { position })`. Rejects with the text of the status. */
  call<Method extends Unary>(method: Method, request: RequestOf<Method>): Promise<ResponseOf<Method>> {
    const { path, requestSerialize, responseDeserialize } = method as unknown as {
      path: string
      requestSerialize: (value: unknown) => Buffer
      responseDeserialize: (value: Buffer) => unknown
    }
    return new Promise((resolve, reject) => {
      this.#client!.makeUnaryRequest(path, requestSerialize, responseDeserialize, request, (error, response) => {
        if (error) reject(Object.assign(new Error(error.details), { code: error.code }))
        else resolve(response as ResponseOf<Method>)
      })
    })
  }

  async specify() {
    return (await this.call(SpecifierPluginService.specify, {})).specification!
  }

  async configure(config: Record<string, string>): Promise<void> {
    await this.call(SourcePluginService.configure, { config })
  }

  async open(position: Uint8Array = Buffer.alloc(0)): Promise<void> {
    await this.call(SourcePluginService.open, { position: Buffer.from(position) })
  }

  async stop(): Promise<Buffer> {
    return (await this.call(SourcePluginService.stop, {})).lastPosition
  }

  async teardown(): Promise<void> {
    await this.call(SourcePluginService.teardown, {})
  }

  run(wishes: AckWishes): SourceStream {
    return new SourceStream(this.#client!, wishes)
  }

  runDestination(engine: 'v1' | 'v2'): DestinationStream {
    return new DestinationStream(this.#client!, engine)
  }

  /** Shutdown, two seconds, SIGKILL: what go-plugin does. Whether it had to kill. */
  async kill(): Promise<{ readonly killed: boolean; readonly ms: number }> {
    const since = performance.now()
    // The rpc has no deadline; the process may be gone before it is answered.
    await Promise.race([this.call(GRPCControllerService.shutdown, {}).catch(() => {}), this.ended])
    this.#client?.close()
    const inTime = await Promise.race([this.ended.then(() => true), sleep(GRACE_MS, false)])
    if (!inTime) this.child.kill('SIGKILL')
    await this.ended
    return { killed: !inTime, ms: performance.now() - since }
  }

  /** Waits until a log line has this in its text. */
  async says(text: string, options: Omit<WaitOptions, 'what'> = {}): Promise<LogLine> {
    await waitFor(() => this.logs.some(({ message }) => message.includes(text)), {
      timeoutMs: 20_000,
      ...options,
      what: `the log line "${text}" among ${JSON.stringify(this.logs.map(({ message }) => message))}`,
    })
    return this.logs.find(({ message }) => message.includes(text))!
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#client?.close()
    if (!this.running) return
    this.child.kill('SIGKILL')
    await this.ended
  }

  #log(line: string): void {
    try {
      this.logs.push(readLogLine(line))
    } catch (error) {
      this.panic = error
    }
  }
}
