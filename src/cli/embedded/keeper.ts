import { type ChildProcess, spawn } from 'node:child_process'
import type { Socket } from 'node:net'
import { tmpdir } from 'node:os'

/** What the keeper is told about a folder: the process to end before the folder is removed; `done` when it is ours no more. */
type Note = { readonly folder: string; readonly pid?: number | undefined; readonly done?: true }

/** A folder that is removed, and a process that is ended first, even if we die by SIGKILL. */
export interface Guard {
  /** The process now working in the folder, `undefined` when it has ended. */
  watch(pid: number | undefined): void
  /** The folder was removed, or is somebody else's from now on. */
  release(): void
}

let keeper: ChildProcess | undefined

export function guard(folder: string): Guard {
  tell({ folder })
  return {
    watch: (pid) => tell({ folder, pid }),
    release: () => tell({ folder, done: true }),
  }
}

function tell(note: Note): void {
  keeper ??= startKeeper()
  keeper.stdin?.write(`${JSON.stringify(note)}\n`)
}

/** One for all servers of this process: a second Node costs 40 ms and 40 MB. */
function startKeeper(): ChildProcess {
  const child = spawn(process.execPath, ['-e', `(${keep.toString()})()`], {
    cwd: tmpdir(),
    env: {},
    detached: true, // not reached by Ctrl-C, nor by the end of our session
    stdio: ['pipe', 'ignore', 'ignore'],
  })
  const forget = () => {
    if (keeper === child) keeper = undefined
  }
  child.once('error', forget).once('exit', forget)
  child.stdin.on('error', forget)
  child.unref()
  ;(child.stdin as Socket).unref()
  return child
}

/**
 * The keeper's whole program. It is run from its source text, because the tests run us from TypeScript that Node
 * cannot load: nothing outside this function may be named in it, and imports come from `getBuiltinModule`.
 */
function keep(): void {
  const { rmSync } = process.getBuiltinModule('node:fs')
  const { createInterface } = process.getBuiltinModule('node:readline')
  const watched = new Map<string, number | undefined>()
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, () => {})

  const signal = (pid: number, name: NodeJS.Signals | 0): boolean => {
    try {
      process.kill(-pid, name) // the group: initdb runs servers of its own
      return true
    } catch {
      return false
    }
  }
  const remove = async (folder: string, pid: number | undefined): Promise<void> => {
    if (pid !== undefined) {
      signal(pid, 'SIGQUIT')
      for (let waited = 0; signal(pid, 0) && waited < 5_000; waited += 50) await new Promise((r) => setTimeout(r, 50))
      signal(pid, 'SIGKILL')
    }
    rmSync(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 })
  }

  createInterface({ input: process.stdin })
    .on('line', (line) => {
      const note: Note = JSON.parse(line)
      if (note.done) watched.delete(note.folder)
      else watched.set(note.folder, note.pid)
    })
    // our parent's end closes its side of the pipe, however it ended
    .on('close', () => {
      for (const [folder, pid] of watched) remove(folder, pid).catch(() => {}) // one that stays is no reason to leave others
    })
}
