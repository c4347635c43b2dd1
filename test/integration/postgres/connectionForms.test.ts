import { createPrivateKey } from 'node:crypto'
import { appendFile, chmod, mkdir, writeFile } from 'node:fs/promises'
import { createServer, Socket } from 'node:net'
import { join } from 'node:path'
import { TLSSocket } from 'node:tls'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import type { EmbeddedPostgres } from '../../../src/cli/embedded/server.js'
import { parseConnectionString } from '../../../src/postgres/connectionString.js'
import { Session, type SessionOptions } from '../../../src/postgres/session.js'
import { type TestDatabase, testDatabase } from '../../support/database.js'
import { DEFAULT_MAJOR, prepareServer, startServer } from '../../support/servers.js'
import { readSource } from '../../support/sourceReader.js'
import { TcpProxy } from '../../support/tcpProxy.js'
import { type TemporaryFolder, temporaryFolder } from '../../support/temporaryFolder.js'
import { clientTls, otherCa, revocations, serverTls, testCa } from '../../support/tls.js'

// Logins by role: each line of pg_hba.conf is one way to be let in. The certificate of clientTls is of "postgres".
const HBA = `
local   all    all            trust
hostssl certs  postgres   all cert
host    certs  all        all reject
host    all    scram      all scram-sha-256
host    all    md5        all md5
host    all    clear      all password
hostssl all    secure     all trust
host    all    secure     all reject
hostssl all    plain      all reject
host    all    plain      all trust
host    all    all        all trust`

/** With TLS and every kind of login. */
let server: EmbeddedPostgres
/** Read-only, without TLS. */
let standby: EmbeddedPostgres
let db: TestDatabase
let folder: TemporaryFolder
beforeAll(async () => {
  folder = await temporaryFolder()
  ;[server, standby] = await Promise.all([
    startServer({ tls: { ...serverTls, ca: testCa }, unixSocket: true, hba: HBA }),
    prepareServer().then(async (prepared) => {
      await writeFile(join(prepared.dataFolder, 'standby.signal'), '')
      await prepared.restart()
      return prepared
    }),
  ])
  db = await testDatabase(server)
  await db.query(`
    SET password_encryption = 'scram-sha-256';
    CREATE ROLE scram LOGIN PASSWORD 's3cret'; CREATE ROLE clear LOGIN PASSWORD 's3cret';
    CREATE ROLE secure LOGIN; CREATE ROLE plain LOGIN;
    SET password_encryption = 'md5'; CREATE ROLE md5 LOGIN PASSWORD 's3cret'`)
  await db.query('CREATE DATABASE certs')
  const der = createPrivateKey(clientTls.key).export({ format: 'der', type: 'pkcs8' })
  const encrypted = createPrivateKey(clientTls.key).export({
    format: 'pem',
    type: 'pkcs8',
    cipher: 'aes-256-cbc',
    passphrase: 'k3ypass',
  })
  const files = {
    'ca.crt': testCa,
    'other.crt': otherCa,
    'none.crl': revocations.none,
    'server.crl': revocations.server,
  }
  for (const [name, text] of Object.entries(files)) await writeFile(file(name), text)
  await writeFile(file('client.crt'), clientTls.cert)
  for (const [name, key] of Object.entries({
    'client.key': clientTls.key,
    'client.der': der,
    'encrypted.key': encrypted,
  })) {
    await writeFile(file(name), key, { mode: 0o600 })
  }
})
afterAll(async () => {
  await db?.[Symbol.asyncDispose]()
  await Promise.all([server?.[Symbol.asyncDispose](), standby?.[Symbol.asyncDispose]()])
  await folder?.[Symbol.asyncDispose]()
})

type Variables = Readonly<Record<string, string>>

function file(name: string): string {
  return join(folder.path, name)
}

/** A home folder of its own with these files: `await using home = await homeWith({ '.pgpass': '…' })`. */
async function homeWith(files: Variables, mode = 0o600): Promise<TemporaryFolder> {
  const home = await temporaryFolder()
  await mkdir(join(home.path, '.postgresql'))
  for (const [name, text] of Object.entries(files)) await writeFile(join(home.path, name), text, { mode })
  return home
}

