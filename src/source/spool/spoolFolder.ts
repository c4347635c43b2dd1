import { rmSync } from 'node:fs'
import { type FileHandle, mkdtemp, open, readdir, rm, unlink } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join } from 'node:path'

const PREFIX = `tailrace-spool-${hostname().replace(/[^A-Za-z0-9.]/g, '_')}-`
/** Those of this process that are in use. */
const ours = new Set<string>()

/** A folder of one run for files that mean nothing without it. Made when the first is, and gone with the last. */
export class SpoolFolder {
  readonly #parent: string
  #path: Promise<string> | undefined
  #files = 0
  readonly #onExit = () => {
    for (const path of this.#made) rmSync(path, { recursive: true, force: true })
  }
  readonly #made = new Set<string>()

  constructor(parent: string) {
    this.#parent = parent
  }

  /** What runs of this machine left that were killed. Never throws: what cannot be removed is somebody else's. */
  static async clean(parent: string): Promise<void> {
    const names = await readdir(parent).catch(() => [] as string[])
    for (const name of names.filter((one) => one.startsWith(PREFIX))) {
      const path = join(parent, name)
      const pid = Number.parseInt(name.slice(PREFIX.length), 10)
      if (ours.has(path) || !(pid > 0) || (pid !== process.pid && isAlive(pid))) continue
      await rm(path, { recursive: true, force: true }).catch(() => {})
    }
  }

  /** A new file, which only our user may read. */
  async create(): Promise<SpoolFile> {
    this.#path ??= this.#make()
    const path = join(await this.#path, `${++this.#files}.spool`)
    return new SpoolFile(path, await open(path, 'wx+', 0o600))
  }

  /** Removes the folder and whatever is left in it; after that it may be used again. */
  async remove(): Promise<void> {
    const path = await this.#path?.catch(() => undefined)
    this.#path = undefined
    if (path === undefined) return
    await rm(path, { recursive: true, force: true }).catch(() => {})
    ours.delete(path)
    this.#made.delete(path)
    process.removeListener('exit', this.#onExit)
  }

  async #make(): Promise<string> {
    const path = await mkdtemp(join(this.#parent, `${PREFIX}${process.pid}-`))
    ours.add(path)
    this.#made.add(path)
    // A process that ends in the middle: on a second signal, or on an error that nobody caught.
    process.once('exit', this.#onExit)
    return path
  }
}

export class SpoolFile {
  readonly path: string
  readonly handle: FileHandle
  /** Bytes written. */
  length = 0
  /** Blocks in it that are still wanted. */
  live = 0

  constructor(path: string, handle: FileHandle) {
    this.path = path
    this.handle = handle
  }

  async remove(): Promise<void> {
    await this.handle.close().catch(() => {})
    await unlink(this.path).catch(() => {})
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}
