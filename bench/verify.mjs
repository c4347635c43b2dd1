import { PGBENCH_TABLES, pgbenchPair, runPgbench } from './apply/live.mjs'
import { dropAll, makeSource, SOURCE, TARGET } from './apply/pipeline.mjs'
import { ContestantProcess } from './contestantProcess.mjs'
import { tailrace } from './contestants.mjs'
import { load, makeTable } from './dataset.mjs'
import { CpuWatch } from './machine.mjs'
import { FULL_ROWS } from './options.mjs'
import { pgbench, psql } from './programs.mjs'
import { interleave, measure, median, ratios } from './rounds.mjs'
import { startServer, withClient } from './server.mjs'
import { bar, fixed, runsTable, table } from './table.mjs'

const TABLE = 'bench'
const OURS = 'tailrace verify'
const PEER = 'SELECT sum(hash), one side'
const SUM = `SELECT count(*), sum(hashtextextended(t::text, 0)) FROM ${TABLE} t`
const LIMIT = 2.5
const LIMIT_SECONDS = 600
const LIVE_SECONDS = 60
const thousands = new Intl.NumberFormat('en-US')

const EQUAL = 0
const DIFFERENT = 1

/** Keys of rows that differ, of tables of `rows` rows: at both ends, next to each other, and anywhere. */
function differingKeys(rows) {
  const changed = [1, Math.floor(rows / 2), Math.floor(rows / 2) + 1]
  const missing = [Math.floor(rows / 3), rows]
  const extra = [rows + 1, rows + 1000]
  return { changed, missing, extra, all: [...changed, ...missing, ...extra].sort((a, b) => a - b) }
}

/** Two tables of five times the rows, which differ in seven. */
export async function verifyTables({ server, options }) {
  const rows = 5 * options.rows
  const keys = differingKeys(rows)
  await makeSource(server, async (client) => {
    await makeTable(client, TABLE)
    await load(client, TABLE, rows, rows)
    await client.query(`VACUUM (FREEZE, ANALYZE) ${TABLE}`)
  })
  try {
    await withClient(server, 'postgres', (client) => client.query(`CREATE DATABASE ${TARGET} TEMPLATE ${SOURCE}`))
    await withClient(server, TARGET, async (client) => {
      await client.query(`UPDATE ${TABLE} SET note = note || '.', amount = amount + 0.01 WHERE id = ANY ($1)`, [
        keys.changed,
      ])
      await client.query(`DELETE FROM ${TABLE} WHERE id = ANY ($1)`, [keys.missing])
      await client.query(
        `INSERT INTO ${TABLE} SELECT key, customer, status, amount, created, note, active, score
           FROM ${TABLE}, unnest($1::int8[]) AS key WHERE id = 2`,
        [keys.extra],
      )
      await client.query(`VACUUM (FREEZE, ANALYZE) ${TABLE}`)
      await client.query('CHECKPOINT')
    })
    const contestants = [{ name: OURS }, ...(psql === undefined ? [] : [{ name: PEER }])]
    const results = await interleave(contestants, options.rounds, OURS, async ({ name }) => {
      if (name === OURS) return findsExactly(server, keys.all)
      const sides = []
      for (const side of [SOURCE, TARGET]) {
        sides.push(
          await measure(server, { command: psql, args: ['-X', '-q', '-A', '-t', '-d', server.url(side), '-c', SUM] }),
        )
      }
      return sides.reduce((slower, one) => (one.wall > slower.wall ? one : slower))
    })
    const repair = await verify(server, TABLE, ['--settle', '0', '--repair'], [EQUAL])
    if (repair.tables[0].verdict !== 'repaired') throw new Error(`it was not repaired: ${JSON.stringify(repair)}`)
    await findsExactly(server, [])
    return report(results, rows, keys.all.length, repair, options.rows >= FULL_ROWS)
  } finally {
    await dropAll(server)
  }
}

