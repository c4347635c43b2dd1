import { setTimeout as sleep } from 'node:timers/promises'
import type { Client, ClientDuplexStream } from '@grpc/grpc-js'
import {
  type Source_Run_Request,
  type Source_Run_Response,
  SourcePluginService,
} from '../../../src/homes/conduit/proto/connector/v2/source.js'
import type { Record } from '../../../src/homes/conduit/proto/opencdc/v1/opencdc.js'
import { type WaitOptions, waitFor } from '../waitFor.js'

export interface AckWishes {
  /** One position a message (the default engine), or those of the batch together. */
  readonly engine: 'v1' | 'v2'
  /** How long the host takes until it has stored a position and acks it; undefined: it never does. */
  readonly ackAfterMs: number | undefined
  /** A position is stored: before the ack goes out. */
  readonly onStored?: (position: Buffer) => void
}

/** The host's end of Run: records as they come, and acks as an engine gives them. */
export class SourceStream {
  readonly records: Record[] = []
  /** How many records each message had. */
  readonly messages: number[] = []
  /** The text of the status with which the stream ended. */
  failure: string | undefined
  ended = false
  /** Records whose acks have gone out. */
  acked = 0
  readonly #wishes: AckWishes
  readonly #stream: ClientDuplexStream<Source_Run_Request, Source_Run_Response>

  constructor(client: Client, wishes: AckWishes) {
    this.#wishes = wishes
    const { path, requestSerialize, responseDeserialize } = SourcePluginService.run
    this.#stream = client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize)
    this.#stream.on('data', ({ records }: Source_Run_Response) => {
      this.records.push(...records)
      this.messages.push(records.length)
      void this.#ackLater(records)
    })
    this.#stream.on('error', (error: Error & { details?: string }) => {
      this.failure = error.details ?? error.message
    })
    this.#stream.on('end', () => {
      this.ended = true
    })
  }

  /** Waits for so many records in all. */
  async has(count: number, options: Omit<WaitOptions, 'what'> = {}): Promise<void> {
    const what = () => `${count} records of Run; ${this.records.length} came, and the failure ${this.failure}`
    await waitFor(() => this.records.length >= count || this.failure !== undefined, {
      timeoutMs: 50_000,
      ...options,
      what: 'records of Run',
    }).catch(() => {})
    if (this.records.length < count) throw new Error(`waited for ${what()}`)
  }

  /** Waits until the acks of so many records have gone out. */
  async hasAcked(count: number): Promise<void> {
    await waitFor(() => this.acked >= count, { what: `acks of ${count} records`, timeoutMs: 50_000 })
  }

  /** Waits for the plugin to end the stream with an error; gives its text. */
  async fails(): Promise<string> {
    await waitFor(() => this.failure !== undefined, { what: 'the stream to fail', timeoutMs: 50_000 })
    return this.failure!
  }

  /** Any ack, right or wrong. */
  ack(...positions: Buffer[]): void {
    this.#stream.write({ ackPositions: positions })
  }

  /** What ends every Run: the host never half-closes it. */
  cancel(): void {
    this.#stream.cancel()
  }

  async #ackLater(records: readonly Record[]): Promise<void> {
    const { engine, ackAfterMs, onStored } = this.#wishes
    if (ackAfterMs === undefined) return
    if (ackAfterMs > 0) await sleep(ackAfterMs)
    if (this.failure !== undefined) return
    const positions = records.map(({ position }) => position)
    if (engine === 'v2') {
      onStored?.(positions.at(-1)!)
      this.ack(...positions)
    } else {
      for (const position of positions) {
        onStored?.(position)
        this.ack(position)
      }
    }
    this.acked += records.length
  }
}
