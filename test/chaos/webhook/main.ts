import { appendFileSync } from 'node:fs'
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { DEFAULT_MAJOR, startServer } from '../../support/servers.js'
import { Random } from '../random.js'
import { runWebhookChaos } from './chaos.js'

const HELP = `Kills tailrace run at random under load, while the receiver of its webhook sink fails, hangs, is slow, cuts connections and refuses batches. Then
each key's changes must have come in order and none be missing, and what the receiver makes of the records by their ids must equal the tables.
A round that fails keeps its files, and ends all with exit code 1.

  --rounds <n>     one after another, with seeds that follow; default 1
  --kills <n>      by SIGKILL; default 30
  --seed <n>       of moments, faults, settings and writers; default by the clock
  --rows <n>       of the largest table; default 12000
  --major <n>      of PostgreSQL; default ${DEFAULT_MAJOR}
  --log <file>     append what is printed to this file, too
`

const { values } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: 'string', default: '1' },
    kills: { type: 'string', default: '30' },
    seed: { type: 'string', default: String(Date.now() % 1e9) },
    rows: { type: 'string', default: '12000' },
    major: { type: 'string', default: String(DEFAULT_MAJOR) },
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
  const [kills, rows] = [Number(values.kills), Number(values.rows)]
  log(`seed ${seed}: ${kills} kills, ${rows} rows, PostgreSQL ${values.major}`)
  const folder = await mkdtemp(join(tmpdir(), `tailrace-webhook-${seed}-`))
  await chmod(folder, 0o755)
  const began = performance.now()
  await using server = await startServer({ major: Number(values.major) })
  const problems = await runWebhookChaos({
    ...{ url: server.url(), folder, kills, rows, log },
    random: new Random(seed),
  }).catch((error: Error) => [error.stack ?? error.message])
  const took = `${Math.round((performance.now() - began) / 1000)} s`
  if (problems.length === 0) {
    log(`every key's changes came in order, none is missing, and folded by id the records are the tables (${took})`)
    await rm(folder, { recursive: true })
    return true
  }
  await writeFile(join(folder, 'server.log'), server.log)
  for (const problem of problems) log(`PROBLEM ${problem}`)
  log(`FAILED with ${problems.length} problems (${took}); what the runs said and server.log: ${folder}`)
  return false
}

function log(line: string): void {
  process.stdout.write(`${line}\n`)
  if (values.log !== undefined) appendFileSync(values.log, `${line}\n`)
}
