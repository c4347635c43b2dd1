import { once } from 'node:events'
import type { WebSocket } from 'ws'

/** So long the other side may take to say goodbye. */
const GOODBYE_MS = 500

/** Says why, and ends the connection, if need be without an answer. Never rejects. */
export async function closeSocket(socket: WebSocket, code: number, reason: string): Promise<void> {
  if (socket.readyState === socket.CLOSED) return
  socket.on('error', () => {})
  const closed = once(socket, 'close').catch(() => {})
  const timer = setTimeout(() => socket.terminate(), GOODBYE_MS)
  if (socket.readyState === socket.OPEN || socket.readyState === socket.CLOSING) socket.close(code, reason)
  else socket.terminate()
  await closed
  clearTimeout(timer)
}
