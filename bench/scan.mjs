import { once } from 'node:events'
import { createWriteStream, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import { ContestantProcess } from './contestantProcess.mjs'
import { TAILRACE, tailrace } from './contestants.mjs'
import { load, makeTable } from './dataset.mjs'
import { CpuWatch } from './machine.mjs'
import { MarkReader } from './marks.mjs'
import { FULL_ROWS } from './options.mjs'
import { linesOf } from './outputLines.mjs'
import { interleave, measure, median, percentile, ratios } from './rounds.mjs'
import { dropSlot, settle, withClient } from './server.mjs'
import { bar, fixed, runsTable, table } from './table.mjs'

const SCANNED = 'scanned'
const OTHER = 'bench'
const NAME = 'scan'
const CONSISTENT = 'consistent'
const INCREMENTAL = 'incremental'
const PER_SECOND = 200
const P99_LIMIT_MS = 100
const WALL_LIMIT = 1.5
const LIMIT_SECONDS = 600
/** Of the last commit's line. */
const PATIENCE_MS = 60_000
const PAGE_ROWS = 500_000
const thousands = new Intl.NumberFormat('en-US')

/**
 * A table of five times the rows, read incrementally: beside the same command that reads it in one snapshot, with
 * nothing else going on; then while another table changes; then while it changes itself, too, and what came out is
 * replayed and compared with the table.
 */
export async function scan({ server, options }) {
  const rows = 5 * options.rows
  const folder = mkdtempSync(join(tmpdir(), 'tailrace-bench-scan-'))
  try {
    return await withClient(server, 'postgres', async (client) => {
      await makeTable(client, SCANNED)
      await makeTable(client, OTHER)
      try {
        await load(client, SCANNED, rows, rows)
        await client.query(`VACUUM (FREEZE, ANALYZE) ${SCANNED}`)
        await settle(client)
        const walls = await interleave(strategies(server), options.rounds, INCREMENTAL, (contestant) =>
          measure(server, contestant),
        )
        const kinds = [
          { name: 'other table', changesScanned: false },
          { name: 'both tables', changesScanned: true },
        ]
        const latencies = await interleave(kinds, options.rounds, 'both tables', ({ changesScanned }) =>
          underChanges({ server, client, rows, changesScanned, folder }),
        )
        return report(walls, latencies, rows, options.rows >= FULL_ROWS)
      } finally {
        await client.query(`DROP TABLE ${SCANNED}, ${OTHER}`)
      }
    })
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** To /dev/null, with slots that go with the run. */
function strategies(server) {
  return [INCREMENTAL, CONSISTENT].map((strategy) =>
    tailrace(strategy, [
      ...['stream', '--url', server.url(), '--tables', SCANNED, '--strategy', strategy, '--until', 'current'],
    ]),
  )
}

async function underChanges({ server, client, rows, changesScanned, folder }) {
  const [file, state] = [join(folder, 'output.ndjson'), join(folder, 'state.json')]
  await client.query(`TRUNCATE ${OTHER}`)
  const watch = new CpuWatch(server.pid)
  const contestant = new ContestantProcess({
    ...tailrace(TAILRACE, [
      ...['stream', '--url', server.url(), '--tables', `${SCANNED},${OTHER}`, '--strategy', INCREMENTAL],
      ...['--slot', NAME, '--publication', NAME, '--state', state],
    ]),
    output: 'pipe',
  })
  try {
    const ended = contestant.finished(LIMIT_SECONDS)
    const failed = ended.then(() => Promise.reject(new Error('tailrace ended by itself')))
    failed.catch(() => {})
    const finished = said(contestant, 'snapshot finished')
    const marks = new MarkReader(LIMIT_SECONDS * PER_SECOND)
    const output = changesScanned ? createWriteStream(file) : undefined
    contestant.stdout.on('data', (chunk) => {
      marks.read(chunk)
      output?.write(chunk)
    })
    await Promise.race([once(contestant.stdout, 'data'), failed])
    const began = performance.now()
    const sent = new Float64Array(new SharedArrayBuffer(marks.times.length * 8))
    const shared = new Int32Array(new SharedArrayBuffer(8))
    const workerData = {
      ...{
        url: server.url(),
        other: OTHER,
        scanned: SCANNED,
        rows,
        perSecond: PER_SECOND,
        changesScanned,
        sent,
        shared,
      },
    }
    const writer = new Worker(new URL('scanWriter.mjs', import.meta.url), { workerData })
    const written = once(writer, 'exit')
    await Promise.race([finished, failed])
    const seconds = (performance.now() - began) / 1000
    Atomics.store(shared, 0, 1)
    await Promise.race([written, failed])
    const count = shared[1]
    await Promise.race([marks.first(count, PATIENCE_MS), failed])
    contestant.stop()
    const usage = await ended
    const { server: serverCpu, others } = await watch.stop(usage.cpu)
    if (output !== undefined) await new Promise((resolve) => output.end(resolve))
    const took = Array.from({ length: count }, (_, number) => marks.times[number] - sent[number])
    return {
      ...usage,
      server: serverCpu,
      others,
      seconds,
      commits: count,
      p50: percentile(took, 0.5),
      p99: percentile(took, 0.99),
      worst: Math.max(...took),
      wrong: output === undefined ? undefined : await wrongRows(client, file),
    }
  } finally {
    contestant.stop()
    await dropSlot(client, NAME)
    await client.query(`DROP PUBLICATION IF EXISTS ${NAME}`)
    for (const one of [file, state]) rmSync(one, { force: true })
  }
}

function said(contestant, words) {
  return new Promise((resolve) => {
    let text = ''
    contestant.stderr.on('data', (more) => {
      text = (text + more).slice(-1000)
      if (text.includes(words)) resolve()
    })
  })
}

/** Replays the output, and counts what differs from the table; a row that the snapshot gives twice differs. */
async function wrongRows(client, file) {
  const table = await customers(client)
  const rows = new Map()
  let wrong = 0
  for await (const line of linesOf(file)) {
    const [, operation, of, id] =
      line.match(/^{"operation":"(\w+)","schema":"public","table":"(\w+)","key":{"id":(\d+)}/) ?? []
    if (of === OTHER) continue
    if (of === undefined) throw new Error(`an unexpected line: ${line.slice(0, 200)}`)
    const there = rows.has(id)
    if (operation === 'delete') rows.delete(id)
    else rows.set(id, Number(line.match(/"after":{"id":\d+,"customer":(-?\d+)/)[1]))
    // Each change meets what is there: the rows that a snapshot gives, each once, and the changes behind them.
    const expected = operation === 'update' || operation === 'delete'
    if (there !== expected) wrong++
  }
  for (const [id, customer] of rows) if (table.get(id) !== customer) wrong++
  for (const id of table.keys()) if (!rows.has(id)) wrong++
  return wrong
}

async function customers(client) {
  const found = new Map()
  for (let after = 0; ; ) {
    const { rows } = await client.query({
      text: `SELECT id, customer FROM ${SCANNED} WHERE id > ${after} ORDER BY id LIMIT ${PAGE_ROWS}`,
      rowMode: 'array',
    })
    if (rows.length === 0) return found
    for (const [id, customer] of rows) found.set(id, customer)
    after = rows.at(-1)[0]
  }
}

function report(walls, latencies, rows, judged) {
  const [ours, peer] = [INCREMENTAL, CONSISTENT].map((one) => walls.find(({ name }) => name === one))
  const shares = peer && ratios(ours, peer, 'wall')
  const head = [
    'ms from COMMIT to the line',
    'p50',
    'p99',
    'worst p99',
    'worst',
    'commits',
    'scan s',
    'wrong',
    'peak MB',
    'others',
  ]
  const cells = latencies.map(({ name, rounds }) => {
    const of = (figure) => rounds.map((round) => round[figure])
    return [
      `changes of ${name}`,
      fixed(median(of('p50')), 1),
      fixed(median(of('p99')), 1),
      fixed(Math.max(...of('p99')), 1),
      fixed(Math.max(...of('worst')), 1),
      median(of('commits')),
      fixed(median(of('seconds')), 1),
      rounds[0].wrong === undefined ? undefined : Math.max(...of('wrong')),
      fixed(Math.max(...of('rss')), 0),
      fixed(Math.max(...of('others')), 2),
    ]
  })
  const both = latencies.find(({ name }) => name === 'both tables')
  return {
    name: 'scan',
    title: `${thousands.format(rows)} rows read incrementally; alone, to /dev/null; and beside ${PER_SECOND} commits a second, to a pipe`,
    results: [...walls, ...latencies],
    text: `${runsTable(walls, peer)}\n\n${table(head, cells)}`,
    bars: [
      bar('scan: wall, to consistent', shares && median(shares), WALL_LIMIT, 2, judged),
      ...latencies.map(({ name, rounds }) =>
        bar(`scan: p99 ms, changes of ${name}`, median(rounds.map(({ p99 }) => p99)), P99_LIMIT_MS, 1, judged),
      ),
      bar('scan: wrong rows', Math.max(...both.rounds.map(({ wrong }) => wrong)), 0, 0),
    ],
  }
}
