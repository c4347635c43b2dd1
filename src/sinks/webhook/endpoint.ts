import { promisify } from 'node:util'
import { gzip } from 'node:zlib'
import { sleep } from '../../core/abort.js'
import { backoffMs } from '../../core/backoff.js'
import { type Deferred, deferred } from '../../core/deferred.js'
import type { TailraceError } from '../../core/tailraceError.js'
import type { TlsTrust } from '../../core/tls.js'
import { untrusted } from '../../core/tlsErrors.js'
import {
  type Answered,
  WEBHOOK_REDIRECTED,
  WEBHOOK_REFUSED,
  WEBHOOK_TIMEOUT,
  WEBHOOK_UNAVAILABLE,
  WEBHOOK_UNREACHABLE,
} from '../../core/webhookErrors.js'
import { shownUrl } from '../shownUrl.js'
import type { SinkEvent } from '../sink.js'
import { retryAfterMs, shownBody, type Verdict, verdictOf } from './answer.js'
import { Circuit } from './circuit.js'
import { type HttpAnswer, HttpClient, type HttpClientOptions, NoAnswer } from './httpClient.js'
import { sign } from './signature.js'

const compress = promisify(gzip)
const BACKOFF = { firstMs: 250, maxMs: 15_000 }

export interface EndpointOptions extends Omit<HttpClientOptions, 'trust'> {
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>
  readonly secrets: readonly Buffer[]
  /** What must not be printed, should it be in an answer. */
  readonly hidden: readonly string[]
  readonly gzip: boolean
  /** So long a request is tried again before that is somebody else's to decide, milliseconds. */
  readonly retryMs: number
  readonly endpointStatuses: readonly number[]
  readonly circuit: { readonly failures: number; readonly openMs: number }
}

export interface Message {
  /** Fit for a header. */
  readonly id: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: readonly Uint8Array[]
}

/** What became of a message. */
export interface Delivery {
  /** The answer, where it is refused for what it says. */
  readonly refused: Answered | undefined
  /** Nobody looks into its body any more. */
  readonly isSent: boolean
}

/** Where messages are sent, and what is known of it: it outlives its connections. */
export class Endpoint {
  readonly url: string
  readonly #options: EndpointOptions
  readonly #circuit: Circuit
  #client: HttpClient | undefined
  #aborted = new AbortController()
  /** The circuit is not as it was. */
  #changed: Deferred<void> = deferred()
  tell: (event: SinkEvent) => void = () => {}

  constructor(options: EndpointOptions) {
    this.#options = options
    this.url = shownUrl(options.url)
    this.#circuit = new Circuit(options.circuit)
  }

  open(trust: TlsTrust): void {
    this.#client = new HttpClient({ ...this.#options, trust })
    this.#aborted = new AbortController()
  }

  /** What waits or is under way rejects. */
  close(): void {
    this.#aborted.abort()
    this.#circuit.released(performance.now())
    this.#wake()
    this.#client?.close()
    this.#client = undefined
  }

  get outages(): { readonly count: number; readonly seconds: number } {
    return this.#circuit.outages(performance.now())
  }

