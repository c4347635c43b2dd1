import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { ContestantProcess } from './contestantProcess.mjs'
import { PG_RECVLOGICAL, slotReaders, TAILRACE } from './contestants.mjs'
import { insertSql, load, makeTable } from './dataset.mjs'
import { CpuWatch } from './machine.mjs'
import { MarkReader, mark, now } from './marks.mjs'
import { FULL_ROWS } from './options.mjs'
import { interleave, median, ratios } from './rounds.mjs'
import { copySlot, createSlot, currentLsn, dropSlot, settle, withClient } from './server.mjs'
import { bar, fixed, runsTable, table } from './table.mjs'

const TABLE = 'bench'
const OFF = 'tailrace, streaming off'
const WALL_LIMIT = 0.5
const RSS_LIMIT_MB = 256
const FIRST_ROW_LIMIT_MS = 100
const LIMIT_SECONDS = 300
const POLL_MS = 20
/** Rows a statement of the live transaction inserts. */
const STATEMENT = 20_000
/** What was sent is read by then, too. */
const REST_MS = 250
/** What is flushed of an open transaction's WAL ends with a whole page. */
const NEARLY_BYTES = 32 * 1024
const thousands = new Intl.NumberFormat('en-US')

/**
 * One transaction of twice the rows: first as a backlog, then live, with everybody connected while it is written. The
 * spool's folder is looked at all the while.
 */
export async function large({ server, options }) {
  const rows = 2 * options.rows
  const spool = mkdtempSync(join(tmpdir(), 'tailrace-bench-spool-'))
  try {
    return await withClient(server, 'postgres', async (client) => {
      await makeTable(client, TABLE)
      await client.query(`CREATE PUBLICATION ${TABLE} FOR TABLE ${TABLE}`)
      try {
        const drained = await backlog({ server, client, options, rows, spool })
        const lived = await live({ server, client, options, rows, spool })
        return report(drained, lived, rows, options.rows >= FULL_ROWS)
      } finally {
        await client.query(`DROP PUBLICATION ${TABLE}`)
        await client.query(`DROP TABLE ${TABLE}`)
      }
    })
  } finally {
    rmSync(spool, { recursive: true, force: true })
  }
}

async function backlog({ server, client, options, rows, spool }) {
  await createSlot(client, 'base')
  try {
    await load(client, TABLE, rows, rows)
    await settle(client)
    const contestants = readers({ server, lsn: await currentLsn(client), spool, file: '/dev/null' })
    return await interleave(contestants, options.rounds, TAILRACE, async ({ prepare }, round) => {
      const slot = `round_${round}`
      await copySlot(client, 'base', slot)
      const watch = new SpoolWatch(spool)
      const cpu = new CpuWatch(server.pid)
      try {
        const usage = await new ContestantProcess(prepare(slot)).finished(LIMIT_SECONDS)
        return { ...usage, ...(await cpu.stop(usage.cpu)), ...watch.stop() }
      } finally {
        watch.stop()
        await dropSlot(client, slot)
      }
    })
  } finally {
    await dropSlot(client, 'base')
  }
}

/** From the sending of COMMIT to the transaction's first row in the pipe: at once behind its last row, and rested. */
async function live({ server, client, options, rows, spool }) {
  const contestants = readers({ server, spool, file: '-' })
  return interleave(contestants, options.rounds, TAILRACE, async ({ prepare }) => {
    await createSlot(client, 'live')
    const watch = new SpoolWatch(spool)
    const cpu = new CpuWatch(server.pid)
    try {
      const contestant = new ContestantProcess({ ...prepare('live'), output: 'pipe' })
      const ended = contestant.finished(LIMIT_SECONDS)
      const marks = new MarkReader(4)
      contestant.stdout.on('data', (chunk) => marks.read(chunk))
      while (!(await isActive(client))) await sleep(POLL_MS)
      const sent = [await writeLive(client, rows, 0, false), await writeLive(client, rows, 2, true)]
      await Promise.race([marks.all(LIMIT_SECONDS * 1000), ended])
      contestant.stop()
      const usage = await ended
      const [first, last, rested] = [...marks.times].map((time, mark) => time - sent[mark >> 1])
      return { first, last, rested, ...usage, ...(await cpu.stop(usage.cpu)), ...watch.stop() }
    } finally {
      watch.stop()
      await dropSlot(client, 'live')
    }
  })
}

/**
 * One transaction, its first and last row marked, in statements as an application says them; gives when COMMIT was sent.
 * Rows are inserted faster than any walsender decodes them: `rested` waits until it has caught up, and a
 * quarter of a second more.
 */
