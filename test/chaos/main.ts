import { appendFileSync } from 'node:fs'
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { majors, startServer } from '../support/servers.js'
import { runChaos } from './chaos.js'
import { Random } from './random.js'

const HELP = `Kills tailrace stream --state --output at random under load, cuts its connections, restarts its server, and compares
what the output amounts to with the tables. A run that fails keeps its files, and ends all with exit code 1.

  --seed <n>      of the workload and the moments; default by the clock
  --kills <n>     by SIGKILL, default 50
  --cuts <n>      of the network: two of three by a reset, one by silence; default 10
  --restarts <n>  of the server: immediate, fast, immediate, …; default 2
  --major <n>     of PostgreSQL; default by the seed
  --runs <n>      one after another, with seeds that follow; default 1
  --seconds <n>   begin no further run of the command after so long; default none
  --rows <n>      of the largest table at the start, default 60000
  --writers <n>   sessions that change the tables, default 4
  --log <file>    append what is printed to this file, too
`

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: String(Date.now() % 1e9) },
    kills: { type: 'string', default: '50' },
    cuts: { type: 'string', default: '10' },
    restarts: { type: 'string', default: '2' },
    major: { type: 'string' },
    runs: { type: 'string', default: '1' },
    seconds: { type: 'string' },
    rows: { type: 'string', default: '60000' },
    writers: { type: 'string', default: '4' },
    log: { type: 'string' },
    help: { type: 'boolean', short: 'h', default: false },
  },
})

if (values.help) process.stdout.write(HELP)
else process.exitCode = await main()

async function main(): Promise<number> {
  const first = Number(values.seed)
  let failed = 0
  for (let run = 0; run < Number(values.runs); run++) if (!(await succeeds(first + run))) failed++
  if (Number(values.runs) > 1) log(`${Number(values.runs) - failed} of ${values.runs} runs without a problem`)
  return failed === 0 ? 0 : 1
}

async function succeeds(seed: number): Promise<boolean> {
  const major = values.major === undefined ? new Random(seed).pick(majors) : Number(values.major)
  const [kills, cuts, restarts, rows, writers] = [
    Number(values.kills),
    Number(values.cuts),
    Number(values.restarts),
    Number(values.rows),
    Number(values.writers),
  ]
  const counts = { kills, cuts, restarts }
  log(`seed ${seed}, PostgreSQL ${major}: again with --seed ${seed} --major ${major}`)
  const folder = await mkdtemp(join(tmpdir(), `tailrace-chaos-${seed}-`))
  // As root the servers run as another user.
  await chmod(folder, 0o755)
  const began = performance.now()
  // A dead network's slot shall be free again before the run is over.
  const settings = { deadlock_timeout: '100ms', wal_sender_timeout: '5s' }
  await using server = await startServer({ major, durable: true, settings })
  const seconds = values.seconds === undefined ? undefined : Number(values.seconds)
  const problems = await runChaos({ ...counts, server, folder, seed, rows, writers, seconds, log }).then(
    (report) => report.problems,
    (error: Error) => [error.message],
  )
  const took = `${Math.round((performance.now() - began) / 1000)} s`
  if (problems.length === 0) {
    log(`the output equals the tables, every record once (${took})`)
    await rm(folder, { recursive: true })
    return true
  }
  await writeFile(join(folder, 'server.log'), server.log)
  for (const problem of problems) log(`PROBLEM ${problem}`)
  log(`FAILED with ${problems.length} problems (${took}); output, state, what the runs said and server.log: ${folder}`)
  return false
}

function log(line: string): void {
  process.stdout.write(`${line}\n`)
  if (values.log !== undefined) appendFileSync(values.log, `${line}\n`)
}
