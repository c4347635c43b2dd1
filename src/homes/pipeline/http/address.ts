import { isIP, isIPv4 } from 'node:net'

/** Where the HTTP interface listens. */
export interface HttpAddress {
  /** A name or an address, of IPv6 without brackets. */
  readonly host: string
  /** 0: a free one. */
  readonly port: number
}

const LOOPBACK = '127.0.0.1'

/** `127.0.0.1:8080`, `[::1]:8080`, `name:8080`, or a port of 127.0.0.1; undefined: it is none of these. */
export function parseAddress(text: string): HttpAddress | undefined {
  const [, bracketed, plain, digits] = /^(?:\[([^\]]+)\]:|([^:[\]/\s]+):)?(\d{1,5})$/.exec(text.trim()) ?? []
  const port = Number(digits)
  if (digits === undefined || port > 65_535) return undefined
  if (bracketed !== undefined) return isIP(bracketed) === 6 ? { host: bracketed, port } : undefined
  return { host: plain ?? LOOPBACK, port }
}

/** As it stands in a URL. */
export function formatAddress({ host, port }: HttpAddress): string {
  return `${host.includes(':') ? `[${host}]` : host}:${port}`
}

/** Whether nobody but programs of this machine can mean it. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIPv4(host) && host.startsWith('127.'))
}
