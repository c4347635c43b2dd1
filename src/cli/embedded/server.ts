import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { makeOwned } from './account.js'
import { type Binaries, findNative, prepareBinaries } from './binaries.js'
import { makeDataFolder, type ServerTls, tlsSettings } from './dataFolder.js'
import { type Guard, guard } from './keeper.js'
import { freePort } from './port.js'
import { Postmaster } from './postmaster.js'

export interface EmbeddedOptions {
  /** Packages that hold the binaries, best first; an absolute path is taken as such a package's folder. */
  readonly binaries: readonly string[]
  /** Given on the server's command line, so they win over ALTER SYSTEM; those that tests alter should not stand here. */
  readonly settings?: Readonly<Record<string, string>> | undefined
  /** A data folder, cleanly stopped, to copy instead of running initdb. Its system identifier is copied too. */
  readonly templateData?: string | undefined
  /** Also listen on a socket in `socketFolder`. Default false. */
  readonly unixSocket?: boolean | undefined
  readonly tls?: ServerTls | undefined
  /** The whole pg_hba.conf. Default: everybody is trusted. */
  readonly hba?: string | undefined
  /** fsync on. Default false: what survives is then the operating system's to say, not the server's. */
  readonly durable?: boolean | undefined
  /** Ends a start under way; a started server is its owner's to stop. */
  readonly signal?: AbortSignal | undefined
}

export type StopMode = 'smart' | 'fast' | 'immediate'
type Settings = Readonly<Record<string, string>>

const DATA = 'data'
const SOCKET = 'socket'
const STOP_SIGNALS = { smart: 'SIGTERM', fast: 'SIGINT', immediate: 'SIGQUIT' } as const
const LOG_CHARACTERS = 256 * 1024
/** Backends outlive a killed postmaster for a moment, and hold its port and shared memory until they notice. */
const REMAINS_OF_A_CRASH = /pre-existing shared memory block|Address already in use/
const REMAINS_GONE_WITHIN_MS = 10_000

/** A PostgreSQL server of our own in a temporary folder, gone with us at the latest. */
export class EmbeddedPostgres implements AsyncDisposable {
  /** Holds all of it; removed by disposing. */
  readonly folder: string
  readonly dataFolder: string
  readonly socketFolder: string
  readonly #guard: Guard
  readonly #binaries: Binaries
  readonly #signal: AbortSignal | undefined
  #postmaster: Postmaster | undefined
  #settings: Settings
  #port = 0
  #log = ''

  private constructor(folder: string, binaries: Binaries, guarded: Guard, options: EmbeddedOptions) {
    this.folder = folder
    this.dataFolder = join(folder, DATA)
    this.socketFolder = join(folder, SOCKET)
    this.#binaries = binaries
    this.#guard = guarded
    this.#signal = options.signal
    this.#settings = {
      listen_addresses: '127.0.0.1',
      unix_socket_directories: options.unixSocket ? this.socketFolder : '',
      wal_level: 'logical',
      max_wal_senders: '20',
      max_replication_slots: '20',
      ...(options.durable ? {} : { fsync: 'off' }),
      ...tlsSettings(options.tls),
      ...options.settings,
    }
  }

  /** A server that accepts connections. */
  static async start(options: EmbeddedOptions): Promise<EmbeddedPostgres> {
    const server = await EmbeddedPostgres.initialise(options)
    try {
      await server.#launchOnFreePort()
      return server
    } catch (error) {
      await server[Symbol.asyncDispose]()
      throw error
    }
  }

  /** Only the data folder: for a template, or to put files in before `restart` starts it. */
  static async initialise(options: EmbeddedOptions): Promise<EmbeddedPostgres> {
    options.signal?.throwIfAborted()
    const native = findNative(options.binaries)
    const folder = await mkdtemp(join(tmpdir(), 'tailrace-pg-'))
    const guarded = guard(folder)
    try {
      await chmod(folder, 0o755) // made 0700 by mkdtemp; the server's account has to enter
      const binaries = await prepareBinaries(native, folder)
      if (options.unixSocket) await makeOwned(join(folder, SOCKET), 0o755, binaries.account)
      const onPid = (pid: number | undefined) => guarded.watch(pid)
      await makeDataFolder(join(folder, DATA), binaries, { ...options, onPid })
      return new EmbeddedPostgres(folder, binaries, guarded, options)
    } catch (error) {
      await remove(folder, guarded)
      throw error
    }
  }

  get port(): number {
    return this.#port
  }

  /** Of the server's first process; `undefined` while it is stopped. */
  get pid(): number | undefined {
    return this.#postmaster?.running ? this.#postmaster.pid : undefined
  }

  /** The end of what the server wrote to its log since the first start. */
  get log(): string {
    return this.#log
  }

  url(database = 'postgres', user = 'postgres'): string {
    return `postgresql://${encodeURIComponent(user)}@127.0.0.1:${this.#port}/${encodeURIComponent(database)}`
  }

  /** The data stays. `fast` waits for replication clients to confirm what was sent to them. */
  async stop(mode: StopMode = 'fast'): Promise<void> {
    await this.#postmaster?.stop(STOP_SIGNALS[mode])
  }

  /** No checkpoint, nothing saved: the next start recovers. SIGKILL also leaves backends that have yet to notice. */
  async crash(signal: 'SIGQUIT' | 'SIGKILL' = 'SIGQUIT'): Promise<void> {
    await this.#postmaster?.stop(signal)
  }

  /** Same data, same port; `settings` are added to those of before. Also starts a server that was stopped. */
  async restart(mode: StopMode = 'fast', settings: Settings = {}): Promise<void> {
    await this.stop(mode)
    this.#settings = { ...this.#settings, ...settings }
    if (this.#port === 0) return this.#launchOnFreePort()
    const deadline = performance.now() + REMAINS_GONE_WITHIN_MS
    for (;;) {
      try {
        return await this.#launch()
      } catch (error) {
        if (!REMAINS_OF_A_CRASH.test(String(error)) || performance.now() > deadline) throw error
        await sleep(50)
      }
    }
  }

  /** Stops the server at once and removes its folder. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop('immediate').catch(() => this.crash('SIGKILL'))
    await remove(this.folder, this.#guard)
  }

  async #launchOnFreePort(): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      this.#port = await freePort()
      try {
        return await this.#launch(this.#signal)
      } catch (error) {
        // another process may bind the port between our look and the server's
        if (attempt === 5 || !String(error).includes('Address already in use')) throw error
      }
    }
  }

  async #launch(signal?: AbortSignal): Promise<void> {
    this.#postmaster = await Postmaster.launch({
      binaries: this.#binaries,
      dataFolder: this.dataFolder,
      settings: { ...this.#settings, port: String(this.#port) },
      onLog: (text) => (this.#log = (this.#log + text).slice(-LOG_CHARACTERS)),
      onPid: (pid) => this.#guard.watch(pid),
      signal,
    })
  }
}

async function remove(folder: string, guarded: Guard): Promise<void> {
  await rm(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 })
  guarded.release()
}
