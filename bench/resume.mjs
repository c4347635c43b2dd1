import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { ContestantProcess } from './contestantProcess.mjs'
import { tailrace } from './contestants.mjs'
import { load, makeTable } from './dataset.mjs'
import { FULL_ROWS } from './options.mjs'
import { linesOf } from './outputLines.mjs'
import { median } from './rounds.mjs'
import { alone, dropSlot, settle, withClient } from './server.mjs'
import { bar, fixed, table } from './table.mjs'

const TABLE = 'bench'
const SLOT = 'resume'
const PUBLICATION = 'resume'
const KILLS = 10
const LIMIT = 1.1
const LIMIT_SECONDS = 300
const POLL_MS = 2
/** Statistics of a session that has ended are there at once, or soon. */
const STATISTICS_MS = 1500

const STRATEGIES = [
  { name: 'auto (consistent, then incremental)', args: [] },
  { name: 'incremental', args: ['--strategy', 'incremental'] },
]

/**
 * A snapshot to a file, killed ten times: how many rows the server read for it, by its own count, beside one that nobody
 * disturbs. The kills are spread over the output, each at a random place of its tenth.
 */
export async function resume({ server, options }) {
  const folder = mkdtempSync(join(tmpdir(), 'tailrace-bench-resume-'))
  const files = { output: join(folder, 'output.ndjson'), state: join(folder, 'state.json') }
  try {
    const results = await withClient(server, 'postgres', async (client) => {
      await makeTable(client, TABLE)
      try {
        await load(client, TABLE, options.rows, options.rows)
        await client.query(`VACUUM (FREEZE, ANALYZE) ${TABLE}`)
        await settle(client)
        const measured = []
        for (const { name, args } of STRATEGIES) {
          const rounds = []
          for (let round = 1; round <= options.rounds; round++) {
            process.stderr.write(`  round ${round} of ${options.rounds}: ${name}\n`)
            rounds.push(await killed({ server, client, files, args, rows: options.rows }))
          }
          measured.push({ name, rounds })
        }
        return measured
      } finally {
        await client.query(`DROP TABLE ${TABLE}`)
      }
    })
    return report(results, options.rows)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

async function killed({ server, client, files, args, rows }) {
  const command = tailrace('tailrace', [
    ...['stream', '--url', server.url(), '--tables', TABLE, '--slot', SLOT, '--publication', PUBLICATION],
    ...['--state', files.state, '--output', files.output, '--until', 'current', ...args],
  ])
  const whole = await counted(client, files, rows, () => new ContestantProcess(command).finished(LIMIT_SECONDS))
  const bytes = whole.bytes
  const kills = []
  const parts = await counted(client, files, rows, async () => {
    const started = performance.now()
    for (let kill = 0; kill < KILLS; kill++) {
      const at = Math.floor((bytes * (kill + Math.random())) / KILLS)
      kills.push(await killAt(command, files.output, at))
      await alone(client)
    }
    await new ContestantProcess(command).finished(LIMIT_SECONDS)
    return { wall: (performance.now() - started) / 1000 }
  })
  return {
    ratio: (parts.read - (whole.read - rows)) / rows,
    readWhole: whole.read,
    read: parts.read,
    wrong: whole.wrong + parts.wrong,
    wallWhole: whole.wall,
    wall: parts.wall,
    kills,
  }
}

/** Lets it write up to `bytes`, where the next run will go on at or before it. */
async function killAt(command, output, bytes) {
  const contestant = new ContestantProcess({ ...command, direct: true })
  const ended = contestant.finished(LIMIT_SECONDS)
  ended.catch(() => {})
  while (sizeOf(output) < bytes) {
    if ((await Promise.race([ended.then(() => 'ended'), sleep(POLL_MS)])) === 'ended') break
  }
  const size = sizeOf(output)
  if (!(await contestant.kill())) throw new Error(`it was ready before it could be killed at ${bytes} bytes`)
  return { at: bytes, size }
}

/** What `run` gives, and the rows that the server read meanwhile; the output is checked, and everything is cleared. */
async function counted(client, files, rows, run) {
  await alone(client)
  const before = await rowsRead(client)
  try {
    const usage = await run()
    await alone(client)
    const read = (await rowsRead(client)) - before
    return { ...usage, read, bytes: sizeOf(files.output), wrong: await wrongRows(files.output, rows) }
  } finally {
    await dropSlot(client, SLOT)
    await client.query(`DROP PUBLICATION IF EXISTS ${PUBLICATION}`)
    for (const file of Object.values(files)) rmSync(file, { force: true })
  }
}

/** By the server's own statistics, when they stand still. */
async function rowsRead(client) {
  const read = async () => {
    const { rows } = await client.query(
      `SELECT seq_tup_read + coalesce(idx_tup_fetch, 0) AS read FROM pg_stat_user_tables WHERE relname = $1`,
      [TABLE],
    )
    return Number(rows[0].read)
  }
  let last = await read()
  for (let since = performance.now(); performance.now() - since < STATISTICS_MS; ) {
    await sleep(100)
    const now = await read()
    if (now === last) continue
    last = now
    since = performance.now()
  }
  return last
}

/** Rows that are missing, there twice, or were never in the table. */
async function wrongRows(file, rows) {
  const seen = new Uint8Array(rows + 1)
  let wrong = 0
  let right = 0
  for await (const line of linesOf(file)) {
    const id = Number(line.match(/^{"operation":"snapshot".*?"key":{"id":(\d+)}/)?.[1] ?? 0)
    if (id < 1 || id > rows || seen[id]++ > 0) wrong++
    else right++
  }
  return wrong + (rows - right)
}

function sizeOf(file) {
  return statSync(file, { throwIfNoEntry: false })?.size ?? 0
}

function report(results, rows) {
  const head = ['', 'rows read, ratio', 'best', 'worst', 'whole run reads', 'wall s', 'whole run s', 'wrong rows']
  const cells = results.map(({ name, rounds }) => {
    const of = (figure) => rounds.map((round) => round[figure])
    return [
      name,
      fixed(median(of('ratio')), 3),
      fixed(Math.min(...of('ratio')), 3),
      fixed(Math.max(...of('ratio')), 3),
      fixed(median(of('readWhole')) / rows, 3),
      fixed(median(of('wall')), 2),
      fixed(median(of('wallWhole')), 2),
      Math.max(...of('wrong')),
    ]
  })
  const judged = rows >= FULL_ROWS
  return {
    name: 'resume',
    title: `${rows.toLocaleString('en-US')} rows to a file, killed ${KILLS} times; rows read by pg_stat_user_tables`,
    results,
    text: table(head, cells),
    bars: results.flatMap(({ name, rounds }) => [
      bar(`resume: rows read, ${name}`, median(rounds.map(({ ratio }) => ratio)), LIMIT, 3, judged),
      bar(`resume: wrong rows, ${name}`, Math.max(...rounds.map(({ wrong }) => wrong)), 0, 0),
    ]),
  }
}
