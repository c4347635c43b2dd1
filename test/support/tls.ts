import { readFileSync } from 'node:fs'

/** PEM texts of a throw-away authority; see tls/README.md for how they were made. */
export const testCa = read('ca.crt')

/** For a server at `localhost` or 127.0.0.1. With `ca: testCa` added it asks clients for certificates. */
export const serverTls = { cert: read('server.crt'), key: read('server.key') }

/** Proves to be user "postgres" where pg_hba.conf says `cert`. */
export const clientTls = { cert: read('client.crt'), key: read('client.key') }

/** An authority that signed nothing. */
export const otherCa = read('other-ca.crt')

/** What `testCa` has revoked: nothing, or the server's certificate. */
export const revocations = { none: read('none.crl'), server: read('server.crl') }

function read(file: string): string {
  return readFileSync(new URL(`tls/${file}`, import.meta.url), 'utf8')
}