/** With the variables of an account that has none of its own. */
function connect(text: string | undefined, env: Variables = {}, options: SessionOptions = {}): Promise<Session> {
  return Session.connect(parseConnectionString(text, { HOME: '/nowhere', ...env }), options)
}

interface Facts {
  readonly user: string
  readonly database: string
  readonly tls: string | null
  readonly socket: boolean
  readonly application: string
}

/** What the server knows of a connection that it let in. */
async function facts(text: string | undefined, env: Variables = {}): Promise<Facts> {
  await using session = await connect(text, env)
  const [row] = await session.query<Facts & object>(`
    SELECT session_user AS user, current_database() AS database, s.version AS tls,
           pg_catalog.inet_client_addr() IS NULL AS socket,
           pg_catalog.current_setting('application_name') AS application
      FROM pg_catalog.pg_stat_ssl s WHERE s.pid = pg_catalog.pg_backend_pid()`)
  return row!
}

/** The code and text of a refusal; with nothing of a password in it. */
async function refusal(text: string, env: Variables = {}): Promise<string> {
  try {
    await using _ = await connect(text, env)
  } catch (thrown) {
    const error = thrown as Error & { code: string; hint: string; details: object; cause: unknown }
    const whole = [error, error.stack, error.hint, JSON.stringify(error.details), error.cause].join('\n')
    expect(whole).not.toMatch(/s3cret|k3ypass/)
    return `${error.code}: ${error.message}`
  }
  throw new Error(`it was let in: ${text}`)
}

/** Host, port and database of the server with TLS, as keywords. */
function at(more: string): string {
  return `host=127.0.0.1 port=${server.port} dbname=${db.name} user=postgres ${more}`
}

/** The same by the name that its certificate has. */
function named(more: string): string {
  return at(`host=localhost hostaddr=127.0.0.1 ${more}`)
}

describe('where to', () => {
  test('a URL, keywords and values, variables alone: all mean the same', async () => {
    const expected = { user: 'postgres', database: db.name, socket: false, tls: expect.stringMatching(/^TLS/) }
    const place = `127.0.0.1:${server.port}`
    const forms: [string | undefined, Variables?][] = [
      [`postgres://postgres@${place}/${db.name}`],
      [`postgresql://${place}/?user=postgres&dbname=${db.name}`],
      [`postgres:///${db.name}?host=127.0.0.1&port=${server.port}&user=postgres`],
      [at('')],
      [`host = '127.0.0.1' port = ${server.port} dbname = '${db.name}' user = post\\gres`],
      [undefined, { PGHOST: '127.0.0.1', PGPORT: `${server.port}`, PGDATABASE: db.name, PGUSER: 'postgres' }],
      [`dbname=${db.name}`, { PGHOSTADDR: '127.0.0.1', PGPORT: `${server.port}`, PGUSER: 'postgres' }],
    ]
    for (const [text, env] of forms) expect(await facts(text, env), text).toMatchObject(expected)
  })

  test('a Unix socket: in the path, as host, in PGHOST; without TLS whatever sslmode says', async () => {
    const socket = server.socketFolder
    const expected = { user: 'postgres', database: db.name, socket: true, tls: null }
    const encoded = encodeURIComponent(socket)
    const forms: [string, Variables?][] = [
      [`postgres://postgres@${encoded}:${server.port}/${db.name}`],
      [`postgres://postgres@/${db.name}?host=${socket}&port=${server.port}&sslmode=verify-full`],
      [`host=${socket} port=${server.port} dbname=${db.name} user=postgres`],
      [`dbname=${db.name} user=postgres`, { PGHOST: socket, PGPORT: `${server.port}` }],
    ]
    for (const [text, env] of forms) expect(await facts(text, env), text).toMatchObject(expected)
    expect(
      await refusal(`host=${socket} port=${server.port} dbname=${db.name} user=postgres channel_binding=require`),
    ).toMatch(/LOGIN_METHOD_REFUSED: .*the connection has no TLS/)
  })

  test('hostaddr is connected to, host is what the certificate is for', async () => {
    const full = `sslmode=verify-full sslrootcert=${file('ca.crt')}`
    expect(await facts(at(`host=localhost hostaddr=127.0.0.1 ${full}`))).toMatchObject({ socket: false })
    expect(await refusal(at(`host=elsewhere.invalid hostaddr=127.0.0.1 ${full}`))).toMatch(
      /CONNECTION_FAILED: .*altnames/,
    )
    expect(await facts(at(`host=elsewhere.invalid hostaddr=127.0.0.1`))).toMatchObject({ user: 'postgres' })
    expect(await refusal(at(`host='' hostaddr=127.0.0.1 ${full}`))).toContain('needs the name of the host')
  })

  test('a service, of the own file and of one that is named; the string has the last word, the variables the least', async () => {
    const text = `[shop]\nhost=127.0.0.1\nport=${server.port}\ndbname=${db.name}\nuser=plain\n`
    await using home = await homeWith({ '.pg_service.conf': text })
    const env = { HOME: home.path, PGUSER: 'nobody', PGDATABASE: 'nowhere' }
    expect(await facts('service=shop', env)).toMatchObject({ user: 'plain', database: db.name })
    expect(await facts(undefined, { ...env, PGSERVICE: 'shop' })).toMatchObject({ user: 'plain' })
    expect(await facts('postgres://secure@/?service=shop', env)).toMatchObject({ user: 'secure' })
    const there = { PGSERVICEFILE: join(home.path, '.pg_service.conf') }
    expect(await facts('service=shop user=secure', there)).toMatchObject({ user: 'secure', database: db.name })
    expect(await facts('service=shop', { PGSYSCONFDIR: await systemFolder(text) })).toMatchObject({ user: 'plain' })
    expect(await refusal('service=shpo', env)).toContain('service "shpo" is defined in none of')
  })

  async function systemFolder(text: string): Promise<string> {
    await mkdir(file('system'))
    await writeFile(file('system/pg_service.conf'), text)
    return file('system')
  }
})

