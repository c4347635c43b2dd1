import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { StringDecoder } from 'node:string_decoder'
import { fileURLToPath } from 'node:url'
import { parseCommandLine } from '../../../src/homes/airbyte/commandLine.js'
import { MessageOutput } from '../../../src/homes/airbyte/protocol/messageOutput.js'
import { runCommand } from '../../../src/homes/airbyte/run.js'
import { Output } from '../../../src/sinks/files/output.js'
import { type TemporaryFolder, temporaryFolder } from '../temporaryFolder.js'
import { type WaitOptions, waitFor } from '../waitFor.js'
import { messageProblem } from './protocolSchemas.js'

/** The built executable, started as a client does: by itself, not through `node`. */
export const connectorPath =
  process.env.TAILRACE_AIRBYTE ?? fileURLToPath(new URL('../../../dist/cli/airbyte.js', import.meta.url))

export interface RecordMessage {
  readonly stream: string
  readonly namespace: string
  readonly emitted_at: number
  readonly data: Readonly<Record<string, unknown>>
  readonly meta?: {
    readonly changes: readonly { readonly field: string; readonly change: string; readonly reason: string }[]
  }
}

export interface StateMessage {
  readonly type: 'STREAM' | 'GLOBAL' | 'LEGACY'
  readonly stream?: { readonly stream_descriptor: { name: string; namespace?: string }; readonly stream_state: object }
  readonly global?: {
    readonly shared_state: object
    readonly stream_states: readonly {
      readonly stream_descriptor: { name: string; namespace?: string }
      readonly stream_state: object
    }[]
  }
  readonly data?: object
  readonly sourceStats: { readonly recordCount: number }
}

// biome-ignore lint/suspicious/noExplicitAny: messages of all types, each looked into by its test
export type AnyMessage = { readonly type: string } & Readonly<Record<string, any>>

export interface Inputs {
  readonly config?: unknown
  readonly catalog?: unknown
  readonly state?: unknown
  readonly args?: readonly string[]
}

/** One run of the connector: `await using run = await startConnector('read', { config, catalog, state })`. */
export async function startConnector(command: string, inputs: Inputs = {}): Promise<ConnectorRun> {
  const folder = await temporaryFolder()
  return new ConnectorRun(await argumentsIn(folder, command, inputs), folder)
}

async function argumentsIn(folder: TemporaryFolder, command: string, inputs: Inputs): Promise<string[]> {
  const args = [...(command === '' ? [] : [command]), ...(inputs.args ?? [])]
  for (const name of ['config', 'catalog', 'state'] as const) {
    const given = inputs[name]
    if (given === undefined) continue
    const path = join(folder.path, `${name}.json`)
    await writeFile(path, typeof given === 'string' ? given : JSON.stringify(given))
    args.push(`--${name}`, path)
  }
  return args
}

/** The same to its end; every line must be a valid message. */
export async function connector(command: string, inputs: Inputs = {}): Promise<ConnectorRun> {
  const run = await startConnector(command, inputs)
  try {
    await run.ended
    const problem = run.problem()
    if (problem !== undefined) throw new Error(problem)
    return run
  } finally {
    await run[Symbol.asyncDispose]()
  }
}

/** The same without a process of its own, which takes longer than most runs. What that adds, read.test.ts shows. */
export async function connectorHere(command: string, inputs: Inputs = {}): Promise<ConnectorMessages> {
  await using folder = await temporaryFolder()
  const line = parseCommandLine(await argumentsIn(folder, command, inputs))
  if (typeof line === 'string') throw new Error(line)
  const path = join(folder.path, 'stdout')
  const output = await Output.open(path)
  const run = new ConnectorMessages()
  const { signal } = new AbortController()
  try {
    run.code = await runCommand(line, new MessageOutput(line, output), { signal })
  } finally {
    await output.close()
  }
  run.chunks.push(await readFile(path))
  const problem = run.problem()
  if (problem !== undefined) throw new Error(problem)
  return run
}

/** What a run has said until now. */
export class ConnectorMessages {
  code: number | null = null
  /** As it came. */
  readonly chunks: Buffer[] = []

