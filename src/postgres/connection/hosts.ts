import { lookup } from 'node:dns/promises'
import { existsSync } from 'node:fs'
import { isIP } from 'node:net'
import { join } from 'node:path'
import { invalid } from './given.js'
import { SOCKET_FOLDERS } from './passwordFile.js'
import type { Values } from './values.js'

/** One of the hosts of a connection. */
export interface Host {
  /** A name, an address, or the folder of a Unix socket; empty where only `address` was given. */
  readonly name: string
  /** `hostaddr`: the address to connect to, whatever DNS says of the name. */
  readonly address: string | undefined
  readonly port: number
}

const DEFAULT_PORT = 5432

/** The hosts as `host`, `hostaddr` and `port` list them. */
export function readHosts(values: Values): readonly Host[] {
  const names = values.filled('host')?.split(',')
  const addresses = values.filled('hostaddr')?.split(',')
  const ports = (values.filled('port') ?? '').split(',')
  const count = (addresses ?? names ?? ['']).length
  if (names !== undefined && names.length !== count) {
    throw invalid(`it has ${names.length} hosts and ${count} values of hostaddr`)
  }
  if (ports.length !== 1 && ports.length !== count) throw invalid(`it has ${ports.length} ports and ${count} hosts`)
  return Array.from({ length: count }, (_, index) => {
    const port = readPort(values, ports[ports.length === 1 ? 0 : index]!)
    const address = addresses?.[index] || undefined
    if (address !== undefined && isIP(address) === 0)
      throw values.wrong('hostaddr', 'is no address: names belong in host')
    const name = names?.[index] ?? ''
    return { name: name === '' && address === undefined ? defaultHost(port) : name, address, port }
  })
}

function readPort(values: Values, text: string): number {
  if (text === '') return DEFAULT_PORT
  const port = Number(text)
  if (!/^\s*\+?\d+\s*$/.test(text) || port < 1 || port > 65535)
    throw values.wrong('port', 'is no whole number from 1 to 65535')
  return port
}

/** Where a server listens for users of this machine: the first of libpq's folders that has a socket, else localhost. */
export function defaultHost(port: number, folders: readonly string[] = SOCKET_FOLDERS): string {
  if (process.platform === 'win32') return 'localhost'
  return folders.find((folder) => existsSync(socketPath(folder, port))) ?? 'localhost'
}

/** Whether it is reached through a Unix socket, on which there is no TLS. */
export function isSocket({ name, address }: Host): boolean {
  return address === undefined && /^[/@]/.test(name)
}

/** Whether its server shares this machine, as far as its name tells: behind a tunnel or a container's port it may not. */
export function isOnThisMachine(host: Host): boolean {
  const { name, address = name } = host
  return (
    isSocket(host) || address === 'localhost' || address === '::1' || (isIP(address) === 4 && /^127\./.test(address))
  )
}

/** `@` stands for the zero byte that begins an abstract socket's name. */
export function socketPath(folder: string, port: number): string {
  return join(folder, `.s.PGSQL.${port}`).replace(/^@/, '\0')
}

/** For messages. */
export function describeHost({ name, address, port }: Host): string {
  const text = name || address!
  return text.includes(':') ? `[${text}]:${port}` : `${text}:${port}`
}

/** Every address of a host, in the order in which the system gives them. */
export async function addressesOf({ name, address, port }: Host): Promise<readonly string[]> {
  if (address !== undefined) return [address]
  if (isSocket({ name, address, port })) return [socketPath(name, port)]
  if (isIP(name) !== 0) return [name]
  return (await lookup(name, { all: true, verbatim: true })).map((one) => one.address)
}

/** The same in an order drawn at random; `random` gives numbers from 0 to below 1. */
export function shuffled<T>(list: readonly T[], random: () => number = Math.random): T[] {
  const drawn = [...list]
  for (let last = drawn.length - 1; last > 0; last--) {
    const other = Math.floor(random() * (last + 1))
    ;[drawn[last], drawn[other]] = [drawn[other]!, drawn[last]!]
  }
  return drawn
}
