import { parseArgs } from 'node:util'
import { majors } from '../../support/servers.js'
import { Random } from '../random.js'
import { eachSeed, logTo, succeeds } from '../round.js'
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

const log = logTo(values.log)

if (values.help) process.stdout.write(HELP)
else process.exitCode = await eachSeed(values, log, round)

async function round(seed: number): Promise<boolean> {
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
  return succeeds({
    name: `replicate-${seed}`,
    proven: "both sides are equal, the table without a key has exactly the source's rows, no dead letters",
    log,
    run: async (folder, servers) => {
      const settings = { deadlock_timeout: '100ms', wal_sender_timeout: '3s' }
      const source = await servers.start('source', { major: from, durable: true, settings })
      const target = await servers.start('target', { major: to, durable: true, settings })
      return runReplicateChaos({
        ...{ source, target, folder, random, kills, cuts, log },
        sourceRestarts: Number(values['source-restarts']),
        targetRestarts: Number(values['target-restarts']),
        rows: Number(values.rows),
        writers: Number(values.writers),
        applyConnections,
      })
    },
  })
}
