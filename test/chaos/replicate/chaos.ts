import { appendFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { openSession } from '../../support/openSession.js'
import { startTailrace, type TailraceProcess } from '../../support/tailrace.js'
import { TcpProxy } from '../../support/tcpProxy.js'
import { Disturber, type Restartable } from '../disturber.js'
import { lastRun } from '../lastRun.js'
import { type Disturbance, describeDisturbance } from '../moments.js'
import type { Random } from '../random.js'
import { differences, unnoticed } from './compare.js'
import { Holder } from './holder.js'
import { sourceSql, TABLES, targetSql } from './tables.js'
import { type Bulks, Workload } from './workload.js'

export interface ReplicateChaos {
  readonly source: Server
  readonly target: Server
  readonly folder: string
  readonly random: Random
  readonly kills: number
  readonly cuts: number
  readonly sourceRestarts: number
  readonly targetRestarts: number
  readonly rows: number
  readonly writers: number
  /** Each run applies over up to so many connections. */
  readonly applyConnections: number
  readonly log: (line: string) => void
}

interface Server extends Restartable {
  readonly port: number
  url(): string
}

type Phase = 'start' | 'snapshot' | 'stream'
interface Fault {
  readonly at: number
  readonly side: 'source' | 'target'
  readonly what: Exclude<Disturbance, { kind: 'sleep' }>
}

/** So much of the kills comes before the stream, as far as rows are left to be read; the others in it. */
const EARLY = 0.4
/** A kill comes so long after its phase has begun at most. */
const PAUSES_MS: Readonly<Record<Phase, number>> = { start: 1500, snapshot: 1200, stream: 900 }
/**
 * Where several connections apply: only batches of many rows are parted, of which what waits makes one. So they need not be many:
 * 4,000 rows in each third transaction made gigabytes, and runs that never came to the stream's end.
 */
const BULKS: Bulks = { share: 0.2, rows: 800, restMs: 150 }
/** Nothing is parted before the rows that are read are behind a run: so long a kill in the stream waits for it at most. */
const PARTED_MS = 6000
/** And comes so long after it at most. */
const BEHIND_PARTED_MS = 600
const STREAMS_MS = 90_000
/** What a run may end with when the source was away: whoever runs it starts it again. The target is waited for. */
const AWAY = /\ntailrace: (CONNECTION_FAILED|CONNECTION_LOST|SERVER_UNAVAILABLE|SLOT_ACTIVE): /

/**
 * Kills `tailrace run` from one server to another again and again, while sessions change the source, both servers are
 * restarted and connections cut; lets a last run catch up, and gives what is wrong then.
 */
export async function runReplicateChaos(options: ReplicateChaos): Promise<string[]> {
  const { source, target, folder, random, kills, rows, log } = options
  await sql(source.url(), sourceSql(rows))
  await sql(target.url(), targetSql())
  await using sourceProxy = await TcpProxy.to(source.port)
  await using targetProxy = await TcpProxy.to(target.port)
  const urls = { source: sourceProxy.url(source.url()), target: targetProxy.url(target.url()) }
  const args = (name: string) => ['run', join(folder, name), '--no-control', '--log', 'text', '--verbose']
  const parted = options.applyConnections > 1
  const lanes = random.fork()
  const connections = () => lanes.integer(Math.min(2, options.applyConnections), options.applyConnections)
  await writeFile(join(folder, 'last.yaml'), yaml(urls, connections(), 'until: current'))
  const disturbers = {
    source: new Disturber(sourceProxy, source, (line) => log(`  source:${line}`)),
    target: new Disturber(targetProxy, target, (line) => log(`  target:${line}`)),
  }
  const faults = drawFaults(options)
  const tally = new Map<string, number>()
  const count = (what: string) => tally.set(what, (tally.get(what) ?? 0) + 1)
  const told = (run: TailraceProcess) => appendFile(join(folder, 'stderr'), `${run.stderr}\n---\n`)
  const workload = new Workload(source.url(), options.writers, rows, random.fork(), parted ? BULKS : undefined)
  const holder = parted ? new Holder(target.url(), random.fork()) : undefined
  try {
    for (let kill = 0; kill < kills; kill++) {
      for (;;) {
        await writeFile(join(folder, 'pipeline.yaml'), yaml(urls, connections()))
        await using run = startTailrace(args('pipeline.yaml'))
        for (const { side, what } of faults.filter(({ at }) => at === kill)) {
          await pause(random.integer(0, 2000))
          count(`${describeDisturbance(what)} of the ${side}`)
          await disturbers[side].begin(what)
        }
        faults.splice(0, faults.length, ...faults.filter(({ at }) => at !== kill))
        const early = kill < kills * EARLY
        // Of the early ones some come while it starts, most while it reads rows, as long as there are any.
        const wanted = !early ? 'stream' : random.chance(0.3) ? 'start' : 'snapshot'
        const waitsForLanes = wanted === 'stream' && parted
        if (await reaches(run, wanted)) {
          if (waitsForLanes && (await writesByLanes(run, target.url()))) count('runs parted a batch before it')
          await Promise.race([
            pause(random.integer(0, waitsForLanes ? BEHIND_PARTED_MS : PAUSES_MS[wanted])),
            run.ended,
          ])
        }
        if (run.running) {
          run.kill('SIGKILL')
          await run.ended
          count(`killed in ${phaseOf(run)}`)
          if (await areLanesAhead(target.url())) count('lanes ahead of the checkpoint behind it')
          log(`kill ${kill + 1}/${kills}: in ${phaseOf(run)}`)
          await told(run)
          break
        }
        await told(run)
        const last = run.stderr.trimEnd().split('\n').at(-1)!
        if (!AWAY.test(`\n${run.stderr}`)) throw new Error(`tailrace run ended by itself:\n${run.stderr}`)
        count(`ended by itself (${/^tailrace: (\w+)/.exec(last)?.[1] ?? last})`)
        log(`  ended by itself: ${last}`)
        await pause(200)
      }
      if (workload.failure !== undefined) throw workload.failure
    }
    await Promise.all([disturbers.source.over(), disturbers.target.over()])
  } finally {
    await Promise.allSettled([disturbers.source.over(), disturbers.target.over()])
    await workload.stop()
    await holder?.stop()
  }
  log(`${workload.transactions} transactions committed; ${[...tally].map(([what, n]) => `${n} ${what}`).join(', ')}`)
  const problems = await lastRun(args('last.yaml'), told)
  log(`target: ${await appliedBatches(target.url())}`)
  problems.push(...(await differences(source.url(), target.url())))
  if (problems.length === 0) problems.push(...(await unnoticed(source.url(), target.url())))
  const letters = await query(target.url(), 'SELECT count(*)::int4 AS n FROM tailrace.dead_letter')
  if (letters[0]!.n !== 0) problems.push(`${letters[0]!.n} dead letters`)
  return problems
}

function yaml(urls: { source: string; target: string }, applyConnections: number, more = ''): string {
  return `
name: chaos
state: chaos.state
source:
  url: ${urls.source}
  tables: [${TABLES.join(', ')}]
  keyless: inserts
  ${more}
sinks:
  copy:
    type: postgres
    url: ${urls.target}
    on_error: dead-letter
    apply_connections: ${applyConnections}
`
}

function drawFaults({ random, kills, cuts, sourceRestarts, targetRestarts }: ReplicateChaos): Fault[] {
  const faults: Fault[] = []
  const add = (side: Fault['side'], what: Fault['what']) =>
    faults.push({ at: random.integer(0, kills - 1), side, what })
  for (let i = 0; i < targetRestarts; i++) {
    add('target', { kind: 'restart', mode: i < Math.min(2, targetRestarts) ? 'immediate' : 'fast' })
  }
  for (let i = 0; i < sourceRestarts; i++) add('source', { kind: 'restart', mode: i === 0 ? 'immediate' : 'fast' })
  for (let i = 0; i < cuts; i++) {
    const silent = { kind: 'swallow', healMs: 300, silentMs: random.integer(500, 4000) } as const
    add(random.pick(['source', 'target'] as const), random.chance(0.7) ? { kind: 'reset' } : silent)
  }
  return faults
}

function phaseOf({ stderr }: TailraceProcess): Phase {
  if (stderr.includes('streaming from')) return 'stream'
  return stderr.includes('snapshot of ') ? 'snapshot' : 'start'
}

/** That phase, or a later one. False: it has ended. */
async function reaches(run: TailraceProcess, phase: Phase): Promise<boolean> {
  const deadline = Date.now() + STREAMS_MS
  while (phaseOf(run) !== 'stream' && phaseOf(run) !== phase) {
    if (!run.running) return false
    if (Date.now() > deadline) throw new Error(`it does not get to its ${phase}:\n${run.stderr}`)
    await pause(5)
  }
  return true
}

async function appliedBatches(url: string): Promise<string> {
  const [row] = await query(url, 'SELECT epoch::text, version::text FROM tailrace.checkpoint')
  const lanes = await query(url, "SELECT to_regclass('tailrace.lane') IS NOT NULL AS there")
  const wrote = lanes[0]!.there ? await query(url, 'SELECT FROM tailrace.lane WHERE position IS NOT NULL') : []
  return `${row?.version} batches by ${row?.epoch} writers, over ${1 + wrote.length} connections at a time`
}

/** Whether a batch is parted before it is time to go on all the same. */
async function writesByLanes(run: TailraceProcess, url: string): Promise<boolean> {
  const written = async () => {
    const found = await query(url, 'SELECT max(version)::text AS version FROM tailrace.lane').catch(() => [])
    return found[0]?.version ?? null
  }
  const deadline = Date.now() + PARTED_MS
  const before = await written()
  while (run.running && Date.now() < deadline) {
    const now = await written()
    if (now !== null && before !== null && now !== before) return true
    await pause(50)
  }
  return false
}

/** As far as it can be asked: false where the server is away, or nothing was parted yet. */
async function areLanesAhead(url: string): Promise<boolean> {
  try {
    const ahead = 'SELECT FROM tailrace.lane l JOIN tailrace.checkpoint c USING (source) WHERE l.version > c.version'
    return (await query(url, ahead)).length > 0
  } catch {
    return false
  }
}

async function sql(url: string, statements: string): Promise<void> {
  // `public` is not in our sessions' search_path.
  await query(url, `SET search_path = public; ${statements}`)
}

async function query(url: string, statements: string): Promise<Record<string, unknown>[]> {
  await using session = await openSession(url)
  return await session.query(statements)
}
