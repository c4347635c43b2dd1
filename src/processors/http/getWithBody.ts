import { once } from 'node:events'
import { type IncomingMessage, request as overHttp } from 'node:http'
import { request as overHttps } from 'node:https'
import { Readable } from 'node:stream'

export interface GetWithBody {
  readonly headers: Readonly<Record<string, string>>
  readonly body: string | Uint8Array
  readonly signal: AbortSignal
}

/** A GET with a body, which `fetch` refuses to send, and some servers want. */
export async function getWithBody(url: URL, { headers, body, signal }: GetWithBody): Promise<Response> {
  const request = url.protocol === 'https:' ? overHttps : overHttp
  const length = { 'content-length': String(Buffer.byteLength(body)) }
  const sent = request(url, { method: 'GET', headers: { ...headers, ...length }, signal })
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
