import { readFileSync } from 'node:fs'
import { open, readFile, rm } from 'node:fs/promises'
import { STATE_FAILED, STATE_LOCKED } from '../../core/errors.js'

/**
 * Two runs with one state file would write into one output. The lock is a file beside it, which says who has it; one
 * that a killed run left behind is taken over.
 */
export class StateLock implements AsyncDisposable {
  readonly #path: string

  static async take(statePath: string): Promise<StateLock> {
    const path = `${statePath}.lock`
    for (;;) {
      try {
        const file = await open(path, 'wx')
        await file.writeFile(identity(process.pid))
        await file.close()
        return new StateLock(path)
      } catch (cause) {
        const { code, message } = cause as NodeJS.ErrnoException
        if (code !== 'EEXIST') throw STATE_FAILED({ path, problem: message }, { cause })
      }
      const holder = await readFile(path, 'utf8').catch(() => '')
      const pid = Number(holder.split(' ')[0])
      if (pid > 0 && identity(pid) === holder && pid !== process.pid) throw STATE_LOCKED({ path: statePath, pid })
      await rm(path, { force: true })
    }
  }

  private constructor(path: string) {
    this.#path = path
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.#path, { force: true })
  }
}

/** Pid and, where the system tells, when the process began: pids are used again. Empty when there is no such process. */
function identity(pid: number): string {
  try {
    process.kill(pid, 0)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return ''
  }
  try {
    // The 22nd field of /proc/<pid>/stat; the second, in parentheses, may hold anything.
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return `${pid} ${stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]}`
  } catch {
    return `${pid}`
  }
}
