import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface ReceivedRequest {
  readonly method: string
  readonly url: string
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

/** Answers a request as it likes, also not at all. */
export type Script = (request: ReceivedRequest, response: ServerResponse, index: number) => void

/** An HTTP server on a free port, which answers as a test says and keeps what it was asked. */
export async function scriptedServer(script: Script) {
  const received: ReceivedRequest[] = []
  const server = createServer(async (incoming, response) => {
    const { method = '', url = '', headers } = incoming
    let body = ''
    for await (const part of incoming.setEncoding('utf8')) body += part
    const request = { method, url, headers, body }
    script(request, response, received.push(request) - 1)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    received,
    origin: `http://127.0.0.1:${port}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
