import { appendFileSync } from 'node:fs'
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { majors, startServer } from '../../support/servers.js'
import { Random } from '../random.js'
import { runReplicateChaos } from './chaos.js'

const HELP = `Kills tailrace run between two servers at random under load, restarts both, cuts its connections, and compares the sides. A
round that fails keeps its files, and ends all with exit code 1.

  --rounds <n>           one after another, with seeds that follow; default 1
  --seed <n>             of versions, moments and writers; default by the clock
  --kills <n>            by SIGKILL; default 50
  --cuts <n>             of the network, of either side: two of three by a reset, one by silence; default 8
  --target-restarts <n>  two of them immediate; default 5
  --source-restarts <n>  one of them immediate; default 3
  --source-major <n>     of PostgreSQL; drawn by default, like the next
  --target-major <n>
  --rows <n>             of the largest tables at the start; default 30000
  --writers <n>          sessions that change the source; default 3
  --apply-connections <n>  each run draws from 2 to so many, and more writes come in bulk; default 1
  --log <file>           append what is printed to this file, too
`

const { values } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: 'string', default: '1' },
    seed: { type: 'string', default: String(Date.now() % 1e9) },
    kills: { type: 'string', default: '50' },
    cuts: { type: 'string', default: '8' },
    'target-restarts': { type: 'string', default: '5' },
    'source-restarts': { type: 'string', default: '3' },
    'source-major': { type: 'string' },
    'target-major': { type: 'string' },
    rows: { type: 'string', default: '30000' },
    writers: { type: 'string', default: '3' },
    'apply-connections': { type: 'string' },
    log: { type: 'string' },
    help: { type: 'boolean', short: 'h', default: false },
  },
})

if (values.help) process.stdout.write(HELP)
else process.exitCode = await main()

async function main(): Promise<number> {
  const first = Number(values.seed)
  const failed: number[] = []
  for (let seed = first; seed < first + Number(values.rounds); seed++) if (!(await succeeds(seed))) failed.push(seed)
  if (failed.length > 0) log(`failed: ${failed.map((seed) => `--seed ${seed}`).join(', ')}`)
  return failed.length === 0 ? 0 : 1
}

async function succeeds(seed: number): Promise<boolean> {
  const random = new Random(seed)
  const major = (given: string | undefined) => {
    const drawn = random.pick(majors)
    return given === undefined ? drawn : Number(given)
  }
  const [from, to] = [major(values['source-major']), major(values['target-major'])]
  const [kills, cuts] = [Number(values.kills), Number(values.cuts)]
  const applyConnections = Number(values['apply-connections'] ?? 1)
  log(
    `seed ${seed}: PostgreSQL ${from} to ${to}, up to ${applyConnections} connections apply, ${kills} kills, ${cuts} cuts, target restarted ${values['target-restarts']} times, source ${values['source-restarts']} times`,
  )
  const folder = await mkdtemp(join(tmpdir(), `tailrace-replicate-${seed}-`))
  await chmod(folder, 0o755)
  const began = performance.now()
  const settings = { deadlock_timeout: '100ms', wal_sender_timeout: '3s' }
  await using source = await startServer({ major: from, durable: true, settings })
  await using target = await startServer({ major: to, durable: true, settings })
  const problems = await runReplicateChaos({
    ...{ source, target, folder, random, kills, cuts, log },
    sourceRestarts: Number(values['source-restarts']),
    targetRestarts: Number(values['target-restarts']),
    rows: Number(values.rows),
    writers: Number(values.writers),
    applyConnections,
  }).catch((error: Error) => [error.stack ?? error.message])
  const took = `${Math.round((performance.now() - began) / 1000)} s`
  if (problems.length === 0) {
    log(`both sides are equal, the table without a key has exactly the source's rows, no dead letters (${took})`)
    await rm(folder, { recursive: true })
    return true
  }
  await writeFile(join(folder, 'source.log'), source.log)
  await writeFile(join(folder, 'target.log'), target.log)
  for (const problem of problems) log(`PROBLEM ${problem}`)
  log(`FAILED with ${problems.length} problems (${took}); what the runs said and the servers' logs: ${folder}`)
  return false
}

function log(line: string): void {
  process.stdout.write(`${line}\n`)
  if (values.log !== undefined) appendFileSync(values.log, `${line}\n`)
}
