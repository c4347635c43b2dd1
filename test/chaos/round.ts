import { appendFileSync } from 'node:fs'
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { EmbeddedPostgres } from '../../src/cli/embedded/server.js'
import { startServer } from '../support/servers.js'

/** To standard output, and to the file of `--log`. */
export type Log = (line: string) => void

export function logTo(file: string | undefined): Log {
  return (line) => {
    process.stdout.write(`${line}\n`)
    if (file !== undefined) appendFileSync(file, `${line}\n`)
  }
}

/** One round after another, with seeds that follow; the exit code. */
export async function eachSeed(
  { seed, rounds }: { readonly seed: string; readonly rounds: string },
  log: Log,
  succeeds: (seed: number) => Promise<boolean>,
): Promise<number> {
  const first = Number(seed)
  const failed: number[] = []
  const count = Number(rounds)
  for (let one = first; one < first + count; one++) if (!(await succeeds(one))) failed.push(one)
  if (count > 1) log(`${count - failed.length} of ${count} rounds without a problem`)
  if (failed.length > 0) log(`failed: ${failed.map((one) => `--seed ${one}`).join(', ')}`)
  return failed.length === 0 ? 0 : 1
}

export interface Round {
  /** Of its folder. */
  readonly name: string
  /** What is so when there are no problems. */
  readonly proven: string
  readonly log: Log
  /** Ends with what is wrong. */
  readonly run: (folder: string, servers: Servers) => Promise<readonly string[]>
}

/** Of a round: they end when all was told, and their logs are kept where it fails. */
export class Servers {
  readonly started: { readonly name: string; readonly server: EmbeddedPostgres }[] = []

  async start(name: string, options: Parameters<typeof startServer>[0]): Promise<EmbeddedPostgres> {
    const server = await startServer(options)
    this.started.push({ name, server })
    return server
  }
}

/** In a folder of its own, which is kept where it fails. */
export async function succeeds({ name, proven, log, run }: Round): Promise<boolean> {
  const folder = await mkdtemp(join(tmpdir(), `tailrace-${name}-`))
  // As root the servers run as another user.
  await chmod(folder, 0o755)
  const servers = new Servers()
  const began = performance.now()
  const problems = await run(folder, servers).catch((error: Error) => [error.stack ?? error.message])
  const took = `${Math.round((performance.now() - began) / 1000)} s`
  for (const problem of problems) log(`PROBLEM ${problem}`)
  if (problems.length === 0) log(`${proven} (${took})`)
  else
    log(
      `FAILED with ${problems.length} problems (${took}); what the runs said and wrote, and the servers' logs: ${folder}`,
    )
  for (const { name, server } of servers.started) {
    if (problems.length > 0) await writeFile(join(folder, `${name}.log`), server.log)
    await server[Symbol.asyncDispose]()
  }
  if (problems.length === 0) await rm(folder, { recursive: true })
  return problems.length === 0
}
