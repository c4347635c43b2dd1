import { readFileSync, renameSync, writeFileSync } from 'node:fs'
import { constants, copyFile, link, readFile, rm } from 'node:fs/promises'
import { sleep } from '../../core/abort.js'
import { type CONTROL_IN_USE, OUTPUT_LOCKED, STATE_FAILED, STATE_LOCKED } from '../../core/errors.js'

type Held = typeof STATE_LOCKED | typeof OUTPUT_LOCKED | typeof CONTROL_IN_USE

/** Two that take over at the same moment are further apart than this only if one was stopped in between. */
const TAKEOVER_MS = 100

/**
 * Two runs with one state file would write into one output. The lock is a file beside it, which says who has it; one
 * that a killed run left behind is taken over.
 */
export class StateLock implements AsyncDisposable {
  /** By path: who has it in this process. */
  static readonly #holders = new Map<string, StateLock>()
  readonly #path: string
  readonly #identity: string

  /** Of a state file, a control socket, or an output: two runs that write into one file cut off each other's lines. */
  static async take(statePath: string, held: Held = STATE_LOCKED): Promise<StateLock> {
    const path = `${statePath}.lock`
    const mine = identity(process.pid)
    // It never stands there without saying whose it is.
    const prepared = `${path}.${process.pid}`
    try {
      for (;;) {
        writeFileSync(prepared, mine)
        const taken = await link(prepared, path)
          .catch((error) => copyInstead(error, prepared, path))
          .then(() => true, refused)
        if (taken || (await takenOver(path, prepared, statePath, held))) return new StateLock(path, mine)
      }
    } catch (cause) {
      if (held.is(cause)) throw cause
      throw STATE_FAILED({ path, problem: (cause as Error).message }, { cause })
    } finally {
      await rm(prepared, { force: true })
    }
  }

  private constructor(path: string, mine: string) {
    this.#path = path
    this.#identity = mine
    StateLock.#holders.set(path, this)
  }

  /** Who was slow to give it back leaves it to whoever has taken it over in this process. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (StateLock.#holders.get(this.#path) !== this) return
    StateLock.#holders.delete(this.#path)
    if ((await readFile(this.#path, 'utf8').catch(() => '')) === this.#identity) await rm(this.#path, { force: true })
  }
}

/** Of an output. Where no lock can be made, on a full disk, the first write tells. */
export async function lockOutput(file: string): Promise<StateLock | undefined> {
  try {
    return await StateLock.take(file, OUTPUT_LOCKED)
  } catch (error) {
    if (OUTPUT_LOCKED.is(error)) throw error
    return undefined
  }
}

/** For file systems without links. */
function copyInstead(error: NodeJS.ErrnoException, from: string, to: string): Promise<void> {
  if (error.code === 'EEXIST' || error.code === 'ENOENT') throw error
  return copyFile(from, to, constants.COPYFILE_EXCL)
}

function refused(error: NodeJS.ErrnoException): false {
  if (error.code === 'EEXIST') return false
  throw error
}

/**
 * Whether a lock whose holder is gone is now ours; throws when somebody has it. Each of several that find it puts its
 * own in its place, and after a while the last one has it.
 */
async function takenOver(path: string, prepared: string, statePath: string, held: Held): Promise<boolean> {
  const holder = read(path)
  if (holder === undefined) return false // given back just now
  const pid = Number(holder.split(' ')[0])
  if (pid > 0 && identity(pid) === holder && pid !== process.pid) throw held({ path: statePath, pid })
  renameSync(prepared, path)
  await sleep(TAKEOVER_MS)
  return read(path) === identity(process.pid)
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
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
