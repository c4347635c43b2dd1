import { fileURLToPath } from 'node:url'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { TailraceError } from '../../../../src/core/tailraceError.js'
import { parseConnectionString } from '../../../../src/postgres/connectionString.js'

const parse = (text: string) => parseConnectionString(text, { HOME: '/nowhere' })

describe('what cannot be read is refused, without the password', () => {
  const secret = 'hunter2%20x'
  const caPath = fileURLToPath(new URL('../../../support/tls/ca.crt', import.meta.url))

  test.each<[string, string | RegExp]>([
    ['db.example.com', 'does not begin with postgres://'],
    [`mysql://app:${secret}@db/shop`, 'does not begin with postgres://'],
    [`postgres://app:${secret}@db:port/shop`, 'port "port" is no whole number from 1 to 65535'],
    [`postgres://app:${secret}@db:99999/shop`, 'port "99999" is no whole number'],
    [`postgres://app:${secret}@[::1/shop`, 'no URL'],
    [`postgres://app:${secret}%@db/shop`, 'a "%" in it'],
    ['postgres://app:12/3hunter2@db/shop', 'escape these as %2F and %3F'],
    ['postgres://app:12?3hunter2@db/shop', 'escape these as %2F and %3F'],
    ['postgres://db?user=app@hunter2', 'the "@" as %40'],
    ['postgres://app:1\nhunter2@db/shop', 'a blank or line break'],
    ['postgres://app:12/x?hunter2=1@db/shop', /unknown parameter$/],
    ['postgres://app:hunter2/x?port=1@db/shop', 'port is no whole number'],
    ['host=db password=my hunter2', 'has no "=" behind it'],
    ['host=db password=my hunter2=1', /unknown parameter$/],
    ["host=db password='it''hunter2'", 'has no "=" behind it'],
    ["host=db password='hunter2", 'a quoted value in it has no end'],
    ['host=db password=my port=hunter2', 'port is no whole number'],
    ['host=db password=my sslrootcert=/hunter2', 'sslrootcert cannot be read (ENOENT)'],
    ['host=db password=x service=hunter2', 'service is defined in none of'],
    ['hunter2', 'does not begin with postgres://, nor is it a list'],
    ['postgres://db/shop?password=1&hunter2', 'has no "="'],
    ['postgres://db/shop?password=1&hunter2=3', /unknown parameter$/],
    ['postgres://db/shop?password=1&sslmode=hunter2', 'sslmode is none of'],
    ['postgres://db/shop?password=1&sslrootcert=/hunter2', 'sslrootcert cannot be read (ENOENT)'],
    [`postgres://app:${secret}@db/shop?port=x`, 'port "x" is no whole number'],
    [`postgres://app:${secret}@db/shop?sslmode=on`, 'sslmode "on" is none of disable, allow'],
    [`postgres://app:${secret}@db/shop?ssl_mode=require`, 'unknown parameter "ssl_mode"; did you mean "sslmode"?'],
    [`postgres://app:${secret}@db/shop?connect_timeout=1.5`, 'connect_timeout "1.5" is no whole number'],
    ['host=a,b port=1,2,3', '3 ports and 2 hosts'],
    ['host=a,b hostaddr=10.0.0.1', '2 hosts and 1 values of hostaddr'],
    ['host=a hostaddr=name', 'hostaddr "name" is no address'],
    ['hots=a', 'unknown parameter "hots"; did you mean "host"?'],
    ['host=a user=', 'no user is given'],
    ['target_session_attrs=readwrite', 'did you mean "read-write"?'],
    ['channel_binding=yes', 'channel_binding "yes" is none of disable, prefer, require'],
    ['load_balance_hosts=on', 'is none of disable, random'],
    ['client_encoding=LATIN1', 'client_encoding "LATIN1" cannot be honoured'],
    ['gssencmode=require', 'gssencmode "require" cannot be honoured'],
    ['replication=database', 'replication "database" cannot be honoured'],
    ['host=/run requirepeer=postgres', 'requirepeer "postgres" cannot be honoured'],
    ['sslcertmode=require', 'sslcertmode "require" cannot be honoured'],
    ['min_protocol_version=3.2', 'min_protocol_version "3.2" cannot be honoured'],
    ['oauth_issuer=x', 'oauth_issuer "x" cannot be honoured'],
    ['oauth_client_secret=hunter2', 'oauth_client_secret cannot be honoured'],
    ['require_auth=md5,!password', 'with and without "!"'],
    ['require_auth=md5,md5', 'names one way twice'],
    ['require_auth=scram', 'is no list of password, md5, '],
    ['sslmode=require sslrootcert=system', 'too weak for sslrootcert=system'],
    ['sslnegotiation=direct', 'too weak for sslnegotiation=direct'],
    ['ssl_min_protocol_version=SSLv3', 'is none of TLSv1, '],
    ['ssl_min_protocol_version=TLSv1.3 ssl_max_protocol_version=TLSv1.2', 'is above'],
    ['sslcrl=/nowhere/crl host=db', 'no authority to verify with'],
    ['sslcrl=/nowhere/crl host=db sslrootcert=CA', 'sslcrl "/nowhere/crl" cannot be read'],
    [`postgres://app:${secret}@db/shop?sslrootcert=/nowhere/ca.crt`, 'sslrootcert "/nowhere/ca.crt" cannot be read'],
  ])('%s', (text, problem) => {
    let error: (Error & { code?: string; cause?: unknown }) | undefined
    try {
      parse(text.replace('=CA', `=${caPath}`))
    } catch (thrown) {
      error = thrown as Error
    }
    expect(error).toMatchObject({ code: 'CONNECTION_STRING_INVALID' })
    if (typeof problem === 'string') expect(error!.message).toContain(problem)
    else expect(error!.message).toMatch(problem)
    expect(`${error} ${error!.stack} ${JSON.stringify(error)} ${error!.cause}`).not.toContain('hunter2')
  })
})

