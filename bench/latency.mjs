import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import { ContestantProcess } from './contestantProcess.mjs'
import { PG_RECVLOGICAL, slotReaders, TAILRACE } from './contestants.mjs'
import { makeTable } from './dataset.mjs'
import { CpuWatch } from './machine.mjs'
import { MarkReader } from './marks.mjs'
import { interleave, median, percentile, ratios } from './rounds.mjs'
import { createSlot, dropSlot, withClient } from './server.mjs'
import { bar, fixed, table } from './table.mjs'

const TABLE = 'bench'
const SLOT = 'latency'
const COMMITS_PER_SECOND = 1000
/** Thrown away: the contestant's code is not compiled yet. */
const WARM_UP_SECONDS = 2
const SECONDS = 6
const P50_LIMIT = 2
const P99_LIMIT = 4
const RSS_LIMIT_MB = 200
/** Of a commit's line to come, and of the contestant's end. */
const PATIENCE_MS = 30_000

/**
 * One-row transactions at an even pace, from a thread of this process; this thread takes the time when a row's mark
 * comes out of the contestant's standard output. Both have one clock. The latency counts from the sending of
 * COMMIT. From its reply it is shown beside it: that leaves out what the server takes to commit, but the walsender is
 * woken before the reply is sent, so that it may be negative, and no ratio of it means anything.
 */
export async function latency({ server, options }) {
  const seconds = options.quick ? 1 : SECONDS
  const readers = slotReaders({ url: server.url(), publication: TABLE, table: TABLE, file: '-' })
  const results = await withClient(server, 'postgres', async (client) => {
    await makeTable(client, TABLE)
    await client.query(`CREATE PUBLICATION ${TABLE} FOR TABLE ${TABLE}`)
    try {
      return await interleave(readers, options.rounds, TAILRACE, async ({ prepare }) => {
        await createSlot(client, SLOT)
        try {
          return await measureLatency(server, prepare(SLOT), seconds)
        } finally {
          await dropSlot(client, SLOT)
        }
      })
    } finally {
      await client.query(`DROP PUBLICATION ${TABLE}`)
      await client.query(`DROP TABLE ${TABLE}`)
    }
  })
  return report(results, seconds, options)
}

async function measureLatency(server, command, seconds) {
  const watch = new CpuWatch(server.pid)
  const contestant = new ContestantProcess({ ...command, output: 'pipe' })
  const ended = contestant.finished(PATIENCE_MS / 1000 + 10 * (WARM_UP_SECONDS + seconds))
  const warmUp = WARM_UP_SECONDS * COMMITS_PER_SECOND
  const count = warmUp + seconds * COMMITS_PER_SECOND
  const marks = new MarkReader(count)
  contestant.stdout.on('data', (chunk) => marks.read(chunk))
  const sent = new Float64Array(new SharedArrayBuffer(count * 8))
  const replied = new Float64Array(new SharedArrayBuffer(count * 8))
  const workerData = { url: server.url(), table: TABLE, count, perSecond: COMMITS_PER_SECOND, sent, replied }
  const writer = new Worker(new URL('latencyWriter.mjs', import.meta.url), { workerData })
  const failed = ended.then(() => Promise.reject(new Error(`${command.command} ended by itself`)))
  await Promise.race([once(writer, 'exit').then(() => marks.all(PATIENCE_MS)), failed])
  failed.catch(() => {})
  contestant.stop()
  const usage = await ended
  const { server: serverCpu, others } = await watch.stop(usage.cpu)
  const after = (times) => Array.from({ length: count - warmUp }, (_, i) => marks.times[warmUp + i] - times[warmUp + i])
  const [fromReply, fromSent] = [after(replied), after(sent)]
  return {
    replyP50: percentile(fromReply, 0.5),
    replyP99: percentile(fromReply, 0.99),
    sentP50: percentile(fromSent, 0.5),
    sentP99: percentile(fromSent, 0.99),
    perSecond: ((count - warmUp - 1) * 1000) / (sent[count - 1] - sent[warmUp]),
    ...usage,
    server: serverCpu,
    others,
  }
}

function report(results, seconds, options) {
  const [ours, peer] = [TAILRACE, PG_RECVLOGICAL].map((one) => results.find((result) => result.name === one))
  const head = [
    'ms, median of the rounds',
    'p50',
    'p99',
    'ratio p50',
    'ratio p99',
    'reply p50',
    'reply p99',
    'commits/s',
  ]
  const rows = results.map((result) => {
    const of = (figure) => median(result.rounds.map((round) => round[figure]))
    const shares = (figure) => peer && median(ratios(result, peer, figure))
    return [
      result.name,
      fixed(of('sentP50'), 2),
      fixed(of('sentP99'), 2),
      fixed(shares('sentP50'), 2),
      fixed(shares('sentP99'), 2),
      fixed(of('replyP50'), 2),
      fixed(of('replyP99'), 2),
      fixed(of('perSecond'), 0),
      fixed(Math.max(...result.rounds.map(({ rss }) => rss)), 0),
      fixed(Math.max(...result.rounds.map(({ others }) => others)), 2),
    ]
  })
  const share = (figure) => peer && median(ratios(ours, peer, figure))
  return {
    name: 'latency',
    title: `${COMMITS_PER_SECOND} commits a second for ${seconds} s, from COMMIT to the line in the pipe`,
    results,
    text: table([...head, 'peak MB', 'others'], rows),
    bars: [
      bar(`latency: p50, to ${PG_RECVLOGICAL}`, share('sentP50'), P50_LIMIT, 2, !options.quick),
      bar(`latency: p99, to ${PG_RECVLOGICAL}`, share('sentP99'), P99_LIMIT, 2, !options.quick),
      bar('latency: peak MB', Math.max(...ours.rounds.map(({ rss }) => rss)), RSS_LIMIT_MB, 0, !options.quick),
    ],
  }
}
