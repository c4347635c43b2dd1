import { readFileSync } from 'node:fs'
import * as z from 'zod'
import { setting } from './setting.js'
import { TLS_FILE_UNREADABLE } from './tlsErrors.js'

/** Of whatever connects to a server of the user's. */
export const tlsSettings = {
  tlsCa: setting(z.string().min(1).optional(), {
    description:
      'File with the certificates (PEM) of the authorities that vouch for the server’s, in place of the usual ones; beside the pipeline’s file if relative.',
    example: 'ca.pem',
  }),
  tlsInsecure: setting(z.boolean().default(false), {
    description: 'Take any certificate: whoever stands between can read and answer everything.',
  }),
}

/** How a server's certificate is looked at, as Node's TLS takes it. */
export interface TlsTrust {
  /** PEM; undefined: the authorities that Node trusts. */
  readonly ca: string | undefined
  readonly rejectUnauthorized: boolean
}

export interface TlsOptions {
  readonly tlsCa?: string | undefined
  readonly tlsInsecure: boolean
}

/** What is wrong with those settings where there is no TLS. */
export function* problemsWithoutTls(
  { tlsCa, tlsInsecure }: TlsOptions,
  needs: string,
): Generator<{ readonly name: string; readonly problem: string }> {
  if (tlsCa !== undefined) yield { name: 'tlsCa', problem: needs }
  if (tlsInsecure) yield { name: 'tlsInsecure', problem: needs }
}

/** `tlsCa` as a path. Error: TLS_FILE_UNREADABLE. */
export function readTrust({ tlsCa, tlsInsecure }: TlsOptions): TlsTrust {
  return {
    ca: tlsCa === undefined ? undefined : readPem('tls_ca', tlsCa, 'CERTIFICATE'),
    rejectUnauthorized: !tlsInsecure,
  }
}

/** A file with something of that kind. Error: TLS_FILE_UNREADABLE. */
export function readPem(setting: string, path: string, kind: string): string {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (cause) {
    throw TLS_FILE_UNREADABLE({ setting, path, problem: (cause as Error).message }, { cause })
  }
  if (new RegExp(`-----BEGIN [A-Z ]*${kind}-----`).test(text)) return text
  throw TLS_FILE_UNREADABLE({ setting, path, problem: `it has no ${kind.toLowerCase()} in PEM` })
}