describe('the password', () => {
  test('comes from the string, from PGPASSWORD, from the password file of the home or a named one', async () => {
    const expected = { user: 'scram' }
    await using home = await homeWith({
      '.pgpass': `# mine\nelsewhere:*:*:*:wrong\n127.0.0.1:${server.port}:*:scram:s3cret\n`,
    })
    const pass = join(home.path, '.pgpass')
    const forms: [string, Variables?][] = [
      [at('user=scram password=s3cret')],
      [`postgres://scram:s3cret@127.0.0.1:${server.port}/${db.name}`],
      [at('user=scram'), { PGPASSWORD: 's3cret' }],
      [at('user=scram'), { HOME: home.path }],
      [at('user=scram'), { PGPASSFILE: pass }],
      [at(`user=scram passfile='${pass}'`)],
      [at('user=md5 password=s3cret')],
      [at('user=clear password=s3cret')],
    ]
    for (const [text, env] of forms) {
      expect(await facts(text, env), text).toMatchObject(
        text.includes('=md5') || text.includes('=clear') ? {} : expected,
      )
    }
  })

  test('a password file that others may read is passed over, and the error says so', async () => {
    await using home = await homeWith({ '.pgpass': '*:*:*:*:s3cret\n' }, 0o644)
    const env = { HOME: home.path }
    expect(await refusal(at('user=scram'), env)).toMatch(
      /PASSWORD_MISSING: .*was passed over: others may read it \(mode 0644\)/,
    )
    await chmod(join(home.path, '.pgpass'), 0o600)
    expect(await facts(at('user=scram'), env)).toMatchObject({ user: 'scram' })
  })

  test('a wrong one and none at all are told apart', async () => {
    expect(await refusal(at('user=scram password=wrong'))).toMatch(/^LOGIN_REFUSED: .*password authentication failed/)
    expect(await refusal(at('user=scram'))).toMatch(/^PASSWORD_MISSING: /)
  })

  test('the driver looks for nothing by itself', async () => {
    const pass = file('drivers.pgpass')
    await writeFile(pass, '*:*:*:*:s3cret\n', { mode: 0o600 })
    const own = {
      PGPASSWORD: 's3cret',
      PGPASSFILE: pass,
      PGSSLMODE: 'disable',
      PGSSLNEGOTIATION: 'direct',
      PGREPLICATION: 'database',
      PGOPTIONS: '-c nonsense=1',
      PGAPPNAME: 'wrong',
      PGUSER: 'wrong',
      PGHOST: 'wrong',
      PGPORT: '1',
      PGDATABASE: 'wrong',
    }
    for (const [name, value] of Object.entries(own)) vi.stubEnv(name, value)
    try {
      expect(await refusal(at('user=scram'))).toMatch(/^PASSWORD_MISSING: /)
      expect(await facts(at(''))).toMatchObject({ application: 'tailrace', tls: expect.stringMatching(/^TLS/) })
    } finally {
      vi.unstubAllEnvs()
    }
  })
})

