import { Collector, type Given, invalid } from './given.js'

const SCHEME = /^postgres(?:ql)?:\/\//

export function isUrl(text: string): boolean {
  return SCHEME.test(text)
}

/**
 * Reads `postgres://user:password@host:port,host:port/database?parameter=value` ("Connection URIs" in the PostgreSQL
 * docs) as libpq does: a "+" is a plus, a "#" is a "#", and what is empty is not given. Unlike libpq it takes the last
 * "@" before the "/" for the end of a password that has one, and refuses what would make a host of a password's half.
 */
export function readUrl(text: string): Given {
  if (/\s/.test(text)) throw invalid('a blank or line break stands in the URL: escape it as %20 or %0A')
  const rest = text.replace(SCHEME, '')
  const [authority, path, query] = split(rest)
  const at = authority.lastIndexOf('@')
  const userinfo = authority.slice(0, Math.max(at, 0))
  const hidden = query.includes('@') || /(?:^|&)(?:ssl)?password=/.test(query)
  const collector = new Collector(hidden, '')
  const set = (name: string, encoded: string) => {
    if (encoded !== '') collector.set(name, decode(encoded))
  }
  const colon = userinfo.indexOf(':')
  set('user', colon < 0 ? userinfo : userinfo.slice(0, colon))
  set('password', colon < 0 ? '' : userinfo.slice(colon + 1))
  const hosts = authority
    .slice(at + 1)
    .split(',')
    .map(splitHost)
  set('host', hosts.map(([host]) => host).join(','))
  // An empty port is the default one; without any the environment may say.
  if (hosts.some(([, port]) => port !== '')) set('port', hosts.map(([, port]) => port).join(','))
  set('dbname', path)
  for (const parameter of query === '' ? [] : query.split('&')) {
    const equals = parameter.indexOf('=')
    if (equals < 0) throw invalid('a parameter behind the "?" has no "="')
    const [name, value] = [decode(parameter.slice(0, equals)), decode(parameter.slice(equals + 1))]
    // What JDBC calls it.
    if (name === 'ssl' && value === 'true') collector.set('sslmode', 'require')
    else collector.set(name, value)
  }
  return collector.given()
}

function split(rest: string): [authority: string, path: string, query: string] {
  const authority = /^[^/]*/.exec(rest)![0]
  // libpq takes all before the "@" for user and password; but of `db?user=me@home` it makes a host "home".
  if (/\?.*@/.test(authority)) throw unescaped()
  const mark = authority.indexOf('?')
  if (mark >= 0) return [authority.slice(0, mark), '', rest.slice(mark + 1)]
  const behind = rest.slice(authority.length + 1)
  const end = behind.indexOf('?')
  const path = end < 0 ? behind : behind.slice(0, end)
  // `postgres://u:1/2@db/shop` is a legal URL of host `u`, in which half a password passes for the database's name.
  if (path.includes('@')) throw unescaped()
  return [authority, path, end < 0 ? '' : behind.slice(end + 1)]
}

function unescaped(): Error {
  return invalid(
    'an "@" stands behind a "/" or "?": in user and password escape these as %2F and %3F, behind the host the "@" as %40',
  )
}

function splitHost(text: string): [host: string, port: string] {
  const match = /^(?:\[([^\]]+)\]|([^:[\]]*))(?::(.*))?$/.exec(text)
  if (match === null) throw invalid('it is no URL: a host is a name, an address, or an IPv6 address in brackets')
  return [match[1] ?? match[2] ?? '', match[3] ?? '']
}

function decode(text: string): string {
  let decoded: string
  try {
    decoded = decodeURIComponent(text)
  } catch {
    throw invalid('a "%" in it does not begin an escape of two hex digits')
  }
  if (decoded.includes('\0')) throw invalid('a %00 stands in it')
  return decoded
}
