import { defineError } from './tailraceError.js'

export const WEBSOCKET_UNREACHABLE = defineError('WEBSOCKET_UNREACHABLE', {
  retry: 'later',
  message: (e: { url: string; problem: string }) => `cannot connect to ${e.url}: ${e.problem}`,
  hint: 'Look whether the peer runs and the address is right. It is tried again as `retry` says.',
})

export const WEBSOCKET_REFUSED = defineError('WEBSOCKET_REFUSED', {
  retry: 'operator',
  message: (e: { url: string; status: number }) => `${e.url} answered ${e.status} instead of opening a WebSocket`,
  hint: (e) =>
    e.status === 401 || e.status === 403
      ? 'Give what the peer asks for, mostly headers: {authorization: Bearer …}.'
      : 'Look whether the path of the URL is that of a WebSocket, and whether a proxy in between lets it through.',
})

export const WEBSOCKET_CLOSED = defineError('WEBSOCKET_CLOSED', {
  retry: 'later',
  message: (e: { url: string; problem: string }) => `the connection to ${e.url} has ended: ${e.problem}`,
  hint: 'What the peer has not acknowledged comes again on the next connection, with the same ids.',
})

export const WEBSOCKET_SILENT = defineError('WEBSOCKET_SILENT', {
  retry: 'later',
  message: (e: { url: string; what: string; ms: number }) => `${e.url} has sent no ${e.what} for ${e.ms} ms`,
  hint: 'Look whether the peer answers each frame of records with {"type":"ack","id":…}, as docs/sinks/websocket.md has it. One that works long on a frame needs a larger ack_timeout_ms.',
})

export const WEBSOCKET_PEER_INVALID = defineError('WEBSOCKET_PEER_INVALID', {
  retry: 'operator',
  message: (e: { url: string; problem: string }) => `${e.url} does not keep to the protocol: ${e.problem}`,
  hint: 'docs/sinks/websocket.md has the frames of both sides. A peer that only takes records needs acks: false.',
})

export const WEBSOCKET_LISTEN_FAILED = defineError('WEBSOCKET_LISTEN_FAILED', {
  retry: 'operator',
  message: (e: { listen: string; problem: string }) => `cannot listen on ${e.listen}: ${e.problem}`,
  hint: 'Give another address or port, or end whoever has it (ss -ltnp shows who).',
})
