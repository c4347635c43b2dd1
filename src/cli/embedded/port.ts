import { randomInt } from 'node:crypto'
import { createServer } from 'node:net'

/**
 * Below the range from which systems draw the near end of outgoing connections: a port taken from there could be lost
 * to any client while its server restarts.
 */
const LOWEST = 20_000
const HIGHEST = 32_000

/** A port on 127.0.0.1 that was free a moment ago: who binds it must be ready to try another. */
export async function freePort(): Promise<number> {
  for (let attempt = 0; attempt < 50; attempt++) {
    const port = await probe(randomInt(LOWEST, HIGHEST))
    if (port !== undefined) return port
  }
  return (await probe(0)) ?? 0
}

function probe(port: number): Promise<number | undefined> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(undefined))
    server.listen(port, '127.0.0.1', () => {
      const address = server.address()
      server.close(() => resolve(typeof address === 'object' ? address?.port : undefined))
    })
  })
}
