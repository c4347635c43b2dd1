import { readFile } from 'node:fs/promises'
import { HTTP_ADDRESS_INVALID, HTTP_APART, HTTP_TOKEN_MISSING, HTTP_TOKEN_UNFIT } from '../../../core/httpErrors.js'
import type { HttpSettings } from '../config/readHttp.js'
import { type HttpAddress, isLoopback, parseAddress } from './address.js'

export interface HttpChoice {
  readonly address: HttpAddress
  readonly token: string | undefined
}

/** A file and what it says. */
export interface FileHttp {
  readonly path: string
  readonly http: HttpSettings | undefined
}

/**
 * Where the process listens, and who may ask, by the command line or else by the files of its pipelines; undefined: nowhere. Throws
 * what is wrong with it.
 */
export async function chooseHttp(given: HttpSettings, files: readonly FileHttp[]): Promise<HttpChoice | undefined> {
  const settings = combined(given, ofFiles(given, files))
  if (settings.http === undefined) return undefined
  const address = parseAddress(settings.http)
  if (address === undefined) throw HTTP_ADDRESS_INVALID({ address: settings.http })
  const token = await tokenOf(settings)
  if (token === undefined && !isLoopback(address.host)) throw HTTP_TOKEN_MISSING({ address: settings.http })
  return { address, token }
}

function combined(given: HttpSettings, files: HttpSettings): HttpSettings {
  const hasToken = given.httpToken !== undefined || given.httpTokenFile !== undefined
  return { ...(hasToken ? given : files), http: given.http ?? files.http }
}

function ofFiles(given: HttpSettings, files: readonly FileHttp[]): HttpSettings {
  const [first, ...more] = files.filter(({ http }) => http !== undefined)
  if (first === undefined) return {}
  const needed = (http: HttpSettings) => JSON.stringify({ ...http, http: given.http ?? http.http })
  const other = more.find(({ http }) => needed(http!) !== needed(first.http!))
  if (other !== undefined) throw HTTP_APART({ one: first.path, other: other.path })
  return first.http!
}

async function tokenOf({ httpToken, httpTokenFile }: HttpSettings): Promise<string | undefined> {
  if (httpToken === undefined && httpTokenFile === undefined) return undefined
  const token = httpToken ?? (await readToken(httpTokenFile!))
  if (token.length < 16) throw HTTP_TOKEN_UNFIT({ problem: 'it is shorter than 16 characters' })
  if (!/^[\x21-\x7e]{1,1000}$/.test(token)) throw HTTP_TOKEN_UNFIT({ problem: 'it has other characters, or too many' })
  return token
}

async function readToken(path: string): Promise<string> {
  try {
    return (await readFile(path, 'utf8')).trim()
  } catch (cause) {
    throw HTTP_TOKEN_UNFIT({ problem: `its file cannot be read: ${(cause as Error).message}` }, { cause })
  }
}
