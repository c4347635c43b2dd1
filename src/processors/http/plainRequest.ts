import { once } from 'node:events'
import { type IncomingMessage, request as overHttp } from 'node:http'
import { type Agent, request as overHttps } from 'node:https'
import { Readable } from 'node:stream'

export interface PlainRequest {
  readonly method: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string | Uint8Array | undefined
  readonly signal: AbortSignal
  /** That of https; undefined: the usual one. */
  readonly agent: Agent | undefined
}

/** What `fetch` refuses to do: a GET with a body, which some servers want, and to trust an authority of the user's own. */
export async function plainRequest(
  url: URL,
  { method, headers, body, signal, agent }: PlainRequest,
): Promise<Response> {
  const request = url.protocol === 'https:' ? overHttps : overHttp
  const length = body === undefined ? {} : { 'content-length': String(Buffer.byteLength(body)) }
  const sent = request(url, { method, headers: { ...headers, ...length }, signal, ...(agent && { agent }) })
  sent.end(body)
  const [message] = (await once(sent, 'response')) as [IncomingMessage]
  // What comes behind an answer that is not read to its end.
  message.on('error', () => {})
  const status = message.statusCode!
  const isEmpty = status === 204 || status === 304
  const answered = Object.entries(message.headersDistinct).flatMap(([name, values]) =>
    (values ?? []).map((value): [string, string] => [name, value]),
  )
  return new Response(isEmpty ? null : (Readable.toWeb(message) as ReadableStream<Uint8Array>), {
    status,
    headers: answered,
  })
}