describe('whatever the password is', () => {
  /** Letters that no message of ours has, and what means something in a URL. */
  const marks = [...'QZJ79']
  const password = fc
    .array(fc.oneof(fc.constantFrom(...marks), fc.constantFrom(...'/?#@:%&=+[]\\^|<> \t\n"\'`;,.é☃')), {
      maxLength: 12,
    })
    .map((characters) => characters.join(''))
  const urls: readonly ((password: string) => string)[] = [
    (one) => `postgres://app:${one}@db/shop`,
    (one) => `postgres://app:${one}@db:port/shop`,
    (one) => `postgres://app:${one}@db/shop?sslmode=on`,
    (one) => `postgres://app:${one}@/shop?host=/run&unknown=1`,
    (one) => `postgres://db/shop?user=app&password=${one}`,
    (one) => `postgres://db/shop?password=${one}&sslmode=on`,
    (one) => `postgres://db/shop?sslmode=require&sslpassword=${one}&port=x`,
    (one) => `postgres://db/shop?password=1&sslrootcert=/nowhere&sslcert=${one}`,
    (one) => `postgres://db/shop?password=${one}&sslkey=${one}`,
    (one) => `postgres://app:${one}@a,b:x/shop`,
    (one) => `host=db password=${one} port=x`,
    (one) => `host=db password='${one}' sslmode=on`,
    (one) => `password=${one} unknown=1`,
    (one) => `sslpassword = ${one} sslrootcert=/nowhere`,
    (one) => one,
  ]

  test('no error has a piece of it, as it is or escaped', () => {
    let refused = 0
    fc.assert(
      fc.property(password, fc.constantFrom(...urls), fc.boolean(), (drawn, url, escaped) => {
        const written = escaped ? encodeURIComponent(drawn) : drawn
        try {
          parse(url(written))
        } catch (error) {
          refused++
          const { message, hint, details, cause } = error as TailraceError
          const told = [message, hint, JSON.stringify(details), JSON.stringify(cause), String(cause)].join('\n')
          for (const piece of [...piecesOf(drawn), ...piecesOf(written)]) expect(told).not.toContain(piece)
        }
      }),
      { numRuns: 3000 },
    )
    expect(refused).toBeGreaterThan(500)
  })

  test('it is read as it is when it is escaped', () => {
    fc.assert(
      fc.property(password, (drawn) => {
        const escaped = encodeURIComponent(drawn)
        expect(parse(`postgres://app:${escaped}@db/shop`).password ?? '').toBe(drawn)
        expect(parse(`postgres://db/shop?password=${escaped}`).password ?? '').toBe(drawn)
      }),
    )
  })

  function piecesOf(text: string): string[] {
    const pieces = [...text].map((_, index) => [...text].slice(index, index + 3).join(''))
    return pieces.filter((piece) => [...piece].length === 3 && marks.some((mark) => piece.includes(mark)))
  }
})