  /**
   * Sends a message, again and again as the answers ask for, until it was taken, or is refused for what it says. Rejects when it
   * cannot be delivered for now, or the endpoint takes none.
   */
  async deliver(message: Message): Promise<Delivery> {
    const { gzip, retryMs } = this.#options
    const { signal } = this.#aborted
    const sent = gzip ? [await compress(Buffer.concat(message.body))] : message.body
    const began = performance.now()
    let heldMs = 0
    let isSent = true
    for (let attempt = 1; ; ) {
      await this.#admitted(signal)
      let failure: TailraceError
      try {
        const answer = await this.#client!.send(this.#headers(message, sent), sent)
        const verdict = verdictOf(answer.status, this.#options.endpointStatuses)
        if (verdict === 'delivered' || verdict === 'record') {
          this.#works()
          return { refused: verdict === 'record' ? this.#answered(answer) : undefined, isSent: isSent && answer.isSent }
        }
        isSent &&= answer.isSent
        if (verdict !== 'again') throw this.#refusal(verdict, answer)
        const wait = retryAfterMs(answer.headers['retry-after'], Date.now())
        if (wait !== undefined) {
          heldMs += wait
          this.#circuit.hold(performance.now() + wait)
        }
        failure = WEBHOOK_UNAVAILABLE(this.#answered(answer))
      } catch (error) {
        signal.throwIfAborted()
        isSent = false
        const lasting = error instanceof NoAnswer ? untrusted(this.url, error.cause) : error
        if (lasting !== undefined || !(error instanceof NoAnswer)) {
          this.#circuit.released(performance.now())
          this.#wake()
          throw lasting
        }
        // Nobody has failed: the endpoint lets go of connections that are idle.
        if (error.reused) {
          this.#circuit.released(performance.now())
          continue
        }
        failure = this.#noAnswer(error)
      }
      this.#failed(failure)
      if (performance.now() - began - heldMs >= retryMs) throw failure
      await sleep(backoffMs(attempt++, BACKOFF), signal)
    }
  }

  /** Waits while the endpoint is left alone. */
  async #admitted(signal: AbortSignal): Promise<void> {
    for (;;) {
      signal.throwIfAborted()
      const wait = this.#circuit.admit(performance.now())
      if (wait === 0) return
      let timer: NodeJS.Timeout | undefined
      const time = new Promise<void>((resolve) => {
        if (wait < Number.POSITIVE_INFINITY) timer = setTimeout(resolve, wait)
      })
      await Promise.race([this.#changed.promise, time])
      clearTimeout(timer)
    }
  }

  #headers({ id, headers, body }: Message, sent: readonly Uint8Array[]): Record<string, string | number> {
    const { gzip, secrets } = this.#options
    const timestamp = Math.floor(Date.now() / 1000)
    return {
      ...headers,
      ...this.#options.headers,
      'webhook-id': id,
      'webhook-timestamp': timestamp,
      ...(secrets.length > 0 && { 'webhook-signature': sign(secrets, { id, timestamp, body }) }),
      'idempotency-key': id,
      ...(gzip && { 'content-encoding': 'gzip' }),
      'content-length': sent.reduce((sum, { length }) => sum + length, 0),
    }
  }

  #answered({ status, body }: HttpAnswer): Answered {
    return { url: this.url, status, body: shownBody(body, this.#options.hidden) }
  }

  #refusal(verdict: Exclude<Verdict, 'delivered' | 'record' | 'again'>, answer: HttpAnswer): TailraceError {
    if (verdict === 'endpoint') return WEBHOOK_REFUSED(this.#answered(answer))
    const { status, headers } = answer
    const { location = '' } = headers
    const to = URL.canParse(location, this.#options.url.href) && shownUrl(new URL(location, this.#options.url))
    return WEBHOOK_REDIRECTED({ url: this.url, status, location: to || 'somewhere else' })
  }

  #noAnswer(error: NoAnswer): TailraceError {
    const { url } = this
    if (error.timedOut) return WEBHOOK_TIMEOUT({ url, seconds: this.#options.timeoutMs / 1000 }, { cause: error })
    return WEBHOOK_UNREACHABLE({ url, problem: error.message }, { cause: error })
  }

  #works(): void {
    const openMs = this.#circuit.succeeded(performance.now())
    if (openMs === undefined) return
    this.tell({ type: 'circuit-closed', endpoint: this.url, seconds: openMs / 1000 })
    this.#wake()
  }

  #failed(cause: TailraceError): void {
    const failures = this.#circuit.failed(performance.now())
    this.#wake()
    if (failures === undefined) return
    this.tell({
      type: 'circuit-opened',
      endpoint: this.url,
      failures,
      seconds: this.#options.circuit.openMs / 1000,
      cause,
    })
  }

  #wake(): void {
    this.#changed.resolve()
    this.#changed = deferred()
  }
}
