import { spawn } from 'node:child_process'
import type { Account } from './account.js'

export interface RunOptions {
  readonly cwd: string
  readonly environment: NodeJS.ProcessEnv
  readonly account: Account | undefined
  readonly signal?: AbortSignal | undefined
  /** Told the process id as soon as there is one, and `undefined` when it has ended. */
  readonly onPid?: (pid: number | undefined) => void
}

export interface RunResult {
  readonly ok: boolean
  /** Standard output and error together, as they came; the reason when the program could not be started at all. */
  readonly output: string
}

/** Runs a program to its end. Never rejects: whether a failure matters is the caller's to say. */
export function run(command: string, args: readonly string[], options: RunOptions): Promise<RunResult> {
  return new Promise((resolve) => {
    let output = ''
    const child = spawn(command, args, {
      cwd: options.cwd,
      env: options.environment,
      // its own process group: Ctrl-C in the terminal is ours to handle, and the keeper can end the whole group
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
      ...options.account,
    })
    const abort = () => child.kill('SIGKILL')
    options.onPid?.(child.pid)
    options.signal?.addEventListener('abort', abort, { once: true })
    child.stdout.on('data', (chunk) => (output += chunk))
    child.stderr.on('data', (chunk) => (output += chunk))
    const finish = (ok: boolean) => {
      options.signal?.removeEventListener('abort', abort)
      options.onPid?.(undefined)
      resolve({ ok, output: output.trim() })
    }
    child.once('error', (error) => {
      output += error.message
      finish(false)
    })
    child.once('close', (code) => finish(code === 0))
  })
}
