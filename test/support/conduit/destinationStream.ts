import type { Client, ClientDuplexStream } from '@grpc/grpc-js'
import {
  type Destination_Run_Request,
  type Destination_Run_Response,
  DestinationPluginService,
} from '../../../src/homes/conduit/proto/connector/v2/destination.js'
import type { Record } from '../../../src/homes/conduit/proto/opencdc/v1/opencdc.js'
import { waitFor } from '../waitFor.js'

/** The host's end of a destination's Run: records as an engine sends them, and the acks that it checks. */
export class DestinationStream {
  /** Of each record that was acknowledged the error, empty where there is none; in order. */
  readonly acks: string[] = []
  /** How many acks each message had. */
  readonly messages: number[] = []
  readonly sent: Record[] = []
  /** The text of the status with which the stream ended, or what the host found wrong. */
  failure: string | undefined
  readonly #engine: 'v1' | 'v2'
  readonly #stream: ClientDuplexStream<Destination_Run_Request, Destination_Run_Response>

  constructor(client: Client, engine: 'v1' | 'v2') {
    this.#engine = engine
    const { path, requestSerialize, responseDeserialize } = DestinationPluginService.run
    this.#stream = client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize)
    this.#stream.on('data', ({ acks }: Destination_Run_Response) => {
      this.messages.push(acks.length)
      for (const { position, error } of acks) {
        if (this.sent[this.acks.length]?.position.equals(position) !== true) this.failure ??= 'received unexpected ack'
        this.acks.push(error)
      }
    })
    this.#stream.on('error', (error: Error & { details?: string }) => {
      this.failure ??= error.details ?? error.message
    })
    this.#stream.on('end', () => {})
  }

  /** One record a message (the default engine), or all in one. */
  send(records: readonly Record[]): void {
    this.sent.push(...records)
    if (this.#engine === 'v2') this.#stream.write({ records: [...records] })
    else for (const record of records) this.#stream.write({ records: [record] })
  }

  /** The same, and waits for the acks; gives the errors of these records. */
  async deliver(records: readonly Record[]): Promise<string[]> {
    const from = this.sent.length
    this.send(records)
    await this.hasAcked(this.sent.length)
    return this.acks.slice(from, from + records.length)
  }

  async hasAcked(count: number): Promise<void> {
    const settled = () => this.acks.length >= count || this.failure !== undefined
    await waitFor(settled, { what: `${count} acks`, timeoutMs: 30_000 }).catch(() => {})
    if (this.failure !== undefined || this.acks.length < count) {
      throw new Error(`waited for ${count} acks; ${this.acks.length} came, and the failure ${this.failure}`)
    }
  }

  /** Waits for the plugin to end the stream with an error; gives its text. */
  async fails(): Promise<string> {
    await waitFor(() => this.failure !== undefined, { what: 'the stream to fail', timeoutMs: 30_000 })
    return this.failure!
  }

  /** What ends every Run: the host never half-closes it. */
  cancel(): void {
    this.#stream.cancel()
  }
}