describe('TLS', () => {
  const TLS = expect.stringMatching(/^TLS/)

  test.each<[mode: string, user: string, tls: unknown]>([
    ['disable', 'postgres', null],
    ['allow', 'postgres', null],
    ['allow', 'secure', TLS],
    ['prefer', 'postgres', TLS],
    ['prefer', 'plain', null],
    ['require', 'postgres', TLS],
    ['require', 'secure', TLS],
  ])('sslmode=%s of %s', async (mode, user, tls) => {
    expect(await facts(at(`sslmode=${mode} user=${user}`))).toMatchObject({ user, tls })
  })

  test('sslmode=disable, or require, where the server wants the other is refused', async () => {
    expect(await refusal(at('sslmode=disable user=secure'))).toMatch(/LOGIN_REFUSED: .*28000/)
    expect(await refusal(at('sslmode=require user=plain'))).toMatch(/LOGIN_REFUSED: .*28000/)
  })

  test('a server without TLS does for disable, allow and prefer, and not for the others', async () => {
    const text = (more: string) => `host=127.0.0.1 port=${standby.port} user=postgres ${more}`
    for (const mode of ['disable', 'allow', 'prefer'])
      expect(await facts(text(`sslmode=${mode}`))).toMatchObject({ tls: null })
    for (const more of ['sslmode=require', `sslmode=verify-full sslrootcert=${file('ca.crt')}`]) {
      expect(await refusal(text(more))).toMatch(/CONNECTION_FAILED: .*the server has no TLS/)
    }
  })

  test('verify-ca wants the authority, verify-full the name too', async () => {
    const [ca, other] = [`sslrootcert=${file('ca.crt')}`, `sslrootcert=${file('other.crt')}`]
    const wrongName = 'host=elsewhere.invalid hostaddr=127.0.0.1'
    for (const more of [
      `sslmode=verify-ca ${ca}`,
      `sslmode=verify-ca ${ca} ${wrongName}`,
      `sslmode=verify-full ${ca}`,
      `sslmode=verify-full ${ca} host=127.0.0.1`,
      `sslmode=require ${ca} ${wrongName}`,
    ]) {
      expect(await facts(named(more)), more).toMatchObject({ tls: TLS })
    }
    expect(await refusal(named(`sslmode=verify-full ${ca} ${wrongName}`))).toMatch(
      /CONNECTION_FAILED: .*elsewhere\.invalid/,
    )
    for (const mode of ['require', 'verify-ca', 'verify-full']) {
      expect(await refusal(named(`sslmode=${mode} ${other}`))).toMatch(/CONNECTION_FAILED: .*certificate/)
    }
    await expect(connect(named(`sslmode=verify-ca ${other}`))).rejects.toMatchObject({
      hint: expect.stringContaining('sslrootcert'),
    })
    // libpq verifies where an authority is there, and prefer goes on without TLS when that fails
    expect(await facts(named(`sslmode=prefer ${other}`))).toMatchObject({ tls: null })
  })

  test('~/.postgresql/root.crt is the default, and its root.crl', async () => {
    await using good = await homeWith({ '.postgresql/root.crt': testCa })
    await using bad = await homeWith({ '.postgresql/root.crt': otherCa })
    await using revoked = await homeWith({ '.postgresql/root.crt': testCa, '.postgresql/root.crl': revocations.server })
    expect(await facts(named('sslmode=verify-full'), { HOME: good.path })).toMatchObject({ tls: TLS })
    expect(await refusal(named('sslmode=require'), { HOME: bad.path })).toMatch(/CONNECTION_FAILED: .*certificate/)
    expect(await refusal(named('sslmode=require'), { HOME: revoked.path })).toMatch(/CONNECTION_FAILED: .*revoked/)
    expect(await refusal(named('sslmode=verify-full'))).toMatch(/CONNECTION_STRING_INVALID: .*root\.crt is not there/)
  })

  test('sslrootcert=system is what the system trusts', async () => {
    expect(await facts(named('sslrootcert=system'), { SSL_CERT_FILE: file('ca.crt') })).toMatchObject({ tls: TLS })
    expect(await refusal(named('sslrootcert=system'))).toMatch(/CONNECTION_FAILED: .*certificate/)
  })

  test('a revoked certificate is refused', async () => {
    const verified = `sslmode=verify-ca sslrootcert=${file('ca.crt')}`
    expect(await facts(named(`${verified} sslcrl=${file('none.crl')}`))).toMatchObject({ tls: TLS })
    expect(await refusal(named(`${verified} sslcrl=${file('server.crl')}`))).toMatch(/CONNECTION_FAILED: .*revoked/)
    await mkdir(file('crls'))
    await writeFile(file('crls/01234567.r0'), revocations.server)
    expect(await refusal(named(`${verified} sslcrldir=${file('crls')}`))).toMatch(/CONNECTION_FAILED: .*revoked/)
  })

  test('a client certificate, its key plain, encrypted or in DER, named or in the home folder', async () => {
    const as = (more: string) => named(`dbname=certs sslmode=require ${more}`)
    const cert = `sslcert=${file('client.crt')}`
    for (const more of ['client.key', 'client.der', 'encrypted.key sslpassword=k3ypass'].map(
      (key) => `${cert} sslkey=${file(key)}`,
    )) {
      expect(await facts(as(more)), more).toMatchObject({ database: 'certs', user: 'postgres', tls: TLS })
    }
    await using home = await homeWith({
      '.postgresql/postgresql.crt': clientTls.cert,
      '.postgresql/postgresql.key': clientTls.key,
    })
    const env = { HOME: home.path }
    expect(await facts(as(''), env)).toMatchObject({ database: 'certs' })
    expect(await refusal(as('sslcertmode=disable'), env)).toMatch(/LOGIN_REFUSED: .*certificate/)
    expect(await refusal(as(''))).toMatch(/LOGIN_REFUSED: .*certificate/)
    expect(await refusal(as(`${cert} sslkey=${file('encrypted.key')} sslpassword=wrong`))).toMatch(
      /^CONNECTION_STRING_INVALID/,
    )
    expect(await refusal(as(`${cert} sslkey=${file('encrypted.key')}`))).toMatch(/^CONNECTION_STRING_INVALID/)
    await chmod(join(home.path, '.postgresql/postgresql.key'), 0o644)
    expect(await refusal(as(''), env)).toMatch(/CONNECTION_STRING_INVALID: .*may be read by others/)
  })

  test('the versions of the protocol are those that were asked for', async () => {
    const versions = 'ssl_min_protocol_version=TLSv1.2 ssl_max_protocol_version=TLSv1.2'
    expect(await facts(at(versions))).toMatchObject({ tls: 'TLSv1.2' })
    expect(await facts(at('ssl_min_protocol_version=TLSv1.3'))).toMatchObject({ tls: 'TLSv1.3' })
  })

  test.runIf(DEFAULT_MAJOR >= 17)('sslnegotiation=direct begins with TLS', async () => {
    expect(await facts(at('sslnegotiation=direct sslmode=require'))).toMatchObject({ tls: TLS })
    const plain = `host=127.0.0.1 port=${standby.port} user=postgres`
    expect(await refusal(`${plain} sslnegotiation=direct sslmode=require`)).toMatch(/^CONNECTION_FAILED/)
  })

  test('the name of the host is told, unless sslsni=0', async () => {
    const told: (string | undefined)[] = []
    const listener = createServer((socket) => {
      socket
        .on('error', () => {})
        .once('data', () => {
          socket.write('S')
          const SNICallback = (name: string, done: (error: Error | null) => void) => {
            told.push(name)
            done(null)
          }
          const secure = new TLSSocket(socket, { isServer: true, ...serverTls, SNICallback })
          secure.on('error', () => {}).once('data', () => secure.destroy())
        })
    })
    await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve))
    const { port } = listener.address() as { port: number }
    for (const sni of [1, 0]) {
      const text = `host=some.name hostaddr=127.0.0.1 port=${port} user=u sslmode=require sslsni=${sni}`
      expect(await refusal(text)).toMatch(/^CONNECTION_FAILED/)
    }
    listener.close()
    expect(told).toEqual(['some.name'])
  })

  test('what stands unencrypted behind the answer to the request for TLS is not taken for the server’s', async () => {
    using server = await stranger(Buffer.from('SE').toString('hex'))
    const text = `host=127.0.0.1 port=${server.port} user=u sslmode=require`
    expect(await refusal(text)).toContain('unencrypted bytes came')
  })
})

