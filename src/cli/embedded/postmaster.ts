import { type ChildProcess, spawn } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import type { Socket } from 'node:net'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Binaries } from './binaries.js'
import { EmbeddedPostgresError } from './errors.js'

export interface PostmasterOptions {
  readonly binaries: Binaries
  readonly dataFolder: string
  readonly settings: Readonly<Record<string, string>>
  /** Everything the server writes to its log passes here. */
  readonly onLog: (text: string) => void
  readonly onPid: (pid: number | undefined) => void
  readonly signal?: AbortSignal | undefined
}

/** Recovery after a crash may have a lot to replay. */
const READY_WITHIN_MS = 60_000
const STOPPED_WITHIN_MS = 60_000

/** One run of the server, from its start to its exit. */
export class Postmaster {
  readonly pid: number
  readonly exited: Promise<void>
  readonly #process: ChildProcess
  #running = true

  private constructor(child: ChildProcess, pid: number, onExit: () => void) {
    this.pid = pid
    this.#process = child
    this.exited = new Promise((resolve) => {
      child.once('close', () => {
        this.#running = false
        onExit()
        resolve()
      })
    })
    // a forgotten server shall not keep its process alive; the keeper ends it after us
    child.unref()
    ;(child.stderr as Socket).unref()
  }

  get running(): boolean {
    return this.#running
  }

  /** Resolves when connections are accepted. */
  static async launch(options: PostmasterOptions): Promise<Postmaster> {
    const { binaries, dataFolder, settings } = options
    let log = ''
    const args = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])
    const child = spawn(binaries.postgres, ['-D', dataFolder, ...args], {
      cwd: dirname(dataFolder),
      env: binaries.environment,
      detached: true, // Ctrl-C in the terminal must not stop it under our feet
      stdio: ['ignore', 'ignore', 'pipe'],
      ...binaries.account,
    })
    const failed = new Promise<Error>((resolve) => child.once('error', resolve))
    if (child.pid === undefined) throw startFailure((await failed).message)
    options.onPid(child.pid)
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      log += text
      options.onLog(text)
    })
    const postmaster = new Postmaster(child, child.pid, () => options.onPid(undefined))
    try {
      await postmaster.#untilReady(join(dataFolder, 'postmaster.pid'), options.signal)
    } catch (error) {
      await postmaster.stop('SIGQUIT')
      throw error
    }
    if (!postmaster.running) throw startFailure(log.trim())
    child.stderr.removeAllListeners('data').on('data', options.onLog)
    return postmaster
  }

  /** Sends the signal and waits for the exit; does nothing when the server has ended already. */
  async stop(signal: NodeJS.Signals): Promise<void> {
    if (!this.#running) return
    this.#process.ref()
    this.#process.kill(signal)
    const late = new AbortController()
    const timeout = sleep(STOPPED_WITHIN_MS, 'late', { signal: late.signal }).catch(() => 'aborted')
    const outcome = await Promise.race([this.exited, timeout])
    late.abort()
    if (outcome !== 'late') return
    throw new EmbeddedPostgresError(
      'EMBEDDED_STOP_FAILED',
      `the server (process ${this.pid}) is still running ${STOPPED_WITHIN_MS / 1_000} s after ${signal}`,
      'A fast stop waits until every replication client has confirmed what was sent; an immediate one does not.',
    )
  }

  /** Line 8 of postmaster.pid says `ready`; line 1 tells our server's file from one that a crash left behind. */
  async #untilReady(file: string, signal: AbortSignal | undefined): Promise<void> {
    for (const deadline = performance.now() + READY_WITHIN_MS; this.#running; await sleep(20)) {
      signal?.throwIfAborted()
      const lines = (await readFile(file, 'utf8').catch(() => '')).split('\n')
      if (Number(lines[0]) === this.pid && lines[7]?.trim() === 'ready') return
      if (performance.now() > deadline) throw startFailure(`not ready after ${READY_WITHIN_MS / 1_000} s`)
    }
  }
}

function startFailure(reason: string): EmbeddedPostgresError {
  return new EmbeddedPostgresError(
    'EMBEDDED_START_FAILED',
    `the PostgreSQL server did not start: ${reason}`,
    'The message is of the server; the settings it was given are the likeliest cause.',
  )
}
