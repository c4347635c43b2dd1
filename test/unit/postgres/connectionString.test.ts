import { chmod, mkdir, writeFile } from 'node:fs/promises'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  type ConnectionOptions,
  describeConnection,
  parseConnectionString,
} from '../../../src/postgres/connectionString.js'
import { temporaryFolder } from '../../support/temporaryFolder.js'
import { testCa } from '../../support/tls.js'

/** Nobody's home, so that nothing of this machine counts. */
const HOME = { HOME: '/nowhere' }
const ourselves = userInfo().username
const parse = (text?: string, env: Record<string, string> = {}) => parseConnectionString(text, { ...HOME, ...env })
const hostOf = (text: string, env?: Record<string, string>) => parse(text, env).hosts[0]

const localhost = { name: 'localhost', address: undefined, port: 5432 }

describe('a URL', () => {
  test.each<[string, Partial<ConnectionOptions>, object?]>([
    [
      'postgres://app:secret@db.example.com:6543/shop',
      { user: 'app', password: 'secret', database: 'shop' },
      { name: 'db.example.com', port: 6543 },
    ],
    ['postgresql://app@db/shop', { password: undefined }, { name: 'db', port: 5432 }],
    ['postgres://app@db', { database: 'app' }],
    ['postgres://', { user: ourselves, database: ourselves }, localhost],
    ['postgres:///shop', { database: 'shop' }, localhost],
    ['postgres://app:s@/shop', { user: 'app', password: 's' }, localhost],
    ['postgres://[::1]:5433/shop', {}, { name: '::1', port: 5433 }],
    ['postgres://a%40b:p%3Aw%2F%25@db/caf%C3%A9', { user: 'a@b', password: 'p:w/%', database: 'café' }],
    ['postgres:///shop?host=/run/postgresql', {}, { name: '/run/postgresql' }],
    ['postgres://%2Frun%2Fpostgresql:5433/shop', {}, { name: '/run/postgresql', port: 5433 }],
    [
      'postgres://x/y?host=h&port=1&dbname=d&user=u&password=p',
      { database: 'd', user: 'u', password: 'p' },
      { name: 'h', port: 1 },
    ],
    [
      'postgres://db/shop?application_name=my%20app&connect_timeout=3',
      { applicationName: 'my app', connectTimeoutMs: 3000 },
    ],
    ['postgres://db/shop', { applicationName: 'tailrace', connectTimeoutMs: 10_000 }],
    ['postgres://db/shop?fallback_application_name=mine', { applicationName: 'mine' }],
    // libpq does not make a space of a plus, nor a fragment of a "#", and the last of a name counts
    ['postgres://db/shop?user=a+b&user=c+d', { user: 'c+d' }],
    ['postgres://app:1#2@db/shop?application_name=a#b', { password: '1#2', applicationName: 'a#b' }],
    ['postgres://app:p@ss@db/shop', { user: 'app', password: 'p@ss' }, { name: 'db' }],
    [' postgres://db/shop?application_name=me%40home\n', { database: 'shop', applicationName: 'me@home' }],
    ['postgres://db/shop?user=me@azure', { user: 'me@azure' }],
    ['postgres://db?dbname=shop', { database: 'shop' }, { name: 'db' }],
    ['postgres://db/shop?options=-c%20geqo=off', { serverOptions: '-c geqo=off' }],
  ])('%s', (text, expected, host = {}) => {
    expect(parse(text)).toMatchObject(expected)
    expect(hostOf(text)).toMatchObject(host)
  })
})

