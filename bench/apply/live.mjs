import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import pg from 'pg'
import { ContestantProcess } from '../contestantProcess.mjs'
import { makeTable } from '../dataset.mjs'
import { CpuWatch } from '../machine.mjs'
import { pgbench } from '../programs.mjs'
import { median, percentile } from '../rounds.mjs'
import { startServer, withClient } from '../server.mjs'
import { bar, fixed, table } from '../table.mjs'
import { dropAll, makeSource, makeTarget, OURS, pipeline, SLOT, SOURCE, TARGET, until } from './pipeline.mjs'

const SCALE = 10
export const PGBENCH_TABLES = ['pgbench_accounts', 'pgbench_branches', 'pgbench_tellers', 'pgbench_history']
const CLIENTS = 4
const PGBENCH_SECONDS = 30
const LAG_LIMIT_S = 2
const DRAIN_LIMIT_S = 5
const BEAT_MS = 50

const PER_SECOND = 500
const LATENCY_SECONDS = 20
const WARM_UP_SECONDS = 3
const P50_LIMIT = 15
const P99_LIMIT = 60
const START_MS = 60_000
const PATIENCE_MS = 60_000

/** Both sides tell when a transaction committed, by one clock; nothing has to look whether a row is there. */
const SETTINGS = { track_commit_timestamp: 'on' }
const MARKS = 'CREATE TABLE marks (n int8 PRIMARY KEY)'

/** On a server of their own. */
async function roundsOf(options, measure) {
  const rounds = []
  const server = await startServer(options.major, SETTINGS)
  try {
    for (let round = 1; round <= options.rounds; round++) {
      process.stderr.write(`  round ${round} of ${options.rounds}\n`)
      rounds.push(await measure(server))
    }
  } finally {
    await server[Symbol.asyncDispose]()
  }
  return rounds
}

/** pgbench's TPC-B at full rate beside the pipeline; marks are written all the while. */
export async function applyPgbench({ options }) {
  const seconds = options.quick ? 5 : PGBENCH_SECONDS
  const rounds = await roundsOf(options, (server) => pgbenchRound(server, seconds))
  const head = ['', 'tps', 'lag p50 s', 'lag max s', 'drain s', 'client CPU s', 'peak MB', 'others']
  const cells = rounds.map((one, at) => [
    `round ${at + 1}`,
    fixed(one.tps, 0),
    ...[one.lagP50, one.lagMax, one.drain].map((value) => fixed(value, 2)),
    fixed(one.cpu, 1),
    fixed(one.rss, 0),
    fixed(one.others, 2),
  ])
  const middle = (figure) => median(rounds.map((one) => one[figure]))
  return {
    name: 'apply-pgbench',
    title: `pgbench TPC-B, scale ${SCALE}, ${CLIENTS} clients at full rate for ${seconds} s`,
    results: [{ name: OURS, rounds }],
    text: table(head, cells),
    bars: [
      bar('apply-pgbench: lag at most, s', middle('lagMax'), LAG_LIMIT_S, 2, !options.quick),
      bar('apply-pgbench: drained after, s', middle('drain'), DRAIN_LIMIT_S, 2, !options.quick),
    ],
  }
}

async function pgbenchRound(server, seconds) {
  if (pgbench === undefined) throw new Error('pgbench is missing: apt-get install postgresql')
  const live = await pgbenchPair(server)
  try {
    return await beside(server, live, seconds)
  } finally {
    await live.close()
    await dropAll(server)
  }
}

/** pgbench's tables and one of marks, and a pipeline that copies them. */
export async function pgbenchPair(server) {
  await makeSource(server, (client) => client.query(MARKS))
  await run(pgbench, ['-i', '-q', '-s', String(SCALE), server.url(SOURCE)])
  await makeTarget(server, {
    fill: async (client) => {
      await client.query(MARKS)
      // The tables alone, with their keys.
      await run(pgbench, ['-i', '-q', '-I', 'dtp', '-s', String(SCALE), server.url(TARGET)])
    },
  })
  return Live.start(server, [...PGBENCH_TABLES, 'marks'])
}

/** Full rate, until so many seconds are over; gives what pgbench says. */
export function runPgbench(server, seconds) {
  const args = ['-n', '-c', String(CLIENTS), '-j', '2', '-T', String(seconds), server.url(SOURCE)]
  return run(pgbench, args)
}

async function beside(server, live, seconds) {
  const beats = setInterval(() => live.mark(), BEAT_MS)
  const watch = new CpuWatch(server.pid)
  const told = await runPgbench(server, seconds)
  clearInterval(beats)
  const last = await live.mark()
  await live.arrived(last)
  const lags = await live.latencies(1)
  const usage = await live.stop()
  const { others } = await watch.stop(usage.cpu)
  const counts = await Promise.all(
    [SOURCE, TARGET].map((database) =>
      withClient(server, database, async (client) => {
        const sums =
          'SELECT (SELECT count(*) FROM pgbench_history) AS rows, (SELECT sum(abalance) FROM pgbench_accounts) AS sum'
        return JSON.stringify((await client.query(sums)).rows[0])
      }),
    ),
  )
  if (counts[0] !== counts[1]) throw new Error(`the sides differ: ${counts.join(' ')}`)
  return {
    tps: Number(/tps = ([\d.]+)/.exec(told)[1]),
    lagP50: percentile(lags, 0.5) / 1000,
    lagMax: Math.max(...lags) / 1000,
    drain: lags.at(-1) / 1000,
    ...usage,
    others,
  }
}

