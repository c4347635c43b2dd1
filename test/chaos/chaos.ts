import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { openSession } from '../support/openSession.js'
import { startTailrace, type TailraceProcess, tailrace } from '../support/tailrace.js'
import { differences } from './compare.js'
import { linesOf } from './lines.js'
import { drawMoments, type Moment } from './moments.js'
import { Random } from './random.js'
import { Replay } from './replay.js'
import { chaosTables, chaosTablesOption, chaosTablesSql } from './tables.js'
import { Workload } from './workload.js'

export interface ChaosOptions {
  /** Of an empty database. */
  readonly url: string
  /** For output and state. */
  readonly folder: string
  readonly seed: number
  readonly kills: number
  /** Rows of the largest table at the start. */
  readonly rows: number
  readonly writers: number
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

/** How far a run had come: to the stream only when its state knows of it. */
export type Phase = Moment['in']

/** A run that has nothing to wait for gets to its kill within this. */
const MOMENT_TIMEOUT_MS = 120_000
const LOOK_MS = 2

/**
 * Kills `tailrace stream --state --output` again and again while several sessions change the tables, lets a last run
 * come to the end, and compares what the output amounts to with the tables.
 */
export async function runChaos(options: ChaosOptions): Promise<ChaosReport> {
  const { url, folder, seed, kills, rows, writers, log } = options
  const random = new Random(seed)
  await using session = await openSession(url)
  // `public` is not in our sessions' search_path.
  await session.query(`SET search_path = public; ${chaosTablesSql(rows)}; SET search_path = ''`)
  const output = join(folder, 'chaos.ndjson')
  const state = join(folder, 'chaos.state')
  const args = [
    ...['stream', '--url', url, '--tables', chaosTablesOption, '--messages', 'journal'],
    ...['--output', output, '--state', state],
  ]
  const [size] = await session.query<{ bytes: string }>(
    'SELECT sum(length(row_to_json(i)::text) + 100)::text AS bytes FROM public.items i',
  )
  const workload = new Workload(url, writers, random.fork())
  const hits = new Map<Phase, number>()
  try {
    for (const [index, moment] of drawMoments(random, kills).entries()) {
      await using run = startTailrace([...args, '--snapshot-workers', String(random.integer(1, 3))])
      await waitForMoment(run, moment, output, Number(size!.bytes))
      if (workload.failure !== undefined) throw workload.failure
      run.kill('SIGKILL')
      await run.ended
      const phase = await phaseAtEnd(run, state)
      hits.set(phase, (hits.get(phase) ?? 0) + 1)
      log(`kill ${index + 1}/${kills}: ${describe(moment)}, hit in ${phase}; output ${await bytesOf(output)} bytes`)
    }
  } finally {
    await workload.stop()
  }
  log(`workload: ${workload}`)
  const problems: string[] = []
  problems.push(...(await lastRun(args)))
  const bytes = await bytesOf(output)
  problems.push(...(await lastRun(args)))
  if ((await bytesOf(output)) !== bytes) problems.push('a run with nothing to read wrote something')
  const replay = await replayed(output)
  problems.push(...replay.problems, ...(await differences(session, chaosTables, replay)))
  const { snapshotRecords, changeRecords, transactions } = replay.order
  log(
    `output: ${bytes} bytes, ${snapshotRecords} snapshot and ${changeRecords} other records of ${transactions} transactions`,
  )
  return { hits, problems, snapshotRecords, changeRecords, transactions }
}

/** By what it has said. */
function phaseOf({ stderr }: TailraceProcess): Phase {
  if (stderr.includes('streaming from')) return 'stream'
  if (stderr.includes('snapshot finished')) return 'snapshot end'
  return stderr.includes('snapshot of') ? 'snapshot' : 'start'
}

async function phaseAtEnd(run: TailraceProcess, state: string): Promise<Phase> {
  const phase = phaseOf(run)
  if (phase !== 'stream') return phase
  const { position } = JSON.parse(await readFile(state, 'utf8')) as { position: { snapshot?: object } | null }
  return position === null || position.snapshot !== undefined ? 'snapshot end' : 'stream'
}

async function waitForMoment(run: TailraceProcess, moment: Moment, output: string, bytes: number): Promise<void> {
  const reached = await momentReached(run, moment, output, bytes)
  await run.waitFor(reached, `${describe(moment)} comes`, { timeoutMs: MOMENT_TIMEOUT_MS, intervalMs: LOOK_MS })
  if ('afterMs' in moment) await Promise.race([pause(moment.afterMs), run.ended])
  if (!run.running) throw new Error(`tailrace ended by itself, and said:\n${run.stderr}`)
}

/** A snapshot that is finished already has no moments any more: then those of the stream come instead. */
async function momentReached(
  run: TailraceProcess,
  moment: Moment,
  output: string,
  bytes: number,
): Promise<() => unknown> {
  switch (moment.in) {
    case 'start':
      return () => true
    case 'snapshot': {
      const wanted = bytes * moment.share
      const before = await bytesOf(output)
      // What an interrupted snapshot wrote is there until this one begins.
      let begun = before === 0
      return async () => {
        const now = await bytesOf(output)
        begun ||= now < before
        return (begun && now >= wanted && phaseOf(run) !== 'start') || phaseOf(run) === 'stream'
      }
    }
    case 'snapshot end':
      return () => phaseOf(run) === 'snapshot end' || phaseOf(run) === 'stream'
    case 'stream':
      return () => phaseOf(run) === 'stream'
  }
}

function describe(moment: Moment): string {
  if (moment.in === 'snapshot') return `${Math.round(moment.share * 100)} % into the snapshot`
  return `${moment.afterMs} ms after the ${moment.in}`
}

async function lastRun(args: readonly string[]): Promise<string[]> {
  const { code, stderr } = await tailrace([...args, '--until', 'current'])
  return code === 0 ? [] : [`the last run ended with exit code ${code}:\n${stderr}`]
}

async function replayed(output: string): Promise<Replay> {
  const replay = new Replay(chaosTables)
  for await (const line of linesOf(output)) replay.line(line)
  replay.end()
  return replay
}

async function bytesOf(path: string): Promise<number> {
  return (await stat(path).catch(() => undefined))?.size ?? 0
}
