import { Agent } from 'node:https'
import { setTimeout as wait } from 'node:timers/promises'
import type { TlsTrust } from '../../core/tls.js'
import { untrusted } from '../../core/tlsErrors.js'
import { ValueProblem } from '../sql/problem.js'
import { plainRequest } from './plainRequest.js'
import { readAnswer } from './readAnswer.js'
import { retryAfterMs } from './retryAfter.js'

export interface HttpLimits {
  /** Of one request, its answer included. */
  readonly timeoutMs: number
  /** Of a request with all its tries. */
  readonly timeLimitMs: number
  /** 0: none. */
  readonly retries: number
  /** Before the first retry; doubled from one to the next. */
  readonly retryFirstMs: number
  /** Of an answer, as it is when it is unpacked. */
  readonly maxResponseBytes: number
  /** 0: as many as there are. */
  readonly perMinute: number
}

export interface HttpRequest {
  readonly url: URL
  readonly method: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string | Uint8Array | undefined
}

/** Waits between tries are no longer, unless the server asks for it. */
const LONGEST_WAIT_MS = 30_000
/** What may pass by itself, besides every 5xx but 501 and 505. */
const PASSING = [408, 425, 429]
const LASTING = [501, 505]

/** What a request failed with; `mayPass`: at another time it may not. */
export class RequestProblem extends ValueProblem {
  readonly mayPass: boolean

  constructor(problem: string, mayPass: boolean) {
    super(problem)
    this.mayPass = mayPass
  }
}

type Tried = { readonly text: string } | { readonly problem: string; readonly again: boolean; readonly afterMs: number }

/** Sends requests until they are answered, or cannot be. What is wrong is told without a word of what was sent or answered. */
export class HttpClient {
  readonly #limits: HttpLimits
  readonly #agent: Agent | undefined
  readonly #closed = new AbortController()
  /** Nothing is sent before: the server asked for it, or `perMinute` does. */
  #notBefore = 0
  #turn = 0

  /** `trust`: how a server's certificate is looked at; undefined: as usual. */
  constructor(limits: HttpLimits, trust?: TlsTrust) {
    this.#limits = limits
    this.#agent = trust && new Agent({ ...trust, keepAlive: true })
  }