  get stdout(): string {
    return Buffer.concat(this.chunks).toString()
  }

  /** Whole lines until now: what is behind the last line's end a client would not see either. */
  get lines(): readonly string[] {
    for (; this.#read < this.chunks.length; this.#read++) {
      const lines = (this.#rest + this.#decoder.write(this.chunks[this.#read]!)).split('\n')
      this.#rest = lines.pop()!
      this.#lines = this.#lines.concat(lines)
    }
    return this.#lines
  }
  #lines: readonly string[] = []
  #rest = ''
  #read = 0
  readonly #decoder = new StringDecoder()

  get messages(): readonly AnyMessage[] {
    const { lines } = this
    if (this.#messages.length < lines.length) {
      const more = lines.slice(this.#messages.length).map((line) => JSON.parse(line) as AnyMessage)
      this.#messages = this.#messages.concat(more)
    }
    return this.#messages
  }
  #messages: readonly AnyMessage[] = []

  of(type: string): AnyMessage[] {
    return this.messages.filter((message) => message.type === type)
  }

  get records(): RecordMessage[] {
    return this.of('RECORD').map(({ record }) => record)
  }

  get states(): StateMessage[] {
    return this.of('STATE').map(({ state }) => state)
  }

  get errors(): AnyMessage[] {
    return this.of('TRACE').flatMap(({ trace }) => (trace.type === 'ERROR' ? [trace.error] : []))
  }

  get logs(): string[] {
    return this.of('LOG').map(({ log }) => `${log.level} ${log.message}`)
  }

  /** What is wrong with the output. */
  problem(): string | undefined {
    if (this.stdout !== '' && !this.stdout.endsWith('\n')) return `the last line is torn: ${this.stdout.slice(-200)}`
    const { lines } = this
    let messages: readonly AnyMessage[]
    try {
      messages = this.messages
    } catch (error) {
      return `a line is no JSON: ${(error as Error).message}`
    }
    for (const [index, message] of messages.entries()) {
      const line = lines[index]!
      const problem = messageProblem(message)
      if (problem !== undefined) return `${problem}: ${line.slice(0, 400)}`
      if (message.type === 'STATE' && message.state.sourceStats && !/"recordCount":\d+\.\d/.test(line)) {
        return `recordCount has no decimal point: ${line.slice(-200)}`
      }
    }
    return undefined
  }
}

export class ConnectorRun extends ConnectorMessages implements AsyncDisposable {
  readonly ended: Promise<{ readonly code: number | null; readonly signal: NodeJS.Signals | null }>
  readonly #child: ChildProcess
  readonly #folder: TemporaryFolder
  readonly #stderr: Buffer[] = []

  constructor(args: readonly string[], folder: TemporaryFolder) {
    const { PATH, HOME, TMPDIR } = process.env
    super()
    this.#folder = folder
    this.#child = spawn(connectorPath, args, { env: { PATH, HOME, TMPDIR }, stdio: ['ignore', 'pipe', 'pipe'] })
    this.#child.stdout!.on('data', (chunk: Buffer) => this.chunks.push(chunk))
    this.#child.stderr!.on('data', (chunk: Buffer) => this.#stderr.push(chunk))
    this.ended = once(this.#child, 'close').then(([code, signal]) => {
      this.code = code
      return { code, signal }
    })
  }

  get pid(): number {
    return this.#child.pid!
  }

  get running(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null
  }

  get stderr(): string {
    return Buffer.concat(this.#stderr).toString()
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal)
  }

  /** As when the client is gone. */
  closeOutput(): void {
    this.#child.stdout!.destroy()
    this.#child.stderr!.destroy()
  }

  async waitFor(condition: () => unknown, what: string, options: Omit<WaitOptions, 'what'> = {}): Promise<void> {
    await waitFor(condition, { timeoutMs: 20_000, ...options, what }).catch((error: Error) => {
      throw new Error(`${error.message}; it said:\n${this.stdout.slice(-3000)}\n${this.stderr}`)
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.running) this.#child.kill('SIGKILL')
    await this.ended
    await this.#folder[Symbol.asyncDispose]()
  }
}
