import { createHash, timingSafeEqual } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'
import { REQUEST_FORBIDDEN, REQUEST_UNAUTHORIZED } from '../../../core/httpErrors.js'
import type { TailraceError } from '../../../core/tailraceError.js'
import { isLoopback } from './address.js'

/** What a request needs. */
export interface Needs {
  /** It tells nothing of the data, and needs no token. */
  readonly open: boolean
  /** It changes something. */
  readonly changes: boolean
}

const OF_ANOTHER_SITE = () => REQUEST_FORBIDDEN({ problem: 'it comes from a page of another site' })

/**
 * Why a request is refused; undefined: it is not. Without a token the interface is one of this machine alone, and a browser of
 * this machine is the way in for others: by a name of theirs that they have resolve to 127.0.0.1 (so the host must be one of
 * loopback), or by a form or script on a page of theirs (so a change needs a content type that no form sends, and its own origin;
 * nor is anything but the page read for them).
 */
export function refusal(
  token: string | undefined,
  headers: IncomingHttpHeaders,
  { open, changes }: Needs,
): TailraceError | undefined {
  const { host = '', authorization } = headers
  if (token === undefined) {
    if (!isLoopback(hostName(host))) {
      return REQUEST_FORBIDDEN({
        problem: `its host ${JSON.stringify(host.slice(0, 100))} is none of this machine's own`,
      })
    }
  } else if (!open) {
    const given = /^Bearer +(\S+) *$/i.exec(authorization ?? '')?.[1]
    if (given === undefined) return REQUEST_UNAUTHORIZED({ problem: 'a token is needed' })
    if (!isSame(given, token)) return REQUEST_UNAUTHORIZED({ problem: 'the token is wrong' })
  }
  if (changes) return refusedChange(headers)
  return !open && headers['sec-fetch-site'] === 'cross-site' ? OF_ANOTHER_SITE() : undefined
}

function refusedChange({ host = '', origin, ...headers }: IncomingHttpHeaders): TailraceError | undefined {
  const type = headers['content-type']?.split(';')[0]?.trim().toLowerCase()
  if (type !== 'application/json') return REQUEST_FORBIDDEN({ problem: 'a change is asked for as application/json' })
  const site = headers['sec-fetch-site']
  if (site !== undefined && site !== 'same-origin' && site !== 'none') {
    return OF_ANOTHER_SITE()
  }
  if (origin === undefined || hostOf(origin) === host.toLowerCase()) return undefined
  return REQUEST_FORBIDDEN({ problem: 'its origin is another one' })
}

/** In the same time wherever they differ. */
function isSame(given: string, token: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest()
  return timingSafeEqual(digest(given), digest(token))
}

/** Without the port, which a tunnel may change. */
function hostName(host: string): string {
  const [, bracketed, plain] = /^(?:\[([^\]]*)\]|([^:]*))(?::\d*)?$/.exec(host.toLowerCase()) ?? []
  return bracketed ?? plain ?? ''
}

function hostOf(origin: string): string | undefined {
  try {
    return new URL(origin).host
  } catch {
    return undefined
  }
}
