import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { expect, test } from 'vitest'
import { parseConnectionString } from '../../../../src/postgres/connectionString.js'
import { Session } from '../../../../src/postgres/session.js'

/** ErrorResponse: severity, SQLSTATE, message. */
const REFUSED = (() => {
  const fields = Buffer.from('SFATAL\0C28P01\0Mpassword authentication failed\0\0')
  const head = Buffer.from('E\0\0\0\0')
  head.writeInt32BE(4 + fields.length, 1)
  return Buffer.concat([head, fields])
})()
const SSL_REQUEST_BYTES = 8

test.each([
  ['prefer', 'LOGIN_REFUSED'],
  ['require', 'CONNECTION_FAILED'],
  ['disable', 'LOGIN_REFUSED'],
])('a server without TLS is asked once, and with sslmode=%s goes on as it can', async (mode, code) => {
  const asked: Buffer[][] = []
  const server = createServer((socket: Socket) => {
    const chunks: Buffer[] = []
    asked.push(chunks)
    socket.on('data', (chunk) => {
      chunks.push(chunk)
      socket.write(chunk.length === SSL_REQUEST_BYTES ? Buffer.from('N') : REFUSED)
    })
    socket.on('error', () => {})
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  try {
    const options = parseConnectionString(`postgres://app:x@127.0.0.1:${port}/shop?sslmode=${mode}`)
    await expect(Session.connect(options)).rejects.toMatchObject({ code })
    expect(asked).toHaveLength(1)
    const isAsked = asked[0]![0]!.length === SSL_REQUEST_BYTES
    expect(isAsked).toBe(mode !== 'disable')
    // The password is not tried a second time.
    expect(asked[0]).toHaveLength(mode === 'prefer' ? 2 : 1)
  } finally {
    server.close()
  }
})