describe('keywords and values', () => {
  test.each<[string, Partial<ConnectionOptions>, object?]>([
    ['host=db port=6543 dbname=shop user=app', { user: 'app', database: 'shop' }, { name: 'db', port: 6543 }],
    ["  host = db\n\tdbname= 'two words' ", { database: 'two words' }, { name: 'db' }],
    [String.raw`host=db password='it\'s \\ here' user=a\ b`, { password: String.raw`it's \ here`, user: 'a b' }],
    ["host=db password='' user=u", { password: undefined }],
    ['host=/run/postgresql user=u', {}, { name: '/run/postgresql' }],
    ['host=db user=u password=a=b&c%20#', { password: 'a=b&c%20#' }],
    ['user=first user=u', { user: 'u' }],
    ['user=u application_name=blank\\ ', { applicationName: 'blank ' }],
    ['connect_timeout=-1', { connectTimeoutMs: 0 }],
    ['connect_timeout=0', { connectTimeoutMs: 0 }],
    ['keepalives=0', { keepAlive: false }],
    ['keepalives_idle=30', { keepAlive: true, keepAliveIdleMs: 30_000 }],
    ['requirepeer=postgres host=db keepalives_count=3 tcp_user_timeout=9', {}],
    ['krbsrvname=postgres gsslib=gssapi gssencmode=prefer sslcompression=1 max_protocol_version=latest', {}],
    ['client_encoding=auto', {}],
    ['target_session_attrs=prefer-standby load_balance_hosts=random', { target: 'prefer-standby', drawsHosts: true }],
    ['channel_binding=require', { channelBinding: 'require' }],
    ['require_auth=scram-sha-256,none', { acceptedLogins: new Set(['scram-sha-256', 'none'] as const) }],
    ['require_auth=!password,!md5,!gss,!sspi,!oauth', { acceptedLogins: new Set(['scram-sha-256', 'none'] as const) }],
    ['require_auth=', { acceptedLogins: undefined }],
  ])('%s', (text, expected, host = {}) => {
    expect(parse(text)).toMatchObject(expected)
    expect(hostOf(text)).toMatchObject(host)
  })

  test('whatever is quoted is read back', () => {
    const quote = (text: string) => `'${text.replace(/[\\']/g, String.raw`\$&`)}'`
    fc.assert(
      fc.property(fc.string({ minLength: 1 }), fc.constantFrom('', ' ', '\n \t'), (value, blank) => {
        const text = `password${blank}=${blank}${quote(value)}${blank || ' '}user = u`
        expect(parse(text)).toMatchObject({ password: value, user: 'u' })
      }),
    )
  })
})

describe('several hosts', () => {
  test.each<[string, (readonly [string, number])[]]>([
    [
      'postgres://a:1,b:2/d',
      [
        ['a', 1],
        ['b', 2],
      ],
    ],
    [
      'postgres://a,b:2/d',
      [
        ['a', 5432],
        ['b', 2],
      ],
    ],
    [
      'postgres://u:p@a,[::1]:3,%2Frun/d',
      [
        ['a', 5432],
        ['::1', 3],
        ['/run', 5432],
      ],
    ],
    [
      'postgres://a,b/d?port=7',
      [
        ['a', 7],
        ['b', 7],
      ],
    ],
    [
      'host=a,b port=1,2',
      [
        ['a', 1],
        ['b', 2],
      ],
    ],
    [
      'host=a,b,c port=,2,',
      [
        ['a', 5432],
        ['b', 2],
        ['c', 5432],
      ],
    ],
    [
      'host=a,b port=9',
      [
        ['a', 9],
        ['b', 9],
      ],
    ],
    [
      'host=a,',
      [
        ['a', 5432],
        ['localhost', 5432],
      ],
    ],
  ])('%s', (text, expected) => {
    expect(parse(text).hosts.map(({ name, port }) => [name, port])).toEqual(expected)
    expect(describeConnection({ ...parse(text), user: 'u', database: 'd' })).toBe(
      `postgres://u@${expected.map(([name, port]) => (name.includes(':') ? `[${name}]:${port}` : `${name}:${port}`))}/d`,
    )
  })

  test('hostaddr stands beside the name, or alone', () => {
    expect(parse('host=a,b hostaddr=10.0.0.1,::1').hosts).toEqual([
      { name: 'a', address: '10.0.0.1', port: 5432 },
      { name: 'b', address: '::1', port: 5432 },
    ])
    expect(parse('hostaddr=10.0.0.1 host=').hosts).toEqual([{ name: '', address: '10.0.0.1', port: 5432 }])
    expect(parse('host=a,b hostaddr=,10.0.0.1').hosts.map(({ address }) => address)).toEqual([undefined, '10.0.0.1'])
  })
})

