import { execFile } from 'node:child_process'
import { chmod, mkdtemp, rm, statfs, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { guard } from '../../src/cli/embedded/keeper.js'
import { RUN_FOLDER_VARIABLE } from './servers.js'

/** Linux's file system in memory. */
const MEMORY = '/dev/shm'
/** What the servers of a run hold at once is below 2 GB. */
const MEMORY_NEEDED = 4 * 2 ** 30

/** One folder a run, for the templates that servers.ts makes when they are first asked for; gone however the run ends. */
export default async function setup(): Promise<() => Promise<void>> {
  const folder = (await folderInMemory()) ?? (await mkdtemp(join(tmpdir(), 'tailrace-run-')))
  const guarded = guard(folder)
  await chmod(folder, 0o1777) // as root the servers run as another user, who copies from here
  process.env[RUN_FOLDER_VARIABLE] = folder
  return async () => {
    await rm(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 })
    guarded.release()
  }
}

/**
 * A server has a thousand files and each test's database 300 more: on a disk, making and removing them takes a quarter
 * of the processor time of all tests. In memory then, with all other temporary files, where there is room for them and
 * programs may be run from there (in a container it is often 64 MB); whoever names a TMPDIR shall have it there.
 */
async function folderInMemory(): Promise<string | undefined> {
  if (process.env.TMPDIR !== undefined) return undefined
  const space = await statfs(MEMORY).catch(() => undefined)
  if (space === undefined || space.bavail * space.bsize < MEMORY_NEEDED) return undefined
  const folder = await mkdtemp(join(MEMORY, 'tailrace-run-')).catch(() => undefined)
  if (folder === undefined) return undefined
  const program = join(folder, 'program')
  try {
    await writeFile(program, '#!/bin/sh\n', { mode: 0o755 })
    await promisify(execFile)(program)
  } catch {
    await rm(folder, { recursive: true, force: true })
    return undefined
  }
  process.env.TMPDIR = folder
  return folder
}
