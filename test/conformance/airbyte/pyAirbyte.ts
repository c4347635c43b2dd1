import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
// biome-ignore lint/plugin: the output of a process is a descriptor
import { closeSync, existsSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface, type Interface } from 'node:readline'
import type { Readable } from 'node:stream'

/** Those that PyAirbyte runs on. */
const PYTHONS = ['python3.11', 'python3.12', 'python3.10']

export interface Synced {
  readonly records: number
  readonly lines: number
  /** Lines that the protocol's models do not take, and some of them. */
  readonly rejected: number
  readonly examples: readonly { readonly line: string; readonly error: string }[]
  readonly types: Readonly<Record<string, number>>
  readonly logs: readonly string[]
}

/** The Python of a virtual environment that has what `requirements` names: made once, and kept among temporary files. */
export function installed(requirements: string, log: (text: string) => void): string {
  const wanted = readFileSync(requirements, 'utf8')
  const version = createHash('sha256').update(wanted).digest('hex').slice(0, 8)
  const folder = process.env.TAILRACE_PYAIRBYTE ?? join(tmpdir(), `tailrace-pyairbyte-${version}`)
  const python = join(folder, 'bin/python')
  const done = join(folder, 'installed.txt')
  if (existsSync(done) && readFileSync(done, 'utf8') === wanted) return python
  log(`installing PyAirbyte into ${folder}: some 800 MB, one to two minutes`)
  rmSync(folder, { recursive: true, force: true })
  execFileSync(chosenPython(), ['-m', 'venv', folder], { stdio: 'inherit' })
  execFileSync(python, ['-m', 'pip', 'install', '--quiet', '-r', requirements], { stdio: 'inherit' })
  writeFileSync(done, wanted)
  return python
}

function chosenPython(): string {
  const found = PYTHONS.find((name) => {
    try {
      execFileSync(name, ['--version'], { stdio: 'ignore' })
      return true
    } catch {
      return false
    }
  })
  if (found === undefined) throw new Error(`none of ${PYTHONS.join(', ')} is there, which PyAirbyte needs`)
  return found
}

export interface PyAirbyteOptions {
  readonly python: string
  /** client.py. */
  readonly script: string
  /** Everything that it writes. */
  readonly folder: string
}

/** PyAirbyte in a process of its own, offline. What it prints goes to `printed.log` in its folder. */
export class PyAirbyte implements AsyncDisposable {
  readonly #child: ChildProcess
  readonly #answers: AsyncIterator<string>
  readonly #reader: Interface

  constructor({ python, script, folder }: PyAirbyteOptions) {
    const printed = openSync(join(folder, 'printed.log'), 'a')
    this.#child = spawn(python, ['-W', 'ignore', script], {
      cwd: folder,
      env: {
        PATH: process.env.PATH,
        HOME: folder,
        // Set before the import: no registry, no telemetry.
        AIRBYTE_OFFLINE_MODE: '1',
        DO_NOT_TRACK: '1',
        AIRBYTE_PROJECT_DIR: folder,
        AIRBYTE_TEMP_DIR: folder,
        AIRBYTE_LOGGING_ROOT: folder,
        NO_LIVE_PROGRESS: '1',
      },
      stdio: ['pipe', printed, printed, 'pipe'],
    })
    closeSync(printed)
    this.#reader = createInterface({ input: this.#child.stdio[3] as Readable })
    this.#answers = this.#reader[Symbol.asyncIterator]()
  }

  /** Checks the connector, and chooses the streams. */
  open(executable: string, config: object, streams: readonly string[], cache: string): Promise<unknown> {
    return this.#ask({ do: 'open', executable, config, streams, cache })
  }

  sync(): Promise<Synced> {
    return this.#ask({ do: 'sync' }) as Promise<Synced>
  }

  /** The first column of a query on the cache. */
  rows(sql: string): Promise<string[]> {
    return this.#ask({ do: 'rows', sql }) as Promise<string[]>
  }

  async #ask(request: object): Promise<unknown> {
    this.#child.stdin!.write(`${JSON.stringify(request)}\n`)
    const { value, done } = await this.#answers.next()
    if (done) throw new Error('PyAirbyte ended')
    const answer = JSON.parse(value) as { readonly value?: unknown; readonly error?: string }
    if (answer.error !== undefined) throw new Error(`PyAirbyte: ${answer.error}`)
    return answer.value
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.stdin!.end()
    this.#reader.close()
    if (this.#child.exitCode === null) await new Promise((resolve) => this.#child.once('exit', resolve))
  }
}