describe('what the string leaves out', () => {
  const services = `
# ours
[other]
host=wrong
[shop]
host=from-service
dbname=from service
  port=7777
application_name=first
application_name=second
[shop]
user=never
`

  test('comes from the service, then from the environment, then from the defaults', async () => {
    await using folder = await temporaryFolder()
    const file = join(folder.path, 'services')
    await writeFile(file, services)
    const env = {
      PGSERVICEFILE: file,
      PGHOST: 'from-env',
      PGPORT: '1',
      PGUSER: 'env',
      PGPASSWORD: 'secret',
      PGAPPNAME: 'env',
    }
    const expected = { user: 'env', password: 'secret', applicationName: 'first' }
    for (const [text, more] of [
      ['service=shop dbname=own', {}],
      ['postgres:///own?service=shop', {}],
      ['dbname=own', { PGSERVICE: 'shop' }],
      [`service=shop dbname=own servicefile='${file}'`, { PGSERVICEFILE: '/nowhere' }],
    ] as const) {
      const options = parse(text, { ...env, ...more })
      expect(options).toMatchObject({ ...expected, database: 'own' })
      expect(options.hosts).toEqual([{ name: 'from-service', address: undefined, port: 7777 }])
    }
    expect(parse('service=shop', env).database).toBe('from service')
    expect(parse('service=other', env)).toMatchObject({ hosts: [{ name: 'wrong', port: 1 }] })
    expect(parse('', env)).toMatchObject({
      hosts: [{ name: 'from-env', port: 1 }],
      database: 'env',
      applicationName: 'env',
    })
    expect(parse('postgres://own:pw@db/shop', env)).toMatchObject({ user: 'own', password: 'pw' })
  })

  test("is looked for in the user's service file, then in the system's", async () => {
    await using home = await temporaryFolder()
    await using system = await temporaryFolder()
    await writeFile(join(home.path, '.pg_service.conf'), '[a]\nuser=mine\n')
    await writeFile(join(system.path, 'pg_service.conf'), '[a]\nuser=all\n[b]\nuser=b\n')
    const env = { HOME: home.path, PGSYSCONFDIR: system.path }
    expect(parse('service=a', env).user).toBe('mine')
    expect(parse('service=b', env).user).toBe('b')
    expect(() => parse('service=c', env)).toThrow(
      `service "c" is defined in none of ${home.path}/.pg_service.conf, ${system.path}/pg_service.conf`,
    )
    expect(() => parse('service=a', { ...env, PGSERVICEFILE: '/nowhere' })).toThrow('/nowhere cannot be read (ENOENT)')
  })

  test('every variable of libpq is read', () => {
    expect(
      parse('', {
        PGHOST: 'a,b',
        PGHOSTADDR: '10.0.0.1,10.0.0.2',
        PGPORT: '1,2',
        PGDATABASE: 'd',
        PGUSER: 'u',
        PGPASSFILE: '/pass',
        PGOPTIONS: '-c geqo=off',
        PGGEQO: 'on',
        PGAPPNAME: 'app',
        PGSSLMODE: 'require',
        PGSSLSNI: '0',
        PGSSLMINPROTOCOLVERSION: 'tlsv1.3',
        PGCHANNELBINDING: 'require',
        PGCONNECT_TIMEOUT: ' 7 ',
        PGTARGETSESSIONATTRS: 'primary',
        PGLOADBALANCEHOSTS: 'random',
        PGREQUIREAUTH: 'md5',
        PGCLIENTENCODING: 'utf-8',
        PGSSLCERTMODE: 'disable',
        PGSSLNEGOTIATION: 'direct',
        PGREQUIREPEER: 'postgres',
        PGGSSENCMODE: 'disable',
      }),
    ).toMatchObject({
      hosts: [
        { name: 'a', address: '10.0.0.1', port: 1 },
        { name: 'b', address: '10.0.0.2', port: 2 },
      ],
      database: 'd',
      user: 'u',
      passwordFile: '/pass',
      serverOptions: '-c geqo=on -c geqo=off',
      applicationName: 'app',
      tls: { mode: 'require', namesHost: false, minVersion: 'TLSv1.3', sendsCertificate: false, direct: true },
      channelBinding: 'require',
      connectTimeoutMs: 7000,
      target: 'primary',
      drawsHosts: true,
      acceptedLogins: new Set(['md5']),
    })
    expect(parse('', { PGHOST: 'h', PGREQUIRESSL: '1' }).tls.mode).toBe('require')
    expect(parse('', { PGHOST: 'h', PGREQUIRESSL: '1', PGSSLMODE: 'disable' }).tls.mode).toBe('disable')
  })

  test('without a string the environment has to name a place', () => {
    expect(() => parse(undefined, { PGPASSWORD: 'x', PGSSLMODE: 'disable' })).toThrow(
      expect.objectContaining({ code: 'CONNECTION_MISSING', hint: expect.stringMatching(/--url.*PGHOST/) }),
    )
    expect(parse(undefined, { PGDATABASE: 'shop' })).toMatchObject({ database: 'shop', hosts: [localhost] })
  })
})

