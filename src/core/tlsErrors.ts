import { defineError } from './tailraceError.js'

export const TLS_FILE_UNREADABLE = defineError('TLS_FILE_UNREADABLE', {
  retry: 'operator',
  message: (e: { setting: string; path: string; problem: string }) =>
    `cannot read ${e.path} (${e.setting}): ${e.problem}`,
  hint: 'Name a PEM file, readable for whoever runs the pipeline; relative paths begin at the pipeline’s file.',
})

const WRONG_NAME = 'ERR_TLS_CERT_ALTNAME_INVALID'

export const TLS_UNTRUSTED = defineError('TLS_UNTRUSTED', {
  retry: 'operator',
  message: (e: { url: string; problem: string; code: string }) =>
    `the certificate of ${e.url} is not accepted: ${e.problem}`,
  hint: (e) =>
    e.code === WRONG_NAME
      ? 'Connect by a name that stands in the certificate, or have one made for this name; another authority (tls_ca) does not mend that.'
      : 'Name the file with the certificate (PEM) of the authority that signed it: tls_ca of the sink or processor, or NODE_EXTRA_CA_CERTS for the whole process.',
})

/** By OpenSSL's names: who signed it is not trusted, or not at all for this. One that has expired may be renewed meanwhile. */
const UNTRUSTED = [
  WRONG_NAME,
  'CERT_REJECTED',
  'CERT_REVOKED',
  'CERT_UNTRUSTED',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'INVALID_CA',
  'INVALID_PURPOSE',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
]

/** What a connection failed with, if it was the server's certificate; `url` without credentials. */
export function untrusted(url: string, cause: unknown): ReturnType<typeof TLS_UNTRUSTED> | undefined {
  const { code, message } = (cause ?? {}) as NodeJS.ErrnoException
  if (code === undefined || !UNTRUSTED.includes(code)) return undefined
  return TLS_UNTRUSTED({ url, problem: message, code }, { cause })
}
