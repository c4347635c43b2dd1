import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { guard } from '../../src/cli/embedded/keeper.js'
import { RUN_FOLDER_VARIABLE } from './servers.js'

/** One folder a run, for the templates that servers.ts makes when they are first asked for; gone however the run ends. */
export default async function setup(): Promise<() => Promise<void>> {
  const folder = await mkdtemp(join(tmpdir(), 'tailrace-run-'))
  const guarded = guard(folder)
  await chmod(folder, 0o755) // as root the servers run as another user, who copies from here
  process.env[RUN_FOLDER_VARIABLE] = folder
  return async () => {
    await rm(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 })
    guarded.release()
  }
}