describe('sslmode', () => {
  test('is prefer, and verify-full where every authority of the system is trusted', () => {
    expect(parse('host=db').tls.mode).toBe('prefer')
    expect(parse('host=db sslrootcert=system').tls.mode).toBe('verify-full')
    expect(parse('postgres://db/d?ssl=true').tls.mode).toBe('require')
    expect(parse('host=db requiressl=1').tls.mode).toBe('require')
  })

  test("finds the authority's certificate in the home folder, and misses it only where it must verify", async () => {
    await using home = await temporaryFolder()
    const env = { HOME: home.path }
    expect(() => parse('host=db sslmode=verify-ca', env)).toThrow(`${home.path}/.postgresql/root.crt is not there`)
    expect(parse('host=/run sslmode=verify-ca', env).tls.mode).toBe('verify-ca')
    await mkdir(join(home.path, '.postgresql'))
    await writeFile(join(home.path, '.postgresql/root.crt'), testCa)
    expect(parse('host=db sslmode=verify-ca', env).tls.mode).toBe('verify-ca')
    await writeFile(join(home.path, '.postgresql/root.crt'), 'rubbish')
    for (const mode of ['prefer', 'require']) {
      expect(() => parse(`host=db sslmode=${mode}`, env)).toThrow('holds no certificate in PEM')
    }
    expect(parse('host=db sslmode=disable', env).tls.mode).toBe('disable')
  })

  test('an sslkey that others may read is refused, as is one without its certificate', async () => {
    await using folder = await temporaryFolder()
    const key = join(folder.path, 'a.key')
    await writeFile(key, 'PEM', { mode: 0o600 })
    expect(() => parse(`host=db sslkey='${key}'`)).toThrow('no certificate for it (sslcert)')
    const cert = join(folder.path, 'a.crt')
    await writeFile(cert, testCa)
    expect(() => parse(`host=db sslkey='${key}' sslcert='${cert}'`)).toThrow('the TLS files cannot be used together')
    await chmod(key, 0o644)
    expect(() => parse(`host=db sslkey='${key}' sslcert='${cert}'`)).toThrow(
      /may be read by others \(mode 0644\): chmod 0600/,
    )
    expect(() => parse(`host=db sslcert='${cert}'`)).toThrow(
      'sslkey "/nowhere/.postgresql/postgresql.key" cannot be read',
    )
  })
})

test('a connection is described without its password', () => {
  const described = describeConnection(parse('postgres://app:hunter2@db:6543/shop?sslmode=require'))
  expect(described).toBe('postgres://app@db:6543/shop')
})
