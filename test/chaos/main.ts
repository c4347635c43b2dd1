import { appendFileSync } from 'node:fs'
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { majors, startServer } from '../support/servers.js'
import { runChaos } from './chaos.js'
import { MIXES, type MixName } from './mixes.js'
import { Random } from './random.js'
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

if (values.help) process.stdout.write(HELP)
else process.exitCode = await main()

async function main(): Promise<number> {
  const first = Number(values.seed)
  const rounds = Number(values.rounds)
  const failed: number[] = []
  for (let seed = first; seed < first + rounds; seed++) if (!(await succeeds(seed))) failed.push(seed)
  if (rounds > 1) log(`${rounds - failed.length} of ${rounds} rounds without a problem`)
  if (failed.length > 0) log(`failed: ${failed.map((seed) => `--seed ${seed}`).join(', ')}`)
  return failed.length === 0 ? 0 : 1
}

async function succeeds(seed: number): Promise<boolean> {
  const round = drawRound(new Random(seed), majors, fixed())
  log(`seed ${seed}: ${describeRound(round)}`)
  const folder = await mkdtemp(join(tmpdir(), `tailrace-chaos-${seed}-`))
  // As root the servers run as another user.
  await chmod(folder, 0o755)
  const began = performance.now()
  const settings = { deadlock_timeout: '100ms', wal_sender_timeout: WAL_SENDER_TIMEOUT }
  await using server = await startServer({ major: round.major, durable: true, settings })
  const seconds = values.seconds === undefined ? undefined : Number(values.seconds)
  const problems = await runChaos({ ...round, server, folder, seed, seconds, log }).then(
    (report) => report.problems,
    (error: Error) => [error.stack ?? error.message],
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

function log(line: string): void {
  process.stdout.write(`${line}\n`)
  if (values.log !== undefined) appendFileSync(values.log, `${line}\n`)
}