  /** The answer's text. Rejects with a `RequestProblem`, or with an `AbortError` once the client is closed. */
  async send(request: HttpRequest): Promise<string> {
    const { retries, timeLimitMs, retryFirstMs } = this.#limits
    await this.#untilTurn()
    const end = performance.now() + timeLimitMs
    for (let tries = 1; ; tries++) {
      const tried = await this.#try(request, end - performance.now())
      if ('text' in tried) return tried.text
      const failed = `${request.url.origin} ${tried.problem}${tries === 1 ? '' : ` (${tries} tries)`}`
      if (!tried.again || tries > retries) throw new RequestProblem(failed, tried.again)
      const backoff = Math.min(LONGEST_WAIT_MS, retryFirstMs * 2 ** (tries - 1)) * (0.5 + Math.random() / 2)
      if (tried.afterMs > 0) this.#notBefore = Math.max(this.#notBefore, performance.now() + tried.afterMs)
      const due = Math.max(this.#notBefore, performance.now() + backoff)
      if (due >= end) {
        throw new RequestProblem(`${failed}, and time_limit_ms (${timeLimitMs}) ends before the next try`, true)
      }
      await this.#sleep(due - performance.now())
      await this.#untilTurn()
    }
  }

  /** Ends what is on its way, and rejects it. */
  close(): void {
    this.#closed.abort()
    this.#agent?.destroy()
  }

  #sleep(ms: number): Promise<void> {
    return wait(Math.max(0, ms), undefined, { signal: this.#closed.signal, ref: false })
  }

  async #untilTurn(): Promise<void> {
    this.#closed.signal.throwIfAborted()
    const { perMinute } = this.#limits
    if (perMinute > 0) {
      this.#turn = Math.max(performance.now(), this.#turn + 60_000 / perMinute)
      if (this.#turn > performance.now()) await this.#sleep(this.#turn - performance.now())
    }
    while (this.#notBefore > performance.now()) await this.#sleep(this.#notBefore - performance.now())
  }

  async #try({ url, ...request }: HttpRequest, leftMs: number): Promise<Tried> {
    const { timeoutMs, maxResponseBytes } = this.#limits
    this.#closed.signal.throwIfAborted()
    const limit = Math.max(1, Math.min(timeoutMs, leftMs))
    const ended = new AbortController()
    const end = () => ended.abort()
    this.#closed.signal.addEventListener('abort', end, { once: true })
    const timer = setTimeout(end, limit)
    try {
      return await judged(await answerOf(url, request, ended.signal, this.#agent), url, maxResponseBytes)
    } catch (error) {
      this.#closed.signal.throwIfAborted()
      if (ended.signal.aborted) return failed(`has not answered within ${Math.round(limit)} ms`, true)
      return unreached(error as Error)
    } finally {
      clearTimeout(timer)
      this.#closed.signal.removeEventListener('abort', end)
      // What is left of an answer that nobody reads.
      end()
    }
  }
}

function answerOf(
  url: URL,
  { method, headers, body }: Omit<HttpRequest, 'url'>,
  signal: AbortSignal,
  agent: Agent | undefined,
): Promise<Response> {
  const isSecure = agent !== undefined && url.protocol === 'https:'
  if (isSecure || (method === 'GET' && body !== undefined)) {
    return plainRequest(url, { method, headers, body, signal, agent: isSecure ? agent : undefined })
  }
  return fetch(url, { method, headers, body: body ?? null, redirect: 'manual', signal })
}

function failed(problem: string, again: boolean, afterMs = 0): Tried {
  return { problem, again, afterMs }
}

async function judged(response: Response, url: URL, maxBytes: number): Promise<Tried> {
  const { status, ok, headers } = response
  if (ok) {
    const text = await readAnswer(response, maxBytes)
    if (text === undefined) return failed(`answers with more than max_response_bytes (${maxBytes}) allows`, false)
    // No text of PostgreSQL can have it.
    return text.includes('\0') ? failed('answers with a NUL character', false) : { text }
  }
  if (status >= 300 && status < 400) return failed(`redirects (${status})${redirectedTo(url, headers)}`, false)
  const code = errorCode(await readAnswer(response, 64 * 1024).catch(() => undefined))
  const again = PASSING.includes(status) || (status >= 500 && !LASTING.includes(status))
  return failed(`answered ${status}${code}`, again, again ? retryAfterMs(headers.get('retry-after'), Date.now()) : 0)
}

/** Only where to: the rest may be a secret. */
function redirectedTo(url: URL, headers: Headers): string {
  const location = headers.get('location') ?? ''
  if (!URL.canParse(location, url.href)) return ''
  return ` to ${new URL(location, url).origin}: such an answer is not followed, put the address in place of this one`
}

/** What services call their errors, if it is a name and no sentence, which could have anything in it. */
function errorCode(text: string | undefined): string {
  try {
    const { error, code, type } = JSON.parse(text ?? '') as Record<string, unknown>
    const { code: inner, type: innerType } = (typeof error === 'object' ? (error ?? {}) : {}) as Record<string, unknown>
    const name = [inner, innerType, code, type, error].find(
      (one) => typeof one === 'string' && /^[a-z][a-z_]{2,63}$/i.test(one),
    )
    return name === undefined ? '' : ` (${name})`
  } catch {
    return ''
  }
}

/** Node's `fetch failed` has the cause below it. */
function unreached(error: Error): Tried {
  const { code } = (error.cause ?? error) as NodeJS.ErrnoException
  if (code === undefined) return failed(`cannot be asked: ${error.message}`, false)
  const wrong = untrusted('it', error.cause ?? error)
  if (wrong !== undefined) return failed(`cannot be reached: ${code}. ${wrong.hint}`, false)
  const isCertificate = /CERT|SELF_SIGNED|UNABLE_TO|TLS/.test(code)
  return failed(`cannot be reached: ${code}`, !isCertificate)
}
