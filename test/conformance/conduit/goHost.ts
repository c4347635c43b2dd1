import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type WaitOptions, waitFor } from '../../support/waitFor.js'

export type Engine = 'v1' | 'v2'
export const ENGINES: readonly Engine[] = ['v1', 'v2']

/** What the Go host is told: see host/main.go. */
export interface HostConfig {
  readonly engine?: Engine
  readonly source?: Readonly<Record<string, string>>
  readonly destination?: Readonly<Record<string, string>>
  readonly output?: string
  readonly decode?: boolean
  readonly deadLetters?: string
  readonly storeEveryMs?: number
  readonly until?: number
  readonly logLevel?: string
}

export interface HostEvent {
  readonly event: string
  readonly [fact: string]: unknown
}

/** Of a run that was asked to stop. */
export interface Stopped extends HostEvent {
  readonly records: number
  readonly acked: number
  readonly nacked: number
  /** What Stop answered (v1), and the position of the last record received. */
  readonly stop: string
  readonly last: string
  readonly seconds: number
  /** From the end of Teardown until the processes had ended. */
  readonly endSeconds: number
  readonly cpu: number
  readonly pluginCpu: number
  readonly pluginRssMB: number
  readonly schemasCreated: number
  readonly schemasGot: number
}

const STARTS_WITHIN_MS = 60_000

/** `go` on the PATH, or where its own archive unpacks to. */
export function buildHost(sources: string, folder: string): string {
  const binary = join(folder, 'host')
  const env = { ...process.env, PATH: `${process.env.PATH}:/usr/local/go/bin` }
  try {
    execFileSync('go', ['build', '-o', binary, '.'], { cwd: sources, env, stdio: ['ignore', 'inherit', 'inherit'] })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    throw new Error('Go is needed (1.25 or later, https://go.dev/dl): it is not on the PATH nor in /usr/local/go', {
      cause: error,
    })
  }
  return binary
}

/** A pipeline in a folder, which keeps what Conduit keeps of it; it may be started again and again. */
export class HostPipeline implements AsyncDisposable {
  readonly folder: string
  readonly #binary: string
  readonly #plugin: string
  #config: HostConfig
  #run: HostRun | undefined

  constructor(binary: string, plugin: string, folder: string, config: HostConfig) {
    mkdirSync(folder, { recursive: true })
    this.#binary = binary
    this.#plugin = plugin
    this.folder = folder
    this.#config = config
  }

  /** Everything but these stays as it was. */
  configure(config: HostConfig): void {
    this.#config = { ...this.#config, ...config }
  }

  /** The position that the host has stored; empty: none. */
  get stored(): string {
    const { Position } = JSON.parse(readFileSync(join(this.folder, 'store.json'), 'utf8')) as { Position: string }
    return Buffer.from(Position ?? '', 'base64').toString()
  }

  /** Until source and destination are open, or one of them fails. */
  async start(): Promise<HostRun> {
    const run = this.#spawn('run')
    this.#run = run
    await run.says('running', { timeoutMs: STARTS_WITHIN_MS })
    return run
  }

  /** A run that is to fail while it starts, or later: the text of its failure. */
  async failure(): Promise<string> {
    const run = this.#spawn('run')
    this.#run = run
    await run.ended
    return run.failure ?? `it did not fail, but said ${JSON.stringify(run.events)}`
  }

  /** `specify`, `validate` or `deleted`, to its end; gives its last event. */
  async command(name: 'specify' | 'validate' | 'deleted'): Promise<HostEvent> {
    const run = this.#spawn(name)
    const { code } = await run.ended
    const last = run.events.at(-1)
    if (last === undefined) throw new Error(`the host ended with ${code}:\n${run.stderr}`)
    return last
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#run?.[Symbol.asyncDispose]()
  }

  #spawn(command: string): HostRun {
    const file = join(this.folder, 'config.json')
    writeFileSync(file, JSON.stringify({ ...this.#config, plugin: this.#plugin, folder: this.folder }))
    // In UTC: local-timestamp is decoded to the host's own zone.
    const env = { ...process.env, TZ: 'UTC' }
    return new HostRun(spawn(this.#binary, [command, file], { env, stdio: ['ignore', 'pipe', 'pipe'] }))
  }
}

export class HostRun implements AsyncDisposable {
  readonly ended: Promise<{ readonly code: number | null; readonly signal: NodeJS.Signals | null }>
  readonly events: HostEvent[] = []
  stderr = ''
  readonly #child: ChildProcess

  constructor(child: ChildProcess) {
    this.#child = child
    this.ended = once(child, 'close').then(([code, signal]) => ({ code, signal }))
    let rest = ''
    child.stdout!.setEncoding('utf8').on('data', (chunk: string) => {
      const lines = (rest + chunk).split('\n')
      rest = lines.pop()!
      for (const line of lines) this.events.push(JSON.parse(line) as HostEvent)
    })
    child.stderr!.setEncoding('utf8').on('data', (chunk: string) => {
      this.stderr += chunk
    })
  }

  get running(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null
  }

  get failure(): string | undefined {
    return this.#latest('failed')?.error as string | undefined
  }

  /** Records whose position is stored, and that are acked. */
  get acked(): number {
    return (this.#latest('progress')?.acked as number | undefined) ?? 0
  }

  pidOf(what: 'host' | 'source' | 'destination'): number {
    if (what === 'host') return this.#child.pid!
    return this.#latest('running')![`${what}Pid`] as number
  }

  kill(what: 'host' | 'source' | 'destination'): void {
    process.kill(this.pidOf(what), 'SIGKILL')
  }

  /** Waits for such an event; fails with what ended the run. */
  async says(event: string, options: Omit<WaitOptions, 'what'> = {}): Promise<HostEvent> {
    return this.until(() => this.#latest(event), event, options)
  }

  async hasAcked(records: number, options: Omit<WaitOptions, 'what'> = {}): Promise<void> {
    await this.until(() => this.acked >= records, `acks of ${records} records, of ${this.acked}`, options)
  }

  async until<T>(is: () => T | Promise<T>, what: string, options: Omit<WaitOptions, 'what'> = {}) {
    const found = await waitFor(async () => (await is()) || !this.running, {
      timeoutMs: 60_000,
      ...options,
      what,
    }).catch((error: Error) => {
      throw new Error(
        `${error.message}; ${this.acked} of ${this.#latest('progress')?.records} records are acked, and it said:\n${this.stderr.slice(-2000)}`,
      )
    })
    if (found !== true || this.running) return found as Exclude<T, false | null | undefined | 0 | ''>
    const last = await is()
    if (last) return last as Exclude<T, false | null | undefined | 0 | ''>
    await this.ended
    throw new Error(`waiting for ${what}: ${this.failure ?? `the host has ended:\n${this.stderr.slice(-4000)}`}`)
  }

  /** As Conduit stops a pipeline, in the order of its engine. */
  async stop(): Promise<Stopped> {
    this.#child.kill('SIGTERM')
    const late = setTimeout(() => this.#child.kill('SIGKILL'), 60_000)
    const { code, signal } = await this.ended
    clearTimeout(late)
    const stopped = this.#latest('stopped')
    if (code !== 0 || stopped === undefined) {
      throw new Error(`it did not stop, but ended with ${signal ?? code}: ${this.failure}\n${this.stderr.slice(-4000)}`)
    }
    return stopped as Stopped
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.running) this.#child.kill('SIGKILL')
    await this.ended
  }

  #latest(event: string): HostEvent | undefined {
    return this.events.findLast((one) => one.event === event)
  }
}