/** 500 one-row transactions a second, from commit to commit. */
export async function applyLatency({ options }) {
  const seconds = options.quick ? 2 : LATENCY_SECONDS
  const rounds = await roundsOf(options, (server) => latencyRound(server, seconds))
  const head = ['ms', 'p50', 'p90', 'p99', 'max', 'commits/s', 'client CPU s', 'peak MB', 'others']
  const cells = rounds.map((one, at) => [
    `round ${at + 1}`,
    ...[one.p50, one.p90, one.p99, one.max].map((value) => fixed(value, 1)),
    fixed(one.perSecond, 0),
    fixed(one.cpu, 1),
    fixed(one.rss, 0),
    fixed(one.others, 2),
  ])
  const middle = (figure) => median(rounds.map((one) => one[figure]))
  return {
    name: 'apply-latency',
    title: `${PER_SECOND} transactions a second for ${seconds} s, from commit to commit`,
    results: [{ name: OURS, rounds }],
    text: table(head, cells),
    bars: [
      bar('apply-latency: p50 ms', middle('p50'), P50_LIMIT, 1, !options.quick),
      bar('apply-latency: p99 ms', middle('p99'), P99_LIMIT, 1, !options.quick),
    ],
  }
}

async function latencyRound(server, seconds) {
  const fill = async (client) => {
    await client.query(MARKS)
    await makeTable(client, 'bench')
  }
  await makeSource(server, fill)
  await makeTarget(server, { fill })
  const live = await Live.start(server, ['bench', 'marks'])
  try {
    return await evenly(server, live, seconds)
  } finally {
    await live.close()
    await dropAll(server)
  }
}

async function evenly(server, live, seconds) {
  const count = (WARM_UP_SECONDS + seconds) * PER_SECOND
  const watch = new CpuWatch(server.pid)
  const started = performance.now()
  // Mark 1 is there.
  const workerData = { url: server.url(SOURCE), first: 2, count, perSecond: PER_SECOND }
  await once(new Worker(new URL('evenWriter.mjs', import.meta.url), { workerData }), 'exit')
  const took = (performance.now() - started) / 1000
  await live.arrived(count)
  const all = await live.latencies(WARM_UP_SECONDS * PER_SECOND)
  const usage = await live.stop()
  const { others } = await watch.stop(usage.cpu)
  return {
    ...{ p50: percentile(all, 0.5), p90: percentile(all, 0.9), p99: percentile(all, 0.99), max: Math.max(...all) },
    perSecond: count / took,
    ...usage,
    others,
  }
}

/** A pipeline that runs, and marks that go through it: mark 1 before anything is measured. */
export class Live {
  #process
  #ended
  #source
  #target
  #marks = 0
  #marking = Promise.resolve()

  static async start(server, tables) {
    const live = new Live()
    live.#process = new ContestantProcess(pipeline(server, { tables }))
    live.#ended = live.#process.finished(600)
    const failed = live.#ended.then(() => Promise.reject(new Error(`tailrace run ended by itself`)))
    failed.catch(() => {})
    live.#source = await connect(server, SOURCE)
    live.#target = await connect(server, TARGET)
    const streams = `SELECT bool_or(active) FROM pg_replication_slots WHERE slot_name = '${SLOT}'`
    await Promise.race([until(live.#source, streams, START_MS, 'the stream'), failed])
    await live.arrived(await live.mark())
    return live
  }

  /** Commits one; gives its number. */
  mark() {
    this.#marking = this.#marking.then(async () => {
      const number = ++this.#marks
      await this.#source.query(`INSERT INTO marks VALUES (${number})`)
      return number
    })
    return this.#marking
  }

  arrived(mark) {
    return until(this.#target, `SELECT EXISTS (SELECT FROM marks WHERE n = ${mark})`, PATIENCE_MS, `mark ${mark}`)
  }

  /** Milliseconds from commit to commit, of the marks behind `from`, in order. */
  async latencies(from) {
    const times = async (client) => {
      const at = 'extract(epoch FROM pg_xact_commit_timestamp(xmin)) * 1000'
      const { rows } = await client.query(`SELECT (${at})::float8 AS at FROM marks WHERE n > ${from} ORDER BY n`)
      return rows.map((row) => row.at)
    }
    const [source, target] = [await times(this.#source), await times(this.#target)]
    if (source.length !== target.length) throw new Error(`${source.length} marks, ${target.length} came`)
    return target.map((at, i) => at - source[i])
  }

  async stop() {
    this.#process.stop()
    return this.#ended
  }

  async close() {
    this.#process.stop()
    await this.#ended.catch(() => {})
    await Promise.all([this.#source?.end(), this.#target?.end()])
  }
}

async function connect(server, database) {
  const client = new pg.Client(server.url(database))
  client.on('error', () => {})
  await client.connect()
  return client
}

async function run(command, args) {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  let said = ''
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text) => (said += text))
  const [code] = await once(child, 'close')
  if (code !== 0) throw new Error(`${command} ${args.join(' ')}: ${said}`)
  return said
}
