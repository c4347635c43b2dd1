import { appendFile, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import pg from 'pg'
import { startTailrace, type TailraceProcess } from '../../support/tailrace.js'
import { TABLES, Workload } from '../airbyte/workload.js'
import { lastRun } from '../lastRun.js'
import type { Random } from '../random.js'
import { historySql, lastHappened } from './history.js'
import { Ledger, unnoticed } from './ledger.js'
import { FailingReceiver } from './receiver.js'

export interface WebhookChaos {
  readonly url: string
  readonly folder: string
  readonly random: Random
  readonly kills: number
  readonly rows: number
  readonly log: (line: string) => void
}

const OWNERS = 2
/** The receiver, with its faults, has to keep pace with them. */
const RESTS = 8
const SECRET = `whsec_${Buffer.alloc(32, 'chaos').toString('base64')}`
type Phase = 'start' | 'snapshot' | 'stream'
/** A kill comes so long after so many records at most, or after its phase has begun where they do not come in time. */
const PAUSE_MS = 800
const RECORDS_MS = 8000
/** So much of the kills comes before the stream, as far as rows are left to be read. */
const EARLY = 0.4
const PHASE_MS = 300_000
/** With what has to come to its end, however much was written. */
const LAST = { batch_records: 300, parallel: 4 }

/**
 * Kills `tailrace run` to a receiver that fails at random again and again, while sessions change the source; lets a last run catch up,
 * and gives what is wrong then.
 */
export async function runWebhookChaos(options: WebhookChaos): Promise<string[]> {
  const { url, folder, random, kills, rows, log } = options
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  await client.query(historySql(rows, OWNERS))
  await using receiver = await FailingReceiver.start(SECRET, random.fork())
  const drawn = random.fork()
  const settings = () => ({
    batch_records: drawn.pick([1, 20, 300]),
    parallel: drawn.pick([1, 4, 12]),
    gzip: drawn.chance(0.3),
    batch_delay_ms: drawn.pick([0, 20]),
  })
  const tally = new Map<string, number>()
  const count = (what: string) => tally.set(what, (tally.get(what) ?? 0) + 1)
  const told = (run: TailraceProcess) => appendFile(join(folder, 'stderr'), `${run.stderr}\n---\n`)
  const args = ['run', join(folder, 'pipeline.yaml'), '--no-control', '--log', 'text', '--verbose']
  const workload = new Workload(url, OWNERS, rows, random.fork(), RESTS)
  /** Of what happened behind it everything has to come: by then no rows were left to be read. */
  let strictFrom: number | undefined
  try {
    for (let kill = 0; kill < kills; ) {
      const isEarly = kill < kills * EARLY
      // Then the rows are read to their end, so that what follows comes by the stream alone.
      const drawnSettings = isEarly || strictFrom !== undefined ? settings() : { ...settings(), ...LAST }
      await writeFile(join(folder, 'pipeline.yaml'), yaml(url, receiver.url, drawnSettings))
      const before = receiver.received.length
      await using run = startTailrace(args)
      const wanted: Phase = !isEarly ? 'stream' : random.chance(0.2) ? 'start' : 'snapshot'
      await reaches(run, wanted)
      if (!isEarly && strictFrom === undefined) {
        await untilRead(folder, run)
        strictFrom = await lastHappened(client)
      }
      if (wanted !== 'start') await comes(receiver, before + random.pick([1, 30, 500, 3000]), run)
      await Promise.race([pause(random.integer(0, PAUSE_MS)), run.ended])
      if (!run.running) throw new Error(`tailrace run ended by itself:\n${run.stderr}`)
      const phase = phaseOf(run)
      run.kill('SIGKILL')
      await run.ended
      await told(run)
      count(`killed in ${phase}`)
      kill++
      const { batch_records: batch, parallel, gzip } = drawnSettings
      const how = `batches of ${batch}, ${parallel} at a time${gzip ? ', gzip' : ''}`
      log(`kill ${kill}/${kills}: in ${phase}; ${receiver.received.length - before} records came; ${how}`)
    }
  } finally {
    await workload.stop()
  }
  log(`${workload.transactions} transactions; ${[...tally].map(([what, n]) => `${n} ${what}`).join(', ')}`)
  await writeFile(join(folder, 'pipeline.yaml'), yaml(url, receiver.url, LAST, 'until: current'))
  strictFrom ??= await lastHappened(client)
  const problems = await lastRun(args, told)
  const { received } = receiver
  const requests = [...receiver.faults.values()].reduce((sum, one) => sum + one, 0)
  log(`${requests} requests: ${[...receiver.faults].map(([what, n]) => `${n} ${what}`).join(', ')}`)
  const changes = received.filter(({ operation }) => operation !== 'snapshot')
  const twice = changes.length - new Set(changes.map(({ id }) => id)).size
  log(
    `${received.length} records came: ${received.length - changes.length} rows, ${changes.length} changes, ${twice} of them again`,
  )
  const behind = (await lastHappened(client)) - strictFrom
  log(`${behind} things happened to keys when no rows were left to be read, each of which has to come`)
  if (behind < 1000 && kills >= 20) problems.push('too little happened in the stream')
  problems.push(...receiver.problems.slice(0, 5), ...(await new Ledger(received).problems(client, strictFrom)))
  if (problems.length === 0) problems.push(...(await unnoticed(received, client, strictFrom)))
  await client.end()
  return problems
}

function yaml(source: string, receiver: string, settings: object, more = ''): string {
  return `
name: chaos
state: chaos.state
source:
  url: ${source}
  tables: [${Object.keys(TABLES).join(', ')}]
  keyless: inserts
  big_numbers: string
  ${more}
sinks:
  hook: ${JSON.stringify({ type: 'webhook', url: receiver, secret: SECRET, timeout_ms: 1500, retry_ms: 4000, circuit_failures: 4, circuit_ms: 400, ...settings })}
`
}

async function comes({ received }: FailingReceiver, records: number, run: TailraceProcess): Promise<void> {
  const deadline = Date.now() + RECORDS_MS
  while (run.running && received.length < records && Date.now() < deadline) await pause(5)
}

async function untilRead(folder: string, run: TailraceProcess): Promise<void> {
  const deadline = Date.now() + PHASE_MS
  while (run.running && !(await isRead(folder))) {
    if (Date.now() > deadline) throw new Error(`it does not read all rows:\n${run.stderr}`)
    await pause(20)
  }
}

/** Whether the state says that no rows are left to be read. */
async function isRead(folder: string): Promise<boolean> {
  const state = JSON.parse(await readFile(join(folder, 'chaos.state'), 'utf8').catch(() => '{}'))
  const { position } = state.sinks?.hook ?? {}
  return position != null && position.snapshot === undefined
}

function phaseOf({ stderr }: TailraceProcess): Phase {
  if (stderr.includes('streaming from')) return 'stream'
  return stderr.includes('snapshot of ') ? 'snapshot' : 'start'
}

/** That phase, or a later one, or the end. */
async function reaches(run: TailraceProcess, phase: Phase): Promise<void> {
  const deadline = Date.now() + PHASE_MS
  while (run.running && phaseOf(run) !== 'stream' && phaseOf(run) !== phase) {
    if (Date.now() > deadline) throw new Error(`it does not get to its ${phase}:\n${run.stderr}`)
    await pause(5)
  }
}
