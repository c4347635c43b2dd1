import { appendFile } from 'node:fs/promises'
import { join } from 'node:path'
import { openSession } from '../support/openSession.js'
import { tailrace } from '../support/tailrace.js'
import { TcpProxy } from '../support/tcpProxy.js'
import { CapturedTables } from './capturedTables.js'
import { Disturber, type Restartable } from './disturber.js'
import { MIXES, type MixName } from './mixes.js'
import { type Counts, describeDisturbance, describeMoment, drawPlans, type RunPlan } from './moments.js'
import { Random } from './random.js'
import type { Strategy } from './rounds.js'
import { SchemaChanges } from './schemaChanges.js'
import { SlotTaking } from './slotTaker.js'
import { bytesOf, type Phase, Supervised, type Watched } from './supervised.js'
import { chaosTablesSql } from './tables.js'
import { verdict } from './verdict.js'
import { Workload } from './workload.js'

export interface ChaosOptions extends Counts {
  /** With an empty database `postgres`. */
  readonly server: Restartable & { readonly port: number; url(): string }
  /** For output, state and what the runs said. */
  readonly folder: string
  readonly seed: number
  /** Rows of the largest table at the start. */
  readonly rows: number
  readonly writers: number
  /** Default `even`. */
  readonly mix?: MixName
  /** Default `auto`. */
  readonly strategy?: Strategy
  /** Columns are added, altered, renamed and dropped meanwhile. */
  readonly schemaChanges?: boolean
  /** No further run is begun after so long: fewer kills than asked for, then. */
  readonly seconds?: number | undefined
  readonly log: (line: string) => void
}

export interface ChaosReport {
  /** Kills by where they hit. */
  readonly hits: ReadonlyMap<Phase, number>
  /** What is wrong with the output; nothing, if all is well. */
  readonly problems: readonly string[]
  readonly snapshotRecords: number
  readonly changeRecords: number
  /** Of the output. */
  readonly transactions: number
}

const SLOT = 'tailrace_postgres'

/**
 * Kills `tailrace stream --state --output` again and again while several sessions change the tables, the network is cut
 * and the server restarted; lets a last run come to the end, and compares what the output amounts to with the tables.
 */
export async function runChaos(options: ChaosOptions): Promise<ChaosReport> {
  const { server, folder, seed, rows, writers, log, mix = 'even', strategy = 'auto' } = options
  const random = new Random(seed)
  const snapshotBytes = await makeTables(server.url(), rows)
  const output = join(folder, 'chaos.ndjson')
  const state = join(folder, 'chaos.state')
  await using proxy = await TcpProxy.to(server.port)
  const tables = new CapturedTables(state, output, log)
  const args = () => [
    ...['stream', '--url', proxy.url(server.url()), '--tables', tables.option, '--messages', 'journal'],
    ...['--keyless', 'inserts', '--strategy', strategy, '--output', output, '--state', state],
    // Nearly every transaction is streamed then, and goes through files.
    ...(seed % 2 === 0 ? ['--logical-decoding-work-mem', '64kB', '--spool-memory-bytes', '0'] : []),
  ]
  const told = (stderr: string) => void appendFile(join(folder, 'stderr'), `${stderr}\n`)
  const disturber = new Disturber(proxy, server, log)
  const tally = new Tally()
  const plans = drawPlans(random, options)
  const workload = new Workload(server.url(), writers, MIXES[mix], random.fork())
  const schemaChanges = options.schemaChanges ? new SchemaChanges(server.url(), random.fork()) : undefined
  const slot = new SlotTaking(server.url(), SLOT, log)
  const deadline = performance.now() + (options.seconds ?? Number.POSITIVE_INFINITY) * 1000
  try {
    for (const [index, plan] of plans.entries()) {
      if (performance.now() > deadline) {
        log(`time is over: ${options.kills - index} kills are left out`)
        break
      }
      if (plan.otherTables) await tables.change(random)
      if (plan.takenMs !== undefined) await slot.take(plan.takenMs)
      const workers = ['--snapshot-workers', String(random.integer(1, 3))]
      const huge = () => workload.huge()
      const signal = () => tables.signal(random)
      const isTaken = () => slot.isTaken
      const watched = { args: [...args(), ...workers], output, state, snapshotBytes, isTaken, huge, told, signal }
      const line = await oneRun(watched, plan, disturber, tally, log)
      const failure = workload.failure ?? schemaChanges?.failure
      if (failure !== undefined) throw failure
      log(`kill ${index + 1}/${options.kills}: ${line}; output ${await bytesOf(output)} bytes`)
    }
    await disturber.over()
  } finally {
    await Promise.all([disturber.over(), slot.over()]).finally(() =>
      Promise.all([workload.stop(), schemaChanges?.stop()]),
    )
  }
  log(`workload: ${workload}; columns: ${schemaChanges ?? 'not changed'}; slot taken ${slot.times} times`)
  log(`${tally}`)
  const problems = await lastRun(args(), told)
  const bytes = await bytesOf(output)
  problems.push(...(await lastRun(args(), told)))
  if ((await bytesOf(output)) !== bytes) problems.push('a run with nothing to read wrote something')
  const { order, problems: found } = await verdict(server.url(), output, tables.turns)
  const { snapshotRecords, changeRecords, transactions } = order
  log(
    `output: ${bytes} bytes, ${snapshotRecords} snapshot and ${changeRecords} other records of ${transactions} transactions`,
  )
  return { hits: tally.hits, problems: [...problems, ...found], snapshotRecords, changeRecords, transactions }
}

