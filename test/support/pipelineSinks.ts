import { setTimeout as sleep } from 'node:timers/promises'
import type { PositionJson } from '../../src/core/record.js'
import type { PipelineConfig, SinkConfig } from '../../src/homes/pipeline/config/pipelineConfig.js'
import type { PipelineEvent, PipelineSummary } from '../../src/homes/pipeline/run/events.js'
import { Replays } from '../../src/homes/pipeline/run/replays.js'
import { runPipeline } from '../../src/homes/pipeline/runPipeline.js'
import type { Sink, SinkMark } from '../../src/sinks/sink.js'
import type { Batch } from '../../src/source/batch.js'
import { StreamPosition } from '../../src/source/position.js'
import { waitFor } from './waitFor.js'

/** What a sink of a test has: it outlives the runs that write to it, as a file or a server does. */
export class Store {
  /** Ids of all records that were written, in order. */
  readonly written: string[] = []
  /** The ones that would still be there after a crash. */
  readonly durable: string[] = []
  position: PositionJson | undefined
  opened = 0
  /** Marks that were told to be recorded. */
  readonly recorded: unknown[] = []
  /** Called before each batch, and may throw. */
  beforeWrite: (batch: Batch) => Promise<void> | void = () => {}
  /** Called behind each batch that is stored with its position, and may throw. */
  afterStored: () => Promise<void> | void = () => {}
  beforeFlush: () => Promise<void> | void = () => {}
}

/** Takes back what was not recorded, as a file does. */
export class CutSink implements Sink {
  readonly #store: Store
  #pending: string[] = []

  constructor(store: Store) {
    this.#store = store
  }

  async open(mark: SinkMark | undefined): Promise<undefined> {
    this.#store.opened++
    this.#pending = []
    if (mark !== undefined) this.#store.durable.length = (mark as { count: number }).count
  }

  async write(batch: Batch): Promise<void> {
    await this.#store.beforeWrite(batch)
    const ids = idsOf(batch)
    this.#store.written.push(...ids)
    this.#pending.push(...ids)
  }

  async flush(): Promise<SinkMark> {
    await this.#store.beforeFlush()
    this.#store.durable.push(...this.#pending.splice(0))
    return { count: this.#store.durable.length }
  }

  async recorded(mark: SinkMark): Promise<void> {
    this.#store.recorded.push(mark)
  }

  async close(): Promise<void> {}
}

/** Nothing can be taken back, and nothing is known of the position: as of a receiver of messages. */
export class SendSink extends CutSink {
  readonly #sent: Store

  constructor(store: Store) {
    super(store)
    this.#sent = store
  }

  override async open(): Promise<undefined> {
    this.#sent.opened++
  }
}

/** Each batch with its position at once, as a database does, but where a position would repeat rows. */
export class StoringSink implements Sink {
  readonly storesPosition = true
  readonly #store: Store
  #pending: string[] = []

  constructor(store: Store) {
    this.#store = store
  }

  async open(): Promise<PositionJson | null> {
    this.#store.opened++
    this.#pending = []
    return this.#store.position ?? null
  }

  async write(batch: Batch): Promise<void> {
    await this.#store.beforeWrite(batch)
    const ids = idsOf(batch)
    this.#store.written.push(...ids)
    this.#pending.push(...ids)
    const { repeats, beginsAnew } = StreamPosition.parse(batch.position)
    if (repeats && !beginsAnew) return
    this.#store.durable.push(...this.#pending.splice(0))
    this.#store.position = JSON.parse(JSON.stringify(batch.position))
    await this.#store.afterStored()
  }

  async flush(): Promise<SinkMark> {
    return null
  }

  async close(): Promise<void> {}
}

function idsOf(batch: Batch): string[] {
  return [...batch].map(({ id }) => id)
}

export function sinkConfig(name: string, create: () => Sink, more: Partial<SinkConfig> = {}): SinkConfig {
  const letters = { place: { kind: 'file', path: '/nowhere' }, own: undefined, format: undefined } as const
  return {
    name,
    type: 'test',
    onError: 'stop',
    retry: { firstMs: 20, maxMs: 50, attempts: 0 },
    create,
    letters,
    ...more,
  }
}

/** Runs in the background: `await using running = startPipeline(config)`. */
export class RunningPipeline implements AsyncDisposable {
  readonly events: PipelineEvent[] = []
  readonly ended: Promise<PipelineSummary>
  readonly replays = new Replays()
  streaming = false
  #failure: unknown
  readonly #abort = new AbortController()

  constructor(config: PipelineConfig) {
    const listener = {
      event: (event: PipelineEvent) => void this.events.push(event),
      tryingAgain: () => {},
      replays: this.replays,
      source: async (source: { events(): AsyncIterable<{ readonly type: string }> }) => {
        for await (const { type } of source.events()) this.streaming ||= type === 'streaming'
      },
    }
    this.ended = runPipeline(config, listener, this.#abort.signal)
    this.ended.catch((error) => {
      this.#failure = error
    })
  }

  async until(condition: () => unknown, what: string): Promise<void> {
    await waitFor(() => condition() || this.#failure !== undefined, { what, timeoutMs: 20_000 })
    if (this.#failure !== undefined) throw this.#failure
  }

  stop(): Promise<PipelineSummary> {
    this.#abort.abort()
    return this.ended
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#abort.abort()
    await this.ended.catch(() => {})
    await sleep(0)
  }
}
