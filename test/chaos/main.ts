import { parseArgs } from 'node:util'
import { majors } from '../support/servers.js'
import { runChaos } from './chaos.js'
import { MIXES, type MixName } from './mixes.js'
import { Random } from './random.js'
import { eachSeed, logTo, succeeds } from './round.js'
import { describeRound, drawRound, type Fixed, STRATEGIES } from './rounds.js'

const HELP = `Kills tailrace stream --state --output at random under load, cuts its connections, restarts its server, reads its slot,
sends it to sleep, changes the columns of its tables, and compares what the output amounts to with the tables. Whatever is
not given is drawn from the seed. A round that fails keeps its files, and ends all with exit code 1.

  --rounds <n>     one after another, with seeds that follow; default 1
  --seed <n>       of the round and the moments; default by the clock
  --strategy <s>   ${STRATEGIES.join(', ')}
  --major <n>      of PostgreSQL
  --mix <name>     what the writers do: ${Object.keys(MIXES).join(', ')}
  --kills <n>      by SIGKILL; of most rounds 20
  --cuts <n>       of the network: two of three by a reset, one by silence
  --restarts <n>   of the server: immediate, fast, immediate, …
  --sleeps <n>     of tailrace, longer than wal_sender_timeout
  --takes <n>      of the slot, by somebody else, between two runs
  --columns <yes|no>  whether columns are added, altered, renamed and dropped
  --table-changes <n>  of the list of tables, between two runs
  --signals <n>    to the run: tables added, taken out, read once more
  --rows <n>       of the largest table at the start
  --writers <n>    sessions that change the tables
  --seconds <n>    begin no further run of the command after so long; default none
  --log <file>     append what is printed to this file, too
`

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: String(Date.now() % 1e9) },
    rounds: { type: 'string', default: '1' },
    strategy: { type: 'string' },
    major: { type: 'string' },
    mix: { type: 'string' },
    kills: { type: 'string' },
    cuts: { type: 'string' },
    restarts: { type: 'string' },
    sleeps: { type: 'string' },
    takes: { type: 'string' },
    columns: { type: 'string' },
    'table-changes': { type: 'string' },
    signals: { type: 'string' },
    rows: { type: 'string' },
    writers: { type: 'string' },
    seconds: { type: 'string' },
    log: { type: 'string' },
    help: { type: 'boolean', short: 'h', default: false },
  },
})

/** Longer than what a busy machine keeps a process waiting, and short enough to be slept through. */
const WAL_SENDER_TIMEOUT = '3s'

const log = logTo(values.log)

if (values.help) process.stdout.write(HELP)
else process.exitCode = await eachSeed(values, log, round)

async function round(seed: number): Promise<boolean> {
  const drawn = drawRound(new Random(seed), majors, fixed())
  log(`seed ${seed}: ${describeRound(drawn)}`)
  return succeeds({
    name: `chaos-${seed}`,
    proven: 'the output equals the tables, every record once',
    log,
    run: async (folder, servers) => {
      const settings = { deadlock_timeout: '100ms', wal_sender_timeout: WAL_SENDER_TIMEOUT }
      const server = await servers.start('server', { major: drawn.major, durable: true, settings })
      const seconds = values.seconds === undefined ? undefined : Number(values.seconds)
      return (await runChaos({ ...drawn, server, folder, seed, seconds, log })).problems
    },
  })
}

function fixed(): Fixed {
  const number = (text: string | undefined) => (text === undefined ? undefined : Number(text))
  const one = <Name extends string>(names: readonly Name[], text: string | undefined): Name | undefined => {
    const found = names.find((name) => name === text)
    if (text !== undefined && found === undefined) throw new Error(`${text} is none of ${names.join(', ')}`)
    return found
  }
  return {
    strategy: one(STRATEGIES, values.strategy),
    major: number(values.major),
    mix: one(Object.keys(MIXES) as MixName[], values.mix),
    kills: number(values.kills),
    cuts: number(values.cuts),
    restarts: number(values.restarts),
    sleeps: number(values.sleeps),
    takes: number(values.takes),
    schemaChanges: values.columns === undefined ? undefined : values.columns === 'yes',
    tableChanges: number(values['table-changes']),
    signals: number(values.signals),
    rows: number(values.rows),
    writers: number(values.writers),
  }
}
