import { SourcePluginService } from '../../../src/homes/conduit/proto/connector/v2/source.js'
import type { Record } from '../../../src/homes/conduit/proto/opencdc/v1/opencdc.js'
import { waitFor } from '../waitFor.js'
import { type ConduitHost, type LaunchOptions, launch } from './conduitHost.js'
import type { SourceStream } from './sourceStream.js'

export interface PipelineOptions extends LaunchOptions {
  readonly engine?: 'v1' | 'v2'
  /** Default 0; undefined: never. */
  readonly ackAfterMs?: number | undefined
}

/** Of a pipeline that has no registry: its records are structured. */
const WITHOUT_SCHEMAS = { 'logrepl.withAvroSchema': 'false' }

/**
 * A pipeline with our source: what Conduit keeps of it over its runs, and the order in which its engines call (reference
 * section 3.1). `await using pipeline = new Pipeline(settings)`.
 */
export class Pipeline implements AsyncDisposable {
  /** What every run has sent. */
  readonly records: Record[] = []
  /** The position that Conduit has stored. */
  stored: Buffer = Buffer.alloc(0)
  readonly #settings: globalThis.Record<string, string>
  readonly #options: PipelineOptions
  #host: ConduitHost | undefined
  #stream: SourceStream | undefined
  #created = false

  constructor(settings: globalThis.Record<string, string>, options: PipelineOptions = {}) {
    this.#settings = { ...(options.schemas === undefined && WITHOUT_SCHEMAS), ...settings }
    this.#options = options
  }

  get host(): ConduitHost {
    return this.#host!
  }

  get stream(): SourceStream {
    return this.#stream!
  }

  get engine(): 'v1' | 'v2' {
    return this.#options.engine ?? 'v1'
  }

  async start(): Promise<void> {
    const host = await launch(this.#options)
    this.#host = host
    await host.configure(this.#settings)
    if (!this.#created) await host.call(SourcePluginService.lifecycleOnCreated, { config: this.#settings })
    await host.open(this.stored)
    this.#created = true
    const { ackAfterMs = 'ackAfterMs' in this.#options ? undefined : 0 } = this.#options
    this.#stream = host.run({
      engine: this.engine,
      ackAfterMs,
      onStored: (position) => {
        this.stored = position
      },
    })
  }

  /** So many records in this run. */
  has(count: number): Promise<void> {
    return this.stream.has(count)
  }

  /** Stops it as its engine does: gives what Stop answered (v1). */
  async stop(): Promise<Buffer | undefined> {
    const { host, stream } = this
    const last = this.engine === 'v1' ? await this.#drain() : undefined
    stream.cancel()
    await host.teardown()
    for (const record of stream.records) this.records.push(record)
    await host.kill()
    return last
  }

  /** SIGKILL; what was acked stays stored. */
  async crash(): Promise<void> {
    if (this.#options.here) throw new Error('a plugin that is no process of its own cannot be killed')
    this.host.child.kill('SIGKILL')
    await this.host.ended
    for (const record of this.stream.records) this.records.push(record)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#host?.[Symbol.asyncDispose]()
  }

  /** Stop, every record up to the position that it gives, and the acks that are still to come. */
  async #drain(): Promise<Buffer> {
    const { host, stream } = this
    const last = await host.stop()
    if (last.length === 0) return last
    await waitFor(() => stream.records.some(({ position }) => position.equals(last)), { what: 'the record of Stop' })
    const ackAfterMs = 'ackAfterMs' in this.#options ? this.#options.ackAfterMs : 0
    if (ackAfterMs !== undefined) await stream.hasAcked(stream.records.length)
    return last
  }
}

/** A record in short: its operation and what `after`, else the key, has. */
export function shortOf({ operation, key, payload }: Record): readonly [string, unknown] {
  const data = (part: Record['key']) => (part?.data?.$case === 'structuredData' ? part.data.value : undefined)
  return [OPERATIONS[operation] ?? 'unknown', data(payload?.after) ?? data(key)]
}

const OPERATIONS = ['unspecified', 'create', 'update', 'delete', 'snapshot']