describe('the login', () => {
  test('channel_binding=require is SCRAM over TLS and nothing else', async () => {
    const scram = 'user=scram password=s3cret'
    for (const more of [
      'channel_binding=require',
      'channel_binding=disable',
      'channel_binding=disable sslmode=disable',
    ]) {
      expect(await facts(at(`${scram} ${more}`)), more).toMatchObject({ user: 'scram' })
    }
    for (const more of [
      `${scram} sslmode=disable`,
      'user=md5 password=s3cret',
      'user=clear password=s3cret',
      'user=postgres',
      'user=postgres sslmode=disable',
    ]) {
      expect(await refusal(at(`${more} channel_binding=require`)), more).toMatch(
        /^LOGIN_METHOD_REFUSED: .*channel_binding=require wants a login by SCRAM-SHA-256-PLUS/,
      )
    }
  })

  test.each([
    ['password', 'clear'],
    ['md5', 'md5'],
    ['scram-sha-256', 'scram'],
    ['none', 'postgres'],
  ])('require_auth=%s takes only what asks for it', async (method, fitting) => {
    for (const user of ['clear', 'md5', 'scram', 'postgres']) {
      const as = (accepted: string) => at(`user=${user} password=s3cret require_auth=${accepted}`)
      const [takes, refuses] = user === fitting ? [method, `!${method}`] : [`!${method}`, method]
      expect(await facts(as(takes)), takes).toMatchObject({ user })
      expect(await refusal(as(refuses)), refuses).toMatch(/^LOGIN_METHOD_REFUSED: .*require_auth accepts/)
    }
  })
})

