import { parseArgs } from 'node:util'
import { DEFAULT_MAJOR } from '../../support/servers.js'
import { Random } from '../random.js'
import { eachSeed, logTo, succeeds } from '../round.js'
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

const log = logTo(values.log)

if (values.help) process.stdout.write(HELP)
else process.exitCode = await eachSeed(values, log, round)

async function round(seed: number): Promise<boolean> {
  const [kills, rows] = [Number(values.kills), Number(values.rows)]
  log(`seed ${seed}: ${kills} kills, ${rows} rows, PostgreSQL ${values.major}`)
  return succeeds({
    name: `webhook-${seed}`,
    proven: "every key's changes came in order, none is missing, and folded by id the records are the tables",
    log,
    run: async (folder, servers) => {
      const server = await servers.start('server', { major: Number(values.major) })
      return runWebhookChaos({ url: server.url(), folder, kills, rows, log, random: new Random(seed) })
    },
  })
}
