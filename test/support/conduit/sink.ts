import { DestinationPluginService } from '../../../src/homes/conduit/proto/connector/v2/destination.js'
import { type Data, Operation, type Record } from '../../../src/homes/conduit/proto/opencdc/v1/opencdc.js'
import { type ConduitHost, type LaunchOptions, launch } from './conduitHost.js'
import type { DestinationStream } from './destinationStream.js'

export interface SinkOptions extends LaunchOptions {
  readonly engine?: 'v1' | 'v2'
}

type Settings = Readonly<globalThis.Record<string, string>>

/** A pipeline's end with our destination, in the order in which Conduit's engines call (reference section 3.4). */
export class Sink implements AsyncDisposable {
  readonly #settings: globalThis.Record<string, string>
  readonly #options: SinkOptions
  #host: ConduitHost | undefined
  #stream: DestinationStream | undefined
  #created = false

  constructor(settings: Settings, options: SinkOptions = {}) {
    this.#settings = { ...settings }
    this.#options = options
  }

  /** Started at once. */
  static async started(settings: Settings, options: SinkOptions = {}): Promise<Sink> {
    const sink = new Sink(settings, options)
    try {
      await sink.start()
      return sink
    } catch (error) {
      await sink[Symbol.asyncDispose]()
      throw error
    }
  }

  get host(): ConduitHost {
    return this.#host!
  }

  get stream(): DestinationStream {
    return this.#stream!
  }

  get engine(): 'v1' | 'v2' {
    return this.#options.engine ?? 'v1'
  }

  async start(): Promise<void> {
    const host = await launch(this.#options)
    this.#host = host
    const config = this.#settings
    await host.call(DestinationPluginService.configure, { config })
    if (!this.#created) await host.call(DestinationPluginService.lifecycleOnCreated, { config })
    await host.call(DestinationPluginService.open, {})
    this.#created = true
    this.#stream = host.runDestination(this.engine)
  }

  /** Sends records, and gives the errors of their acks. */
  deliver(...records: readonly Record[]): Promise<string[]> {
    return this.stream.deliver(records)
  }

  /** Stops it as its engine does. */
  async stop(): Promise<void> {
    const { host, stream } = this
    if (this.engine === 'v1') {
      const lastPosition = stream.sent.at(-1)?.position ?? Buffer.alloc(0)
      await host.call(DestinationPluginService.stop, { lastPosition })
    }
    stream.cancel()
    await host.call(DestinationPluginService.teardown, {})
    await host.kill()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#host?.[Symbol.asyncDispose]()
  }
}

/** What a test says of a record; objects are structured data, buffers and texts raw. */
export interface Told {
  readonly key?: object | Buffer | string
  readonly before?: object | Buffer | string
  readonly after?: object | Buffer | string
  readonly metadata?: Settings
  readonly position?: string
}

const OPERATIONS = {
  create: Operation.OPERATION_CREATE,
  update: Operation.OPERATION_UPDATE,
  delete: Operation.OPERATION_DELETE,
  snapshot: Operation.OPERATION_SNAPSHOT,
}

let positions = 0

/** A record as the host sends it: with a payload always, as it does. */
export function record(operation: keyof typeof OPERATIONS, collection: string, told: Told): Record {
  return {
    position: Buffer.from(told.position ?? `p${++positions}`),
    operation: OPERATIONS[operation],
    metadata: { 'opencdc.collection': collection, 'opencdc.readAt': '1700000000000000000', ...told.metadata },
    key: data(told.key),
    payload: { before: data(told.before), after: data(told.after) },
  }
}

function data(value: object | Buffer | string | undefined): Data | undefined {
  if (value === undefined) return undefined
  if (Buffer.isBuffer(value)) return { data: { $case: 'rawData', value } }
  if (typeof value === 'string') return { data: { $case: 'rawData', value: Buffer.from(value) } }
  return { data: { $case: 'structuredData', value: { ...value } } }
}