/** A server that answers every start with `bytes`; gives its port. */
async function stranger(bytes: string): Promise<{ readonly port: number } & Disposable> {
  const listener = createServer((socket) => {
    socket.on('error', () => {}).once('data', () => socket.write(Buffer.from(bytes, 'hex')))
  })
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve))
  const { port } = listener.address() as { port: number }
  return { port, [Symbol.dispose]: () => void listener.close() }
}

test.each([
  ['GSSAPI', '520000000800000007'],
  ['SSPI', '520000000800000009'],
])('a login by %s is refused by its name', async (name, request) => {
  using server = await stranger(request)
  expect(await refusal(`host=127.0.0.1 port=${server.port} user=u sslmode=disable`)).toMatch(
    new RegExp(`^LOGIN_METHOD_REFUSED: .*the server asks for an? ${name} login, which tailrace cannot do`),
  )
})

describe('the session', () => {
  test('TCP keepalive is on, after the silence that was asked for, unless keepalives=0', async () => {
    const set = vi.spyOn(Socket.prototype, 'setKeepAlive')
    try {
      for (const more of ['', 'keepalives_idle=30', 'keepalives=0']) await facts(at(`sslmode=disable ${more}`))
      expect(set.mock.calls).toEqual([
        [true, 0],
        [true, 30_000],
      ])
    } finally {
      set.mockRestore()
    }
  })

  test('application_name, its fallback, PGAPPNAME', async () => {
    expect(await facts(at('application_name=own'), { PGAPPNAME: 'env' })).toMatchObject({ application: 'own' })
    expect(await facts(at('fallback_application_name=back'), { PGAPPNAME: 'env' })).toMatchObject({
      application: 'env',
    })
    expect(await facts(at('fallback_application_name=back'))).toMatchObject({ application: 'back' })
  })

  test("options reach the server, in both kinds of session, and tailrace's own settings win", async () => {
    const options = "options='-c work_mem=77kB -c DateStyle=German -c statement_timeout=1'"
    for (const replication of [false, true]) {
      await using session = await connect(at(options), { PGGEQO: 'off' }, { replication })
      const shown = await Promise.all(
        ['work_mem', 'DateStyle', 'statement_timeout', 'geqo'].map((name) => session.query(`SHOW ${name}`)),
      )
      expect(shown.flat().map((row) => Object.values(row)[0])).toEqual(['77kB', 'ISO, DMY', '0', 'off'])
    }
    expect(await refusal(at('options=-c\\ nonsense'))).toMatch(/^SERVER_ERROR/)
  })
})

