import { appendFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import pg from 'pg'
import { type ConnectorRun, type StateMessage, startConnector } from '../../support/airbyte/connector.js'
import { configured, discovered, foldedStates, type STATE_TYPES } from '../../support/airbyte/syncs.js'
import type { Random } from '../random.js'
import { Ledger } from './ledger.js'
import { sourceSql, TABLES, Workload } from './workload.js'

export interface AirbyteChaos {
  readonly url: string
  readonly stateType: (typeof STATE_TYPES)[number]
  readonly folder: string
  readonly random: Random
  readonly kills: number
  readonly rows: number
  readonly log: (line: string) => void
}

const OWNERS = 2
type Phase = 'start' | 'scan' | 'stream'
/** A kill comes so long after its phase has begun at most. */
const PAUSES_MS: Readonly<Record<Phase, number>> = { start: 700, scan: 900, stream: 1200 }
const PHASE_MS = 60_000
const LAST_RUN_MS = 180_000
/** Every so many kills a stream is reset, so that there are rows to be read. */
const RESET_EVERY = 3

/**
 * Kills `tailrace-airbyte read` again and again while sessions change its tables, each run going on from the last whole STATE
 * line of those before it; lets a last run come to its end, and gives what is wrong then.
 */
export async function runAirbyteChaos(options: AirbyteChaos): Promise<string[]> {
  const { url, random, kills, rows, log } = options
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  await client.query(sourceSql(rows, OWNERS))
  const config = {
    connectionURI: url,
    slot_name: `chaos_${options.stateType}`,
    publication_name: 'chaos',
    state_type: options.stateType,
    checkpoint_seconds: 0.1,
    keyless: 'inserts',
    tables: Object.keys(TABLES).join(','),
  }
  const catalog = configured(await discovered(config))
  const ledger = new Ledger()
  let states: readonly object[] = []
  let starts = 0
  const tally = new Map<string, number>()
  const count = (what: string) => tally.set(what, (tally.get(what) ?? 0) + 1)
  const start = (tail: boolean) => {
    // In turn with a second thread, which is not begun beside a server on two processors, and without one.
    const line_threads = 1 + (++starts % 2)
    return startConnector('read', { config: { ...config, line_threads }, catalog: { ...catalog, tail }, state: states })
  }
  const workload = new Workload(url, OWNERS, rows, random.fork())
  try {
    for (let kill = 0; kill < kills; ) {
      if (kill % RESET_EVERY === RESET_EVERY - 1 && states.length > 0) {
        const table = random.chance(0.7) ? 'items' : random.pick(Object.keys(TABLES))
        if (random.chance(0.8)) {
          states = without(states as readonly StateMessage[], table)
          ledger.forget(table)
          count('streams reset')
        }
      }
      const tail = random.chance(0.6)
      await using run = await start(tail)
      const wanted = random.weighted<Phase>({ start: 1, scan: 5, stream: 5 })
      await reaches(run, wanted)
      await Promise.race([pause(random.integer(0, PAUSES_MS[wanted])), run.ended])
      // Who ended by itself is no kill, and is to have ended well.
      const killed = run.running
      run.kill('SIGKILL')
      await run.ended
      const { lines } = run
      await appendFile(join(options.folder, `${options.stateType}.stderr`), run.stderr)
      if (!killed) requireEnd(run)
      const phase = phaseOf(lines)
      // What came behind the last STATE may have got to the destination, or not.
      const lost = killed && random.chance(0.5)
      const kept = lost ? lines.slice(0, lines.findLastIndex(isState) + 1) : lines
      ledger.take(kept)
      const stated = lines.filter(isState).map((line) => JSON.parse(line).state as StateMessage)
      states = foldedStates([...(states as readonly StateMessage[]), ...stated])
      count(killed ? `killed in ${phase}` : 'ended by themselves')
      if (killed) kill++
      log(
        `${killed ? `kill ${kill}/${kills}: in ${phase}` : '  ended by itself'}${tail ? ', without an end' : ''}; ` +
          `${kept.length} of ${lines.length} lines, ${stated.length} states`,
      )
    }
  } finally {
    await workload.stop()
  }
  log(`${workload.transactions} transactions; ${[...tally].map(([what, n]) => `${n} ${what}`).join(', ')}`)
  await using last = await start(false)
  const late = setTimeout(() => last.kill('SIGKILL'), LAST_RUN_MS)
  await last.ended
  clearTimeout(late)
  requireEnd(last)
  ledger.take(last.lines)
  const problems = await ledger.problems(client)
  log(`${ledger.records} records of all runs, ${last.lines.filter(isRecord).length} of the last one`)
  if (problems.length === 0) problems.push(...(await unnoticed(ledger, client)))
  await client.query('SELECT pg_drop_replication_slot($1)', [config.slot_name])
  await client.end()
  return problems
}

/** That the checks see what they are for: a row that the ledger lacks, and one that was deleted. */
async function unnoticed(ledger: Ledger, client: pg.Client): Promise<string[]> {
  const missed: string[] = []
  for (const [sql, what] of [
    ["INSERT INTO items VALUES (-1, 0, 'x')", 'a row more'],
    ['DELETE FROM parts WHERE id = (SELECT max(id) FROM parts)', 'a row less'],
    ["UPDATE bodies SET title = 'x' WHERE id = (SELECT max(id) FROM bodies)", 'another value'],
    ['INSERT INTO log VALUES (-1, 0)', 'a row more without a key'],
  ] as const) {
    await client.query(`BEGIN; ${sql}`)
    if ((await ledger.problems(client)).length === 0) missed.push(`the comparison does not see ${what}`)
    await client.query('ROLLBACK')
  }
  return missed
}

function requireEnd(run: ConnectorRun): void {
  const problem = run.problem()
  if (run.code === 0 && run.errors.length === 0 && problem === undefined) return
  throw new Error(
    `it ended with ${run.code}: ${problem ?? JSON.stringify(run.errors)}\n${run.logs.join('\n')}\n${run.stderr}`,
  )
}

const isState = (line: string) => line.startsWith('{"type":"STATE"')
const isRecord = (line: string) => line.startsWith('{"type":"RECORD"')

/**
 * Roughly that phase, or a later one, or the end: what comes is looked into piece by piece. A STATE that says where the run
 * begins is no stream yet: there is one where records come, and no table is being read.
 */
async function reaches(run: ConnectorRun, phase: Phase): Promise<void> {
  const deadline = Date.now() + PHASE_MS
  let seen = 0
  let now: Phase = 'start'
  let scanning: boolean | undefined
  while (run.running && now !== phase && now !== 'stream') {
    if (Date.now() > deadline)
      throw new Error(`it does not get to its ${phase}:\n${run.logs.join('\n')}\n${run.stderr}`)
    await pause(10)
    for (; seen < run.chunks.length && now !== phase; seen++) {
      const chunk = run.chunks[seen]!
      if (chunk.includes('"mode":"scanning"')) scanning = true
      else if (chunk.includes('"mode":"active"')) scanning = false
      const comes = chunk.includes('"type":"RECORD"')
      if (scanning === true || (comes && scanning === undefined)) now = 'scan'
      else if (comes) now = 'stream'
    }
  }
}

/** By its last STATE, and whether there were records at all. */
function phaseOf(lines: readonly string[]): Phase {
  if (!lines.some(isRecord)) return 'start'
  const states = lines.filter(isState).slice(-Object.keys(TABLES).length)
  return states.length === 0 || states.some((line) => line.includes('"mode":"scanning"')) ? 'scan' : 'stream'
}

/** The state of a client that has reset one stream. */
function without(states: readonly StateMessage[], table: string): StateMessage[] {
  const kept = JSON.parse(JSON.stringify(states)) as StateMessage[]
  for (const { global, data } of kept) {
    const named = global?.stream_states.find(({ stream_descriptor: { name } }) => name === table)
    if (named !== undefined) Object.assign(named, { stream_state: null })
    if (data !== undefined) delete (data as { streams: Record<string, object> }).streams[`public.${table}`]
  }
  return kept.filter(({ stream }) => stream?.stream_descriptor.name !== table)
}
