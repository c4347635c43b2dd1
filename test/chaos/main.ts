import { parseArgs } from 'node:util'
import { startServer } from '../support/servers.js'
import { temporaryFolder } from '../support/temporaryFolder.js'
import { runChaos } from './chaos.js'

const HELP = `Kills tailrace stream --state --output at random under load, and compares what the output amounts to with the tables.

  --kills <n>    default 20
  --seed <n>     of the workload and the moments; default by the clock
  --major <n>    of PostgreSQL, default 17
  --rows <n>     of the largest table at the start, default 200000
  --writers <n>  sessions that change the tables, default 4
`

const { values } = parseArgs({
  options: {
    kills: { type: 'string', default: '20' },
    seed: { type: 'string', default: String(Date.now() % 1e9) },
    major: { type: 'string', default: '17' },
    rows: { type: 'string', default: '200000' },
    writers: { type: 'string', default: '4' },
    help: { type: 'boolean', short: 'h', default: false },
  },
})

if (values.help) process.stdout.write(HELP)
else {
  process.exitCode = await main().catch((error: Error) => {
    process.stdout.write(`FAILED ${error.message}\n`)
    return 1
  })
}

async function main(): Promise<number> {
  const log = (line: string) => process.stdout.write(`${line}\n`)
  const [kills, seed, major, rows, writers] = [
    Number(values.kills),
    Number(values.seed),
    Number(values.major),
    Number(values.rows),
    Number(values.writers),
  ]
  log(`seed ${seed}, PostgreSQL ${major}: again with --seed ${seed}`)
  await using folder = await temporaryFolder()
  await using server = await startServer({ major, settings: { deadlock_timeout: '100ms' } })
  const { hits, problems } = await runChaos({ url: server.url(), folder: folder.path, seed, kills, rows, writers, log })
  log(`kills: ${[...hits].map(([phase, count]) => `${count} in ${phase}`).join(', ')}`)
  for (const problem of problems) log(`PROBLEM ${problem}`)
  log(problems.length === 0 ? 'the output equals the tables, every record once' : `${problems.length} problems`)
  return problems.length === 0 ? 0 : 1
}
