import { execFileSync, fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { tailrace } from '../contestants.mjs'
import { load, makeTable } from '../dataset.mjs'
import { FULL_ROWS } from '../options.mjs'
import { interleave, measure, median, ratios } from '../rounds.mjs'
import { copySlot, createSlot, dropSlot, settle, withClient } from '../server.mjs'
import { bar, fixed, runsTable, table } from '../table.mjs'

const TABLE = 'bench'
const ROWS_PER_TRANSACTION = 1000
const STREAM = 'tailrace stream --output'
const FILE = 'tailrace run, to a file'
const PROCESSED = 'the same, filter and mask'
const WEBHOOK = 'tailrace run, to a webhook'
const FILE_LIMIT = 1.15
const PROCESSED_LIMIT = 1.6
const BATCH = 500
const RECORDS_A_SECOND = 50_000
const RSS_LIMIT_MB = 250

/** Judges every row, and lets nine of ten pass; makes two of their columns anew. */
const PROCESSORS = `processors:
  - type: filter
    where: id % 10 <> 3 AND status IN ('new', 'paid', 'shipped', 'returned')
  - type: mask
    partial: [note]
    redact: [status]
`

const folder = mkdtempSync(join(tmpdir(), 'tailrace-bench-pipeline-'))
process.on('exit', () => rmSync(folder, { recursive: true, force: true }))

/** A backlog of transactions of 1,000 rows, or of one, from the same place each: as lines in a file, and as requests. */
function drain({ name, share, perTransaction, judged }) {
  return async ({ server, options }) => {
    const rows = Math.round(options.rows * share)
    const receiver = await startReceiver()
    try {
      const results = await withClient(server, 'postgres', async (client) => {
        await makeTable(client, TABLE)
        await client.query(`CREATE PUBLICATION ${TABLE} FOR TABLE ${TABLE}`)
        await createSlot(client, 'base')
        try {
          await load(client, TABLE, rows, Math.min(perTransaction, rows))
          await settle(client)
          const contestants = [STREAM, FILE, PROCESSED, WEBHOOK].map((one) => ({ name: one }))
          return await interleave(contestants, options.rounds, FILE, async (one, round) => {
            const slot = `round_${round}`
            await copySlot(client, 'base', slot)
            try {
              return await runOnce(server, one.name, {
                slot,
                rows,
                receiver,
                lines: ['until: current', 'existing_slot: resume'],
              })
            } finally {
              await dropSlot(client, slot)
            }
          })
        } finally {
          await dropSlot(client, 'base')
          await client.query(`DROP PUBLICATION ${TABLE}`)
          await client.query(`DROP TABLE ${TABLE}`)
        }
      })
      const size = Math.min(perTransaction, rows).toLocaleString('en-US')
      const title = `${rows.toLocaleString('en-US')} changes in transactions of ${size}, from a backlog`
      return report(name, title, results, { rows, judged: judged && options.rows >= FULL_ROWS })
    } finally {
      receiver.process.kill()
    }
  }
}

/** All rows of a table that lies in memory. */
async function snapshot({ server, options }) {
  const { rows } = options
  const receiver = await startReceiver()
  try {
    const results = await withClient(server, 'postgres', async (client) => {
      await makeTable(client, TABLE)
      try {
        await load(client, TABLE, rows, rows)
        await client.query(`VACUUM (FREEZE, ANALYZE) ${TABLE}`)
        await settle(client)
        const contestants = [STREAM, FILE, PROCESSED, WEBHOOK].map((one) => ({ name: one }))
        return await interleave(contestants, options.rounds, FILE, (one) =>
          runOnce(server, one.name, { rows, receiver, lines: ['snapshot: only'] }),
        )
      } finally {
        await client.query(`DROP TABLE ${TABLE}`)
      }
    })
    const title = `${rows.toLocaleString('en-US')} rows of a snapshot`
    return report('pipeline-snapshot', title, results, { rows, judged: rows >= FULL_ROWS })
  } finally {
    receiver.process.kill()
  }
}

async function runOnce(server, name, { slot, rows, receiver, lines }) {
  const run = join(folder, 'run')
  rmSync(run, { recursive: true, force: true })
  mkdirSync(run, { recursive: true })
  // What the one before wrote, and what becomes of its blocks, is not to be waited for by the first sync of this one.
  execFileSync('sync')
  const output = join(run, 'out.ndjson')
  const usage = await measure(server, commandOf(server, name, { slot, run, output, receiver, lines }))
  const expected = name === PROCESSED ? rows - countOfThrees(rows) : rows
  const found = name === WEBHOOK ? await receiver.counted() : { records: linesOf(output) }
  if (found.records !== expected) throw new Error(`${name}: ${found.records} records of ${expected}`)
  return { ...usage, requests: found.requests }
}

function commandOf(server, name, { slot, run, output, receiver, lines }) {
  if (name === STREAM) {
    const more =
      slot === undefined
        ? ['--snapshot', 'only']
        : ['--slot', slot, '--publication', TABLE, '--until', 'current', '--existing-slot', 'resume']
    const state = slot === undefined ? [] : ['--state', join(run, 'state')]
    return tailrace(name, [
      'stream',
      '--url',
      server.url(),
      '--tables',
      TABLE,
      '--output',
      output,
      ...state,
      '--no-control',
      '--quiet',
      ...more,
    ])
  }
  const source = [
    `url: ${server.url()}`,
    `tables: [${TABLE}]`,
    ...(slot === undefined ? [] : [`slot: ${slot}`, `publication: ${TABLE}`]),
    ...lines,
  ]
  const sink =
    name === WEBHOOK ? { type: 'webhook', url: receiver.url, batch_records: BATCH } : { type: 'file', path: output }
  const file = join(run, 'pipeline.yaml')
  const processors = name === PROCESSED ? PROCESSORS : ''
  writeFileSync(
    file,
    `name: bench\nsource:\n  ${source.join('\n  ')}\n${processors}sinks:\n  out: ${JSON.stringify(sink)}\n`,
  )
  return tailrace(name, ['run', file, '--no-control', '--quiet'])
}

function countOfThrees(rows) {
  return Math.floor((rows + 7) / 10)
}

function linesOf(path) {
  const bytes = readFileSync(path)
  let lines = 0
  for (let at = bytes.indexOf(10); at >= 0; at = bytes.indexOf(10, at + 1)) lines++
  return lines
}

async function startReceiver() {
  const child = fork(fileURLToPath(new URL('receiver.mjs', import.meta.url)))
  const [{ port }] = await once(child, 'message')
  const counted = async () => {
    child.send('count')
    return (await once(child, 'message'))[0]
  }
  return { process: child, url: `http://127.0.0.1:${port}/`, counted }
}

function report(name, title, results, { rows, judged }) {
  const of = (one) => results.find((result) => result.name === one)
  const [stream, file, processed, webhook] = [STREAM, FILE, PROCESSED, WEBHOOK].map(of)
  const share = (one) => one && stream && median(ratios(one, stream, 'wall'))
  const seconds = webhook && median(webhook.rounds.map(({ wall }) => wall))
  const rss = (one) => one && Math.max(...one.rounds.map((round) => round.rss))
  const perSecond = webhook && [
    [WEBHOOK, fixed(rows / seconds, 0), fixed(rows / median(webhook.rounds.map(({ requests }) => requests)), 0)],
  ]
  return {
    name,
    title,
    results,
    text: [
      runsTable(results, stream),
      ...(perSecond ? [table(['', 'records/s, start included', 'records a request'], perSecond)] : []),
    ].join('\n\n'),
    bars: [
      bar(`${name}: wall of a file, to ${STREAM}`, share(file), FILE_LIMIT, 2, judged),
      bar(`${name}: with filter and mask`, share(processed), PROCESSED_LIMIT, 2, judged),
      bar(
        `${name}: webhook, s of ${rows.toLocaleString('en-US')} records`,
        seconds,
        rows / RECORDS_A_SECOND,
        1,
        judged,
      ),
      ...[file, processed, webhook]
        .filter(Boolean)
        .map((one) => bar(`${name}: ${one.name}, peak MB`, rss(one), RSS_LIMIT_MB, 0, judged)),
    ],
  }
}

export const pipelineSnapshot = snapshot
export const pipelineDrain = drain({
  name: 'pipeline-drain',
  share: 1,
  perTransaction: ROWS_PER_TRANSACTION,
  judged: true,
})
export const pipelineOneRow = drain({ name: 'pipeline-one-row', share: 0.2, perTransaction: 1, judged: true })
export const pipelineHuge = drain({
  name: 'pipeline-huge',
  share: 1,
  perTransaction: Number.POSITIVE_INFINITY,
  judged: true,
})
