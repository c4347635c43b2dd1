import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import type { Readable } from 'node:stream'
import { cliPath } from './cli.js'
import { type WaitOptions, waitFor } from './waitFor.js'

export interface TailraceOptions {
  /**
   * Variables for the command; of our own environment only those that a program needs to run. What it tells is text, as on
   * a terminal, where TAILRACE_LOG does not say otherwise.
   */
  readonly env?: Readonly<Record<string, string | undefined>>
  /**
   * Where its standard output goes: collected (default), a file descriptor, or `'unread'`: a pipe that nobody reads
   * until the test does so itself, through `stdout`.
   */
  readonly output?: 'collect' | 'unread' | number
  /** Another file than the command's own. */
  readonly cli?: string
}

export interface Ended {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

export interface TailraceResult extends Ended {
  readonly stdout: string
  readonly stderr: string
  /** Each line of `stdout`, parsed. */
  readonly records: readonly OutputRecord[]
}

/** A line of the output. */
export interface OutputRecord {
  readonly operation: string
  readonly schema?: string
  readonly table?: string
  readonly key?: Readonly<Record<string, unknown>>
  readonly oldKey?: Readonly<Record<string, unknown>>
  readonly before?: Readonly<Record<string, unknown>>
  readonly after?: Readonly<Record<string, unknown>>
  readonly lsn?: string
  readonly seq?: number
  readonly id: string
  readonly [field: string]: unknown
}

/** Runs the command to its end. */
export async function tailrace(args: readonly string[], options: TailraceOptions = {}): Promise<TailraceResult> {
  await using running = startTailrace(args, options)
  const ended = await running.ended
  const { collected: stdout, stderr } = running
  return {
    ...ended,
    stdout,
    stderr,
    get records() {
      return parseLines(stdout)
    },
  }
}

/** Starts the command: `await using running = startTailrace([…])`; what still runs at the end of the scope is killed. */
export function startTailrace(args: readonly string[], options: TailraceOptions = {}): TailraceProcess {
  return new TailraceProcess(args, options)
}

export class TailraceProcess implements AsyncDisposable {
  /** Resolves when it has exited and its pipes are closed. */
  readonly ended: Promise<Ended>
  readonly #child: ChildProcess
  readonly #stdout: Buffer[] = []
  readonly #stderr: Buffer[] = []

  constructor(args: readonly string[], { env, output = 'collect', cli = cliPath }: TailraceOptions) {
    const { PATH, HOME, TMPDIR } = process.env
    this.#child = spawn(process.execPath, [cli, ...args], {
      env: { PATH, HOME, TMPDIR, TAILRACE_LOG: 'text', ...env },
      stdio: ['ignore', typeof output === 'number' ? output : 'pipe', 'pipe'],
    })
    this.#child.stderr!.on('data', (chunk: Buffer) => this.#stderr.push(chunk))
    if (output === 'collect') this.#child.stdout!.on('data', (chunk: Buffer) => this.#stdout.push(chunk))
    // With a pipe that nobody reads "close" would never come.
    const event = output === 'unread' ? 'exit' : 'close'
    this.ended = once(this.#child, event).then(([code, signal]) => ({ code, signal }))
  }

  get pid(): number {
    return this.#child.pid!
  }

  /** The pipe, for `output: 'unread'`. */
  get stdout(): Readable {
    return this.#child.stdout!
  }

  /** Standard output until now. */
  get collected(): string {
    return Buffer.concat(this.#stdout).toString()
  }

  get stderr(): string {
    return Buffer.concat(this.#stderr).toString()
  }

  get running(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null
  }

  /** The records written until now; a line whose end is still to come is left out. */
  get records(): readonly OutputRecord[] {
    const text = this.collected
    return parseLines(text.slice(0, text.lastIndexOf('\n') + 1))
  }

  /** From now on nobody reads it. */
  closeStderr(): void {
    this.#child.stderr!.destroy()
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal)
  }

  /** Waits until it says so on stderr. */
  async says(text: string): Promise<void> {
    await this.waitFor(() => this.stderr.includes(text), `it says ${text}`)
  }

  /** Waits for something that it shall bring about: its end before that is a failure. */
  async waitFor(condition: () => unknown, what: string, options: Omit<WaitOptions, 'what'> = {}): Promise<void> {
    const orEnded = async () => {
      if (await condition()) return 'there'
      return this.running ? undefined : 'ended'
    }
    const came = await waitFor(orEnded, { timeoutMs: 20_000, ...options, what }).catch((error: Error) => error.message)
    if (came !== 'there') throw new Error(`before ${what}: ${came}; tailrace said:\n${this.stderr}`)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.running) return
    this.#child.kill('SIGKILL')
    this.#child.stdout?.resume()
    await this.ended
  }
}

/** Every line as a record; throws where one is no JSON, or the last one torn. */
export function parseLines(text: string): OutputRecord[] {
  if (text === '') return []
  if (!text.endsWith('\n')) throw new Error(`the last line is torn: ${text.slice(text.lastIndexOf('\n') + 1)}`)
  return text
    .slice(0, -1)
    .split('\n')
    .map((line) => JSON.parse(line) as OutputRecord)
}
