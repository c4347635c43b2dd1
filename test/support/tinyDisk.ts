import { execFile } from 'node:child_process'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { temporaryFolder } from './temporaryFolder.js'

const run = promisify(execFile)

/** A file system of a given size: `await using disk = await tinyDisk('1m')`. */
export interface TinyDisk extends AsyncDisposable {
  readonly path: string
  grow(size: string): Promise<void>
}

export async function tinyDisk(size: string): Promise<TinyDisk> {
  const folder = await temporaryFolder()
  const path = join(folder.path, 'disk')
  await mkdir(path)
  try {
    await run('mount', ['-t', 'tmpfs', '-o', `size=${size}`, 'tmpfs', path])
  } catch (error) {
    await folder[Symbol.asyncDispose]()
    throw error
  }
  return {
    path,
    grow: async (larger) => void (await run('mount', ['-o', `remount,size=${larger}`, path])),
    [Symbol.asyncDispose]: async () => {
      await run('umount', [path])
      await folder[Symbol.asyncDispose]()
    },
  }
}

/** Takes root, and a kernel that lets root do so. */
export async function mayMount(): Promise<boolean> {
  if (process.platform !== 'linux') return false
  return tinyDisk('1m').then(
    (disk) => disk[Symbol.asyncDispose]().then(() => true),
    () => false,
  )
}
