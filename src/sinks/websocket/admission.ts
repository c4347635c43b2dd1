import { createHash, timingSafeEqual } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { isIP } from 'node:net'

const NAME = /^[\w.-]{1,100}$/

/** Why somebody is not let in: an HTTP status, and what is wrong. */
export interface Refusal {
  readonly status: 400 | 401 | 403 | 503
  readonly problem: string
}

export interface AdmissionOptions {
  readonly token: string | undefined
  /** Each has to say who it is: two that are needed must not be one that came twice. */
  readonly namesNeeded: boolean
}

/** Whether a request to open a WebSocket is let in, and as whom; an empty name: it has none. */
export function admit(request: IncomingMessage, { token, namesNeeded }: AdmissionOptions): { name: string } | Refusal {
  const { authorization = '', origin } = request.headers
  if (token !== undefined && !isSame(authorization, `Bearer ${token}`)) {
    return { status: 401, problem: 'the header "authorization: Bearer TOKEN" is expected, with the token of the sink' }
  }
  // Any page in a browser on this machine may connect to it, and would read what it is not to read.
  if (token === undefined && origin !== undefined && !isLocalOrigin(origin)) {
    return { status: 403, problem: 'a page of another origin is not let in without a token' }
  }
  const name = new URL(request.url ?? '/', 'ws://localhost').searchParams.get('reader') ?? ''
  if (name === '' && namesNeeded) return { status: 400, problem: 'a name is expected: ?reader=NAME' }
  if (name !== '' && !NAME.test(name)) {
    return { status: 400, problem: 'a reader’s name has letters, digits, "_", "-" and ".", 100 at most' }
  }
  return { name }
}

/** Whether only this machine reaches it. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'))
}

function isLocalOrigin(origin: string): boolean {
  if (!URL.canParse(origin)) return false
  return isLoopback(new URL(origin).hostname.replace(/^\[|\]$/g, ''))
}

/** In a time that does not tell how much of it is right. */
function isSame(given: string, expected: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest()
  return timingSafeEqual(digest(given), digest(expected))
}
