import { chmod, chown, cp, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { makeOwned } from './account.js'
import { type Binaries, ourselves } from './binaries.js'
import { EmbeddedPostgresError } from './errors.js'
import { run } from './run.js'

export interface ServerTls {
  /** PEM, as are the other two. */
  readonly cert: string
  readonly key: string
  /** Who signs the clients' certificates; without it none is asked for. */
  readonly ca?: string | undefined
}

export interface DataOptions {
  readonly templateData?: string | undefined
  readonly tls?: ServerTls | undefined
  readonly hba?: string | undefined
  readonly signal?: AbortSignal | undefined
  readonly onPid?: (pid: number | undefined) => void
}

/** Fills `data` by initdb or from a template, and writes what is asked for into it; owned by the server's account. */
export async function makeDataFolder(data: string, binaries: Binaries, options: DataOptions): Promise<void> {
  if (options.templateData === undefined) await initialise(data, binaries, options)
  else await copyTree(options.templateData, data, binaries, options)
  if (options.hba !== undefined) await write(join(data, 'pg_hba.conf'), options.hba, binaries)
  if (options.tls !== undefined) {
    await write(join(data, 'server.crt'), options.tls.cert, binaries)
    await write(join(data, 'server.key'), options.tls.key, binaries)
    if (options.tls.ca !== undefined) await write(join(data, 'root.crt'), options.tls.ca, binaries)
  }
}

export function tlsSettings(tls: ServerTls | undefined): Record<string, string> {
  if (tls === undefined) return {}
  return { ssl: 'on', ...(tls.ca === undefined ? {} : { ssl_ca_file: 'root.crt' }) }
}

async function initialise(data: string, binaries: Binaries, { signal, onPid }: DataOptions): Promise<void> {
  await makeOwned(data, 0o700, binaries.account)
  const options = ['-D', data, '-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--no-locale', '--no-sync']
  const { ok, output } = await run(binaries.initdb, options, { ...binaries, cwd: join(data, '..'), signal, onPid })
  signal?.throwIfAborted()
  if (ok) return
  throw new EmbeddedPostgresError('EMBEDDED_INITDB_FAILED', `initdb failed: ${output}`, 'The message is of initdb.')
}

/** A thousand files: `cp` takes 70 ms for them, `fs.cp` 500. */
async function copyTree(
  source: string,
  target: string,
  { account }: Binaries,
  { signal, onPid }: DataOptions,
): Promise<void> {
  const options = { ...ourselves(join(target, '..')), signal, onPid }
  if (process.platform === 'win32') return cp(source, target, { recursive: true })
  const copied = await run('cp', ['-R', source, target], options)
  const owned =
    account === undefined || (await run('chown', ['-R', `${account.uid}:${account.gid}`, target], options)).ok
  signal?.throwIfAborted()
  if (!copied.ok || !owned) throw new Error(`cannot copy ${source} to ${target}: ${copied.output}`)
  await chmod(target, 0o700)
}

async function write(file: string, text: string, { account }: Binaries): Promise<void> {
  await writeFile(file, text.endsWith('\n') ? text : `${text}\n`, { mode: 0o600 })
  if (account !== undefined) await chown(file, account.uid, account.gid)
}