describe('several hosts', () => {
  /** A port where nobody listens. */
  const DOWN = 1

  const both = (first: number, second: number, more = '') =>
    `postgres://postgres@127.0.0.1:${first},127.0.0.1:${second}/postgres?${more}`

  /** The port of the server that let us in. */
  async function portOf(text: string, options: SessionOptions = {}): Promise<number> {
    await using session = await connect(text, {}, options)
    const [row] = await session.query<{ port: number }>('SELECT pg_catalog.inet_server_port() AS port')
    return Number(row!.port)
  }

  test('one that is down is passed over; when all are the error names each', async () => {
    expect(await portOf(both(DOWN, server.port))).toBe(server.port)
    expect(await portOf(`host=/nowhere,localhost port=5,${server.port} user=postgres`)).toBe(server.port)
    expect(await portOf(`host=nowhere.invalid,127.0.0.1 port=${server.port} user=postgres`)).toBe(server.port)
    expect(await refusal(`host=127.0.0.1,/nowhere,nowhere.invalid port=${DOWN} user=postgres`)).toMatch(
      /CONNECTION_FAILED: .*127\.0\.0\.1:1: .*ECONNREFUSED.*; \/nowhere:1: .*ENOENT.*; nowhere\.invalid:1: .*(ENOTFOUND|EAI_AGAIN)/,
    )
  })

  test('one that refuses the login ends it', async () => {
    const refused = await refusal(both(server.port, standby.port).replace('postgres@', 'nobody@'))
    expect(refused).toMatch(/^LOGIN_REFUSED: .*role "nobody" does not exist/)
    const later = await refusal(both(DOWN, server.port, 'options=-c%20nonsense'))
    expect(later).toMatch(/^SERVER_ERROR: .*127\.0\.0\.1:1: .*ECONNREFUSED.*; 127\.0\.0\.1:\d+: .*nonsense/)
  })

  test('one that swallows everything has connect_timeout, the next one its own', async () => {
    await using proxy = await TcpProxy.to(server.port)
    proxy.swallow()
    const { port } = new URL(proxy.url(server.url()))
    const since = performance.now()
    expect(await portOf(both(Number(port), server.port, 'connect_timeout=1'))).toBe(server.port)
    expect(await refusal(`host=127.0.0.1 port=${port} user=postgres connect_timeout=1`)).toMatch(
      /CONNECTION_FAILED: .*timeout expired: no answer in 1 s/,
    )
    expect(performance.now() - since).toBeGreaterThan(1900)
    expect(performance.now() - since).toBeLessThan(8000)
  })

  test('load_balance_hosts=random takes either first, disable the first one', async () => {
    const ports = new Set<number>()
    while (ports.size < 2) ports.add(await portOf(both(server.port, standby.port, 'load_balance_hosts=random')))
    for (const text of [
      both(standby.port, server.port),
      both(standby.port, server.port, 'load_balance_hosts=disable'),
    ]) {
      expect(await portOf(text)).toBe(standby.port)
    }
  })

  test('target_session_attrs: a read-only standby and a primary', async () => {
    const [standbyFirst, primaryFirst] = [both(standby.port, server.port, ''), both(server.port, standby.port, '')]
    const wanted = {
      any: [standby.port, server.port],
      'read-write': [server.port, server.port],
      primary: [server.port, server.port],
      'read-only': [standby.port, standby.port],
      standby: [standby.port, standby.port],
      'prefer-standby': [standby.port, standby.port],
    }
    for (const [target, [first, second]] of Object.entries(wanted)) {
      expect(await portOf(`${standbyFirst}target_session_attrs=${target}`), target).toBe(first)
      expect(await portOf(`${primaryFirst}target_session_attrs=${target}`), target).toBe(second)
      const replication = { replication: true }
      expect(await portOf(`${standbyFirst}target_session_attrs=${target}`, replication), target).toBe(first)
    }
    expect(await portOf(both(DOWN, server.port, 'target_session_attrs=prefer-standby'))).toBe(server.port)
    expect(await refusal(both(standby.port, DOWN, 'target_session_attrs=primary'))).toMatch(
      /CONNECTION_FAILED: .*127\.0\.0\.1:\d+: it is a standby \(target_session_attrs=primary\); 127\.0\.0\.1:1: .*ECONNREFUSED/,
    )
  })

  test('target_session_attrs: a primary whose sessions are read-only', async () => {
    const readOnly = "options='-c default_transaction_read_only=on'"
    for (const [target, problem] of [
      ['read-write', 'its sessions are read-only'],
      ['standby', 'it is not a standby'],
    ]) {
      expect(await refusal(at(`${readOnly} target_session_attrs=${target}`))).toContain(problem)
    }
    for (const target of ['any', 'read-only', 'primary', 'prefer-standby']) {
      expect(await facts(at(`${readOnly} target_session_attrs=${target}`)), target).toMatchObject({ user: 'postgres' })
    }
    expect(await refusal(at('target_session_attrs=read-only'))).toContain('its sessions are not read-only')
  })

  test('a run goes on with the next host when its own is gone, both sessions of it on one that fits', async () => {
    // A standby has the databases of its primary: here the two share this one.
    await using writer = await connect(server.url())
    await writer.query('CREATE TABLE public.failover (id int PRIMARY KEY)')
    const slot = `failover_${process.pid}`
    const proxy = await TcpProxy.to(server.port)
    const { port } = new URL(proxy.url(server.url()))
    const hosts = [standby.port, port, server.port].map((one) => `127.0.0.1:${one}`)
    const url = `postgres://postgres@${hosts}/postgres?target_session_attrs=read-write`
    await using reader = readSource({ url, tables: 'failover', slot, snapshot: 'never' })
    await reader.told('streaming')
    await writer.query('INSERT INTO public.failover VALUES (1)')
    await reader.seen(({ key }) => key?.id === 1, 'the first row')
    // From now on nobody listens there.
    await proxy[Symbol.asyncDispose]()
    await reader.told('reconnecting')
    await writer.query('ALTER TABLE public.failover ADD n int; INSERT INTO public.failover VALUES (2, 2)')
    await reader.seen(({ key }) => key?.id === 2, 'the row after the failover')
    await reader.close()
    await writer.query(`SELECT pg_catalog.pg_drop_replication_slot('${slot}')`)
  })
})

test('a password file is read anew at each connection', async () => {
  await using home = await homeWith({ '.pgpass': '*:*:*:*:wrong\n' })
  const options = parseConnectionString(at('user=scram'), { HOME: home.path })
  await expect(Session.connect(options)).rejects.toMatchObject({ code: 'LOGIN_REFUSED' })
  await writeFile(join(home.path, '.pgpass'), '')
  await appendFile(join(home.path, '.pgpass'), '*:*:*:*:s3cret\n')
  await using session = await Session.connect(options)
  expect(await session.query('SELECT 1 AS one')).toEqual([{ one: 1 }])
})