/** Measured; throws unless just these rows are told. */
async function findsExactly(server, keys) {
  const watch = new CpuWatch(server.pid)
  const { tables, usage } = await verify(server, TABLE, ['--settle', '0'], [keys.length > 0 ? DIFFERENT : EQUAL])
  const told = tables[0].differences.map(({ key }) => Number(Object.values(key)[0])).sort((a, b) => a - b)
  if (told.join() !== keys.join()) throw new Error(`rows ${keys.join()} differ, and ${told.join()} were told`)
  return { ...usage, ...(await watch.stop(usage.cpu)) }
}

/** What `tailrace verify` tells; throws when it ends otherwise. */
async function verify(server, tables, args, exitCodes) {
  const sides = ['--source', server.url(SOURCE), '--target', server.url(TARGET)]
  const command = tailrace(OURS, ['verify', ...sides, '--tables', tables, '--json', '--quiet', ...args])
  const contestant = new ContestantProcess({ ...command, output: 'pipe', exitCodes })
  let json = ''
  contestant.stdout.setEncoding('utf8').on('data', (text) => {
    json += text
  })
  const ended = new Promise((resolve) => contestant.stdout.once('end', resolve))
  const usage = await contestant.finished(LIMIT_SECONDS).catch((error) => {
    throw new Error(`${error.message}\n${json.slice(0, 2000)}`)
  })
  await ended
  return { ...JSON.parse(json), usage }
}

function report(results, rows, differing, repair, judged) {
  const [ours, peer] = [OURS, PEER].map((one) => results.find(({ name }) => name === one))
  const shares = ratios(ours, peer, 'wall')
  return {
    name: 'verify-tables',
    title: `two tables of ${thousands.format(rows)} rows that differ in ${differing}`,
    results,
    text: `${runsTable(results, peer)}\n\nEach run told exactly these rows. --repair: ${fixed(repair.usage.wall, 2)} s; the sides were equal then.`,
    bars: [bar('verify-tables: wall, to the SELECT on the slower side', shares && median(shares), LIMIT, 2, judged)],
  }
}

/** Run after run while pgbench writes at full rate and a pipeline copies: the pair is equal, but for what is on its way. */
export async function verifyLive({ options }) {
  if (pgbench === undefined) throw new Error('pgbench is missing: apt-get install postgresql')
  const seconds = options.quick ? 10 : LIVE_SECONDS
  const server = await startServer(options.major, { track_commit_timestamp: 'on' })
  try {
    const live = await pgbenchPair(server)
    try {
      const runs = []
      let writing = true
      const written = runPgbench(server, seconds).finally(() => {
        writing = false
      })
      written.catch(() => {})
      while (writing) {
        // pgbench's history has no key.
        const { tables, usage } = await verify(server, PGBENCH_TABLES.join(), [], [EQUAL, DIFFERENT])
        const unequal = tables.filter(({ verdict }) => verdict !== 'equal')
        runs.push({ wall: usage.wall, beside: writing, unequal: unequal.map(({ table }) => table) })
      }
      const tps = Number(/tps = ([\d.]+)/.exec(await written)[1])
      const beside = runs.filter((run) => run.beside).length
      if (beside === 0) throw new Error('no run has ended while pgbench was writing')
      await live.stop()
      return liveReport(runs, beside, tps, seconds)
    } finally {
      await live.close()
      await dropAll(server)
    }
  } finally {
    await server[Symbol.asyncDispose]()
  }
}

function liveReport(runs, beside, tps, seconds) {
  const cells = runs.map(({ wall, unequal }, at) => [`run ${at + 1}`, fixed(wall, 1), unequal.join(' ') || 'none'])
  const wrong = runs.filter(({ unequal }) => unequal.length > 0).length
  return {
    name: 'verify-live',
    title: `a live pair under pgbench, ${fixed(tps, 0)} transactions a second for ${seconds} s`,
    results: [{ name: OURS, rounds: runs }],
    text: `${table(['', 'wall s', 'different'], cells)}\n\n${beside} of them ended while pgbench was writing.`,
    bars: [bar('verify-live: runs that called it different', wrong, 0, 0)],
  }
}