async function writeLive(client, rows, firstMark, rested) {
  await client.query(`TRUNCATE ${TABLE}`)
  await client.query('BEGIN')
  await client.query(insertSql(TABLE, 1, 1, `'${mark(firstMark)}'`))
  for (let from = 2; from < rows; from += STATEMENT) {
    await client.query(insertSql(TABLE, from, Math.min(from + STATEMENT, rows) - 1))
  }
  await client.query(insertSql(TABLE, rows, rows, `'${mark(firstMark + 1)}'`))
  if (rested) {
    while (!(await isDecoded(client))) await sleep(POLL_MS)
    await sleep(REST_MS)
  }
  const sent = now()
  await client.query('COMMIT')
  return sent
}

async function isDecoded(client) {
  const behind = 'pg_wal_lsn_diff(pg_current_wal_insert_lsn(), sent_lsn) AS behind'
  const { rows } = await client.query(`SELECT ${behind} FROM pg_stat_replication`)
  return rows.every((one) => Number(one.behind) < NEARLY_BYTES)
}

async function isActive(client) {
  const { rows } = await client.query(`SELECT active FROM pg_replication_slots WHERE slot_name = 'live'`)
  return rows[0].active
}

/** tailrace as it is by default, without streaming, and its peer. */
function readers({ server, lsn, spool, file }) {
  const all = slotReaders({ url: server.url(), publication: TABLE, table: TABLE, lsn, file })
  const [ours, peer] = [TAILRACE, PG_RECVLOGICAL].map((one) => all.find(({ name }) => name === one))
  const more = (name, args) => ({
    name,
    prepare: (slot) => {
      const command = ours.prepare(slot)
      return { ...command, args: [...command.args, ...args] }
    },
  })
  return [more(TAILRACE, ['--spool-folder', spool]), more(OFF, ['--streaming', 'off']), peer].filter(Boolean)
}

/** Bytes of files in a folder, at most and at the end. */
class SpoolWatch {
  #folder
  #peak = 0
  #timer

  constructor(folder) {
    this.#folder = folder
    this.#timer = setInterval(() => this.#look(), POLL_MS)
  }

  stop() {
    clearInterval(this.#timer)
    const left = this.#look()
    return { spoolPeak: this.#peak / 1e6, spoolLeft: left / 1e6 }
  }

  #look() {
    let bytes = 0
    for (const name of readdirSync(this.#folder, { recursive: true })) {
      const entry = statSync(join(this.#folder, name), { throwIfNoEntry: false })
      if (entry?.isFile()) bytes += entry.size
    }
    this.#peak = Math.max(this.#peak, bytes)
    return bytes
  }
}

function report(drained, lived, rows, judged) {
  const [ours, peer] = [TAILRACE, PG_RECVLOGICAL].map((one) => drained.find(({ name }) => name === one))
  const oursLive = lived.find(({ name }) => name === TAILRACE)
  const worst = (result, figure) => Math.max(...result.rounds.map((round) => round[figure]))
  const shares = ratios(ours, peer, 'wall')
  const rss = Math.max(worst(ours, 'rss'), worst(oursLive, 'rss'))
  const left = Math.max(worst(ours, 'spoolLeft'), worst(oursLive, 'spoolLeft'))
  const middle = (result, figure, digits) => fixed(median(result.rounds.map((round) => round[figure])), digits)
  const head = [
    'live: after COMMIT',
    'first row ms',
    'best',
    'last row ms',
    'first row ms, rested',
    'peak MB',
    'spool MB at most',
    'others',
  ]
  const cells = lived.map((result) => [
    result.name,
    middle(result, 'first', 0),
    fixed(Math.min(...result.rounds.map(({ first }) => first)), 0),
    middle(result, 'last', 0),
    middle(result, 'rested', 0),
    fixed(worst(result, 'rss'), 0),
    fixed(worst(result, 'spoolPeak'), 0),
    fixed(worst(result, 'others'), 2),
  ])
  const spooled = `spool of the backlog: ${fixed(worst(ours, 'spoolPeak'), 1)} MB at most, ${fixed(left, 1)} MB left at the end`
  return {
    name: 'large',
    title: `one transaction of ${thousands.format(rows)} rows, to /dev/null; then live, to a pipe`,
    results: [...drained, ...lived.map((result) => ({ ...result, name: `live: ${result.name}` }))],
    text: `${runsTable(drained, peer)}\n\n${spooled}\n\n${table(head, cells)}`,
    bars: [
      bar(`large: wall, to ${PG_RECVLOGICAL}`, shares && median(shares), WALL_LIMIT, 2, judged),
      bar('large: peak MB', rss, RSS_LIMIT_MB, 0, judged),
      bar('large: spool MB left', left, 0, 1, judged),
      bar(
        'large: first row, ms after COMMIT, rested',
        median(oursLive.rounds.map(({ rested }) => rested)),
        FIRST_ROW_LIMIT_MS,
        0,
        judged,
      ),
    ],
  }
}
