import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import type { TailraceError } from '../../../src/core/tailraceError.js'
import {
  type ConnectionOptions,
  describeConnection,
  parseConnectionString,
} from '../../../src/postgres/connectionString.js'
import { temporaryFolder } from '../../support/temporaryFolder.js'

beforeEach(() => {
  for (const name of ['PGUSER', 'PGPASSWORD', 'USER']) vi.stubEnv(name, undefined)
})
afterEach(() => {
  vi.unstubAllEnvs()
})

const parse = parseConnectionString

describe('a URL', () => {
  test.each<[string, Partial<ConnectionOptions>]>([
    [
      'postgres://app:secret@db.example.com:6543/shop',
      { user: 'app', password: 'secret', host: 'db.example.com', port: 6543, database: 'shop' },
    ],
    ['postgresql://app@db/shop', { host: 'db', port: 5432, password: undefined, sslMode: 'prefer' }],
    ['postgres://app@db', { database: 'app' }],
    ['postgres://', { host: 'localhost', user: 'postgres', database: 'postgres' }],
    ['postgres:///shop', { host: 'localhost', database: 'shop' }],
    ['postgres://app:s@/shop', { host: 'localhost', user: 'app', password: 's' }],
    ['postgres://[::1]:5433/shop', { host: '::1', port: 5433 }],
    ['postgres://a%40b:p%3Aw%2F%25@db/caf%C3%A9', { user: 'a@b', password: 'p:w/%', database: 'café' }],
    ['postgres:///shop?host=/run/postgresql', { host: '/run/postgresql', sslMode: 'disable' }],
    ['postgres://%2Frun%2Fpostgresql/shop', { host: '/run/postgresql', sslMode: 'disable' }],
    ['postgres:///shop?host=/run/pg&sslmode=verify-full', { sslMode: 'disable' }],
    [
      'postgres://x/y?host=h&port=1&dbname=d&user=u&password=p',
      { host: 'h', port: 1, database: 'd', user: 'u', password: 'p' },
    ],
    [
      'postgres://db/shop?application_name=my%20app&connect_timeout=3',
      { applicationName: 'my app', connectTimeoutMs: 3000 },
    ],
    ['postgres://db/shop', { applicationName: 'tailrace', connectTimeoutMs: 10_000 }],
    // libpq does not make a space of a plus, and the last of a name counts
    ['postgres://db/shop?user=a+b&user=c+d', { user: 'c+d' }],
    ['postgres://app:p@ss@db/shop', { user: 'app', password: 'p@ss', host: 'db' }],
    [' postgres://db/shop?application_name=me%40home\n', { database: 'shop', applicationName: 'me@home' }],
  ])('%s', (text, expected) => {
    expect(parse(text)).toMatchObject(expected)
  })

  test('takes user and password of the environment where it has none', () => {
    vi.stubEnv('PGUSER', 'env')
    vi.stubEnv('PGPASSWORD', 'from env')
    expect(parse('postgres://db/shop')).toMatchObject({ user: 'env', password: 'from env' })
    expect(parse('postgres://own:pw@db/shop')).toMatchObject({ user: 'own', password: 'pw' })
  })
})

describe('sslmode', () => {
  test.each<[string, boolean, boolean]>([
    // sslmode, whether the chain is verified, whether the name is
    ['disable', false, false],
    ['allow', false, false],
    ['prefer', false, false],
    ['require', false, false],
    ['verify-ca', true, false],
    ['verify-full', true, true],
  ])('%s', (mode, chain, name) => {
    const { sslMode, ssl } = parse(`postgres://db/shop?sslmode=${mode}`)
    expect(sslMode).toBe(mode)
    expect(ssl.rejectUnauthorized !== false).toBe(chain)
    expect(chain && ssl.checkServerIdentity === undefined).toBe(name)
  })

  test('require verifies the chain when there is a root certificate, as libpq does', async () => {
    await using folder = await temporaryFolder()
    const path = join(folder.path, 'ca.crt')
    await writeFile(path, 'PEM')
    const { ssl } = parse(`postgres://db/shop?sslmode=require&sslrootcert=${path}`)
    expect(ssl.rejectUnauthorized).not.toBe(false)
    expect(ssl.ca).toEqual(Buffer.from('PEM'))
    expect(ssl.checkServerIdentity?.('db', {} as never)).toBeUndefined()
  })

  test('sslrootcert=system is what Node trusts by itself', () => {
    expect(parse('postgres://db/shop?sslmode=verify-full&sslrootcert=system').ssl.ca).toBeUndefined()
  })
})

describe('what cannot be read is refused, without the password', () => {
  const secret = 'hunter2%20x'

  test.each<[string, string | RegExp]>([
    ['', 'does not begin with postgres://'],
    ['db.example.com', 'does not begin with postgres://'],
    [`mysql://app:${secret}@db/shop`, 'does not begin with postgres://'],
    [`postgres://app:${secret}@db:port/shop`, 'no URL'],
    [`postgres://app:${secret}@db:99999/shop`, 'no URL'],
    [`postgres://app:${secret}%@db/shop`, 'a "%" in it'],
    ['postgres://app:12/3hunter2@db/shop', 'escape these as %2F, %3F and %23'],
    ['postgres://app:12?3hunter2@db/shop', 'escape these as %2F, %3F and %23'],
    ['postgres://app:12#3hunter2@db/shop', 'escape these as %2F, %3F and %23'],
    ['postgres://db/shop?user=app@hunter2', 'the "@" as %40'],
    ['postgres://db/shop?password=1#hunter2', 'escape it as %23'],
    ['postgres://app:1\nhunter2@db/shop', 'a tab or line break'],
    ['postgres://db/shop?password=1&hunter2', 'has no "="'],
    ['postgres://db/shop?password=1&hunter2=3', /unknown parameter$/],
    ['postgres://db/shop?password=1&sslmode=hunter2', 'sslmode is none of'],
    ['postgres://db/shop?password=1&sslrootcert=/hunter2', 'sslrootcert cannot be read (ENOENT)'],
    [`postgres://app:${secret}@db/shop?port=x`, 'port "x" is no whole number'],
    [`postgres://app:${secret}@db/shop?sslmode=on`, 'sslmode "on" is none of disable, allow'],
    [`postgres://app:${secret}@db/shop?ssl_mode=require`, 'unknown parameter "ssl_mode"; did you mean "sslmode"?'],
    [`postgres://app:${secret}@db/shop?options=-c%20x`, 'unknown parameter "options"'],
    [`postgres://app:${secret}@db/shop?connect_timeout=-1`, 'connect_timeout "-1"'],
    [`postgres://app:${secret}@db/shop?sslrootcert=/nowhere/ca.crt`, 'sslrootcert "/nowhere/ca.crt" cannot be read'],
  ])('%s', (text, problem) => {
    let error: (Error & { code?: string; cause?: unknown }) | undefined
    try {
      parse(text)
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
      { numRuns: 2000 },
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

test('a connection is described without its password', () => {
  const described = describeConnection(parse('postgres://app:hunter2@db:6543/shop?sslmode=require'))
  expect(described).toBe('postgres://app@db:6543/shop')
})
