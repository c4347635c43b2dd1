import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { TailraceError } from '../../../core/tailraceError.js'
import { CONNECTION_PARAMETERS } from '../../../postgres/connection/parameters.js'
import { parseConnectionString } from '../../../postgres/connectionString.js'
import { type Fields, isFields } from '../readJson.js'

/** libpq's names of what JDBC calls otherwise. */
const JDBC: Readonly<Record<string, string>> = {
  connectTimeout: 'connect_timeout',
  ApplicationName: 'application_name',
}
const CERTIFICATES: Readonly<Record<string, string>> = {
  ca_certificate: 'sslrootcert',
  client_certificate: 'sslcert',
  client_key: 'sslkey',
}

/** The connection string of a configuration, in any of the ways that it can be written. */
export function connectionOf(given: Fields, problems: string[], warnings: string[]): string {
  const parameters: [string, string][] = []
  const host = text(given.host) ?? text(given.address)
  const uri = text(given.connectionURI)
  if (uri !== undefined && host !== undefined) {
    problems.push('of "connectionURI" and "host" (or "address") only one can be given')
  } else if (uri === undefined && host === undefined) {
    problems.push('"connectionURI", or "host", "database" and "username", are required')
  }
  if (uri === undefined && host !== undefined) parameters.push(...placeOf(given, host))
  if (uri !== undefined) warnings.push(...passedOver(given))
  const url = uri ?? ''
  parameters.push(...sslOf(given.ssl_mode), ...more(given.jdbc_url_params, warnings))
  const joined = joinUrl(url, parameters)
  if (problems.length > 0) return joined
  try {
    parseConnectionString(joined)
  } catch (error) {
    if (!(error instanceof TailraceError)) throw error
    problems.push(error.message)
  }
  return joined
}

/** What goes with `host`; a port may be there by default. */
function passedOver(given: Fields): string[] {
  return ['database', 'username', 'password']
    .filter((name) => text(given[name]) !== undefined)
    .map((name) => `"${name}" is passed over, since "connectionURI" is given: write it there`)
}

function placeOf(given: Fields, host: string): [string, string][] {
  // Estuary's address has its port behind it.
  const [, name, port] = /^(.*?)(?::(\d+))?$/.exec(host)!
  const places: [string, unknown][] = [
    ['host', given.host === undefined ? name : host],
    ['port', given.port ?? (given.host === undefined ? port : undefined) ?? 5432],
    ['dbname', given.database ?? 'postgres'],
    ['user', given.username],
    ['password', given.password],
  ]
  return places.flatMap(([key, value]) => (value === undefined ? [] : [[key, String(value)] as [string, string]]))
}

function sslOf(ssl: unknown): [string, string][] {
  if (!isFields(ssl) || typeof ssl.mode !== 'string') return []
  const files = Object.entries(CERTIFICATES).flatMap(([key, parameter]): [string, string][] => {
    const pem = text(ssl[key])
    return pem === undefined ? [] : [[parameter, certificateFile(key, pem)]]
  })
  const password = text(ssl.client_key_password)
  return [
    ['sslmode', ssl.mode],
    ...files,
    ...(password === undefined ? [] : ([['sslpassword', password]] as [string, string][])),
  ]
}

const BLOCK = /-----BEGIN ([A-Z0-9 ]+)-----([^:-]*)-----END \1-----/g

/** A field of one line makes blanks of line ends, or `\n` of two characters: nobody reads that as PEM. Pure. */
export function inLines(pem: string): string {
  return pem.replaceAll(BLOCK, (_, label: string, body: string) => {
    const lines = body.replaceAll('\\n', ' ').trim().split(/\s+/)
    return `\n-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`
  })
}

let folder: string | undefined

/** libpq's parameters name files: one that only we can read, which goes with the process. */
function certificateFile(name: string, pem: string): string {
  if (folder === undefined) {
    const made = mkdtempSync(join(tmpdir(), 'tailrace-airbyte-'))
    process.once('exit', () => rmSync(made, { recursive: true, force: true }))
    folder = made
  }
  const path = join(folder, `${name}.pem`)
  writeFileSync(path, inLines(pem), { mode: 0o600 })
  return path
}

function more(given: unknown, warnings: string[]): [string, string][] {
  const pairs = [...new URLSearchParams(text(given) ?? '')]
  return pairs.flatMap(([key, value]): [string, string][] => {
    const name = JDBC[key] ?? key
    if (CONNECTION_PARAMETERS.some((one) => one.name === name)) return [[name, value]]
    warnings.push(`"jdbc_url_params": ${key} is passed over`)
    return []
  })
}

/** Parameters behind a URL, or keywords and values behind others. */
function joinUrl(url: string, parameters: readonly (readonly [string, string])[]): string {
  if (parameters.length === 0) return url
  if (/^postgres(ql)?:\/\//.test(url)) {
    const query = parameters.map(([key, value]) => `${key}=${encodeURIComponent(value)}`).join('&')
    return `${url}${url.includes('?') ? '&' : '?'}${query}`
  }
  const pairs = parameters.map(([key, value]) => `${key}='${value.replaceAll(/[\\']/g, '\\$&')}'`)
  return [url, ...pairs].join(' ').trim()
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined
}