/** The tables with their first rows; gives what a snapshot of the largest writes at least. */
async function makeTables(url: string, rows: number): Promise<number> {
  await using session = await openSession(url)
  // `public` is not in our sessions' search_path.
  await session.query(`SET search_path = public; ${chaosTablesSql(rows)}; SET search_path = ''`)
  const [size] = await session.query<{ bytes: string }>(
    'SELECT sum(length(row_to_json(i)::text) + 100)::text AS bytes FROM public.items i',
  )
  return Number(size!.bytes)
}

/** From its start to its kill; gives what is to be said of it. */
async function oneRun(
  watched: Watched,
  plan: RunPlan,
  disturber: Disturber,
  tally: Tally,
  log: (line: string) => void,
): Promise<string> {
  await using run = new Supervised(watched, disturber.busy)
  for (const { at, what } of plan.disturbances) {
    await run.reach(at)
    // Before it begins: what it says of it must not be taken for older.
    run.disturb()
    if (what.kind !== 'sleep') await disturber.begin(what)
    else {
      log(`  ${describeDisturbance(what)}`)
      await run.sleep(what.forMs)
    }
    tally.disturbances.set(what.kind, (tally.disturbances.get(what.kind) ?? 0) + 1)
  }
  const { signalMs } = plan
  if (signalMs !== undefined) {
    await run.reach({ in: 'streaming', afterMs: signalMs })
    await run.signal()
  }
  await run.reach(plan.kill)
  const phase = await run.kill(plan.graceMs)
  const torn = plan.kill.in === 'state' && (await bytesOf(`${watched.state}.tmp`)) > 0
  if (torn) tally.inState++
  tally.hits.set(phase, (tally.hits.get(phase) ?? 0) + 1)
  for (const end of run.ends) tally.ends.set(end, (tally.ends.get(end) ?? 0) + 1)
  const afterTerm = plan.graceMs === undefined ? '' : `, SIGTERM ${plan.graceMs} ms before`
  return `${describeMoment(plan.kill)}${afterTerm}, hit in ${phase}${torn ? ', the state half written' : ''}`
}

/** What happened. */
class Tally {
  readonly hits = new Map<Phase, number>()
  readonly disturbances = new Map<string, number>()
  readonly ends = new Map<string, number>()
  /** Kills between the writing of a state and its taking effect. */
  inState = 0

  toString(): string {
    const list = (counts: ReadonlyMap<string, number>, word: string) =>
      [...counts].map(([what, count]) => `${count} ${word}${what}`).join(', ') || 'none'
    const ends = [...this.ends].map(([end, count]) => `\n  ${count} × ${end}`).join('')
    return `kills: ${list(this.hits, 'in ')}, ${this.inState} with the state half written; disturbances: ${list(this.disturbances, '')}; stopped by itself, and was started again: ${ends || 'never'}`
  }
}

async function lastRun(args: readonly string[], told: (stderr: string) => void): Promise<string[]> {
  const { code, stderr } = await tailrace([...args, '--until', 'current'])
  told(stderr)
  return code === 0 ? [] : [`the last run ended with exit code ${code}:\n${stderr}`]
}
