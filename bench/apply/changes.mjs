import { copyFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { insertSql, makeTable } from '../dataset.mjs'
import { FULL_ROWS } from '../options.mjs'
import { psql } from '../programs.mjs'
import { interleave, measure, median, ratios } from '../rounds.mjs'
import { copySlot, dropSlot, settle, withClient } from '../server.mjs'
import { bar, runsTable } from '../table.mjs'
import { drawChanges, foldedFiles } from './drawnChanges.mjs'
import {
  dropAll,
  makeSource,
  makeTarget,
  numberOf,
  OURS,
  PSQL,
  pipeline,
  SLOT,
  SOURCE,
  scratch,
  settled,
  TARGET,
} from './pipeline.mjs'
import { measureWriter } from './writer.mjs'

const TABLE = 'bench'
const BASE = 'apply_base'
const BASE_SLOT = 'apply_base'
/** Over several connections, where `--apply-connections` says so. */
const PARTED = 'tailrace run, parted'
/** Without what reads: the server's decoding, and ours. */
const WRITER = 'our destination, of batches that were read before'
const PER_TRANSACTION = 100
const LIMIT = 1
const RSS_LIMIT_MB = 300
const ONE_ROW_TRANSACTIONS = 100_000
/** 5,000 transactions of one row a second. */
const ONE_ROW_SECONDS = 1

/**
 * A backlog of changes, by psql: COPY into a temporary table, INSERT … ON CONFLICT and DELETE USING, in as many batches as
 * the pipeline made of it; psql has its rows folded by key and written to files before. By our destination, which has read
 * them before, and folds them itself. And by the pipeline, which has the server decode all of it meanwhile.
 */
export async function applyChanges({ server, options }) {
  const distinct = options.rows / 5
  const backlog = await prepare(server, options.rows, distinct, PER_TRANSACTION)
  try {
    let batches = 0
    const parted = options.applyConnections > 1 && { name: PARTED }
    const contestants = [{ name: OURS }, parted, { name: WRITER }, psql && { name: PSQL }].filter(Boolean)
    const results = await interleave(contestants, options.rounds, OURS, async ({ name }) => {
      if (name === PSQL) return byPsql(server, backlog, batches)
      if (name === WRITER) return byWriter(server, backlog)
      const usage = await byPipeline(server, backlog, name === PARTED ? options.applyConnections : 1)
      if (name === OURS) batches = usage.batches
      return usage
    })
    return reportChanges(results, options, distinct)
  } finally {
    await drop(server)
  }
}

/** The same in transactions of one row each, by the pipeline alone. */
export async function applyOneRow({ server, options }) {
  const count = Math.min(ONE_ROW_TRANSACTIONS, options.rows)
  const backlog = await prepare(server, count, count / 5, 1)
  try {
    const results = await interleave([{ name: OURS }], options.rounds, OURS, () => byPipeline(server, backlog))
    const seconds = results[0].rounds.map(({ wall }) => (wall * 5000) / count)
    const judged = count >= ONE_ROW_TRANSACTIONS
    const perSecond = Math.round(count / median(results[0].rounds.map(({ wall }) => wall)))
    return {
      name: 'apply-one-row',
      title: `${count.toLocaleString('en-US')} transactions of one row that wait: ${perSecond.toLocaleString('en-US')} a second`,
      results,
      text: runsTable(results, undefined),
      bars: [bar('apply-one-row: s for 5,000 transactions', median(seconds), ONE_ROW_SECONDS, 2, judged)],
    }
  } finally {
    await drop(server)
  }
}

/** A first copy, kept as a template with its state, and a slot behind which the changes wait. */
async function prepare(server, count, distinct, perTransaction) {
  const changes = drawChanges(count, distinct)
  await makeSource(server, async (client) => {
    await makeTable(client, TABLE)
    await client.query(insertSql(TABLE, 1, distinct / 2))
    await client.query(`VACUUM (FREEZE, ANALYZE) ${TABLE}`)
  })
  await makeTarget(server, { fill: (client) => makeTable(client, TABLE) })
  const run = pipeline(server, { tables: [TABLE], until: 'current' })
  await measure(server, run)
  const state = join(scratch('base'), 'state')
  copyFileSync(run.state, state)
  await withClient(server, SOURCE, async (client) => {
    await copySlot(client, SLOT, BASE_SLOT)
    await write(client, changes, perTransaction)
    await settle(client)
  })
  await withClient(server, 'postgres', async (client) => {
    await client.query(`DROP DATABASE IF EXISTS ${BASE}`)
    await client.query(`ALTER DATABASE ${TARGET} RENAME TO ${BASE}`)
  })
  return { changes, state, final: await checksum(server, SOURCE) }
}

async function drop(server) {
  await withClient(server, SOURCE, (client) => dropSlot(client, BASE_SLOT))
  await withClient(server, 'postgres', (client) => client.query(`DROP DATABASE IF EXISTS ${BASE}`))
  await dropAll(server)
}

async function write(client, changes, perTransaction) {
  // Without WAL: that the server would decode, too, before the first change, and psql reads none.
  await client.query('CREATE UNLOGGED TABLE ops (n int4 PRIMARY KEY, op "char" NOT NULL, id int4 NOT NULL)')
  const ids = { n: [], op: [], id: [] }
  const flush = async () => {
    await client.query('INSERT INTO ops SELECT * FROM unnest($1::int4[], $2::text[]::"char"[], $3::int4[])', [
      ids.n,
      ids.op,
      ids.id,
    ])
    for (const list of Object.values(ids)) list.length = 0
  }
  for (const [n, { op, id }] of changes.entries()) {
    ids.n.push(n)
    ids.op.push(op)
    ids.id.push(id)
    if (ids.n.length === 50_000) await flush()
  }
  await flush()
  await client.query('SET synchronous_commit = off')
  await client.query(`DO $$ DECLARE o record; BEGIN
    FOR o IN SELECT n, op, id FROM ops ORDER BY n LOOP
      IF o.op = 'u' THEN UPDATE ${TABLE} SET amount = o.n, status = 'touched', note = 'Changed by no. ' || o.n || ', who was in a hurry' WHERE id = o.id;
      ELSIF o.op = 'i' THEN ${insertSql(TABLE, 'o.id', 'o.id')};
      ELSE DELETE FROM ${TABLE} WHERE id = o.id; END IF;
      IF o.n % ${perTransaction} = ${perTransaction - 1} THEN COMMIT; END IF;
    END LOOP;
  END $$`)
  await client.query('SET synchronous_commit = on')
  await client.query('CHECKPOINT')
}

async function byPipeline(server, { state, final }, connections = 1) {
  await makeTarget(server, { template: BASE })
  const sink = { apply_connections: connections }
  const command = pipeline(server, { tables: [TABLE], until: 'current', sink })
  copyFileSync(state, command.state)
  await copyBacklog(server)
  const before = await versionOf(server)
  await settled()
  const usage = await measure(server, command)
  if ((await checksum(server, TARGET)) !== final) throw new Error(`${OURS} has not applied the changes`)
  return { ...usage, batches: (await versionOf(server)) - before }
}

async function byWriter(server, { final }) {
  await makeTarget(server, { template: BASE })
  await copyBacklog(server)
  const usage = await measureWriter(server, {
    source: { url: server.url(SOURCE), tables: TABLE, slot: SLOT, existingSlot: 'resume' },
    destination: { url: server.url(TARGET), source: 'apply' },
  })
  if ((await checksum(server, TARGET)) !== final) throw new Error('our destination has not applied the changes')
  return usage
}

async function copyBacklog(server) {
  await withClient(server, SOURCE, async (client) => {
    await copySlot(client, BASE_SLOT, SLOT)
    await client.query(`CREATE PUBLICATION ${SLOT} FOR TABLE ${TABLE}`).catch(() => {})
  })
}

const versionOf = (server) => numberOf(server, TARGET, 'SELECT version FROM tailrace.checkpoint')

async function byPsql(server, { changes, final }, batches) {
  await makeTarget(server, { template: BASE })
  const folder = scratch('changes')
  const script = join(folder, 'apply.sql')
  const files = await withClient(server, SOURCE, (client) => foldedFiles(client, insertSql, changes, batches, folder))
  const columns = 'customer, status, amount, created, note, active, score'.split(', ')
  const lines = [
    `CREATE TEMP TABLE rows (LIKE ${TABLE}) ON COMMIT DELETE ROWS;`,
    'CREATE TEMP TABLE gone (id int8) ON COMMIT DELETE ROWS;',
  ]
  for (const { rows, gone } of files) {
    lines.push(
      'BEGIN;',
      `\\copy rows FROM '${rows}'`,
      `\\copy gone FROM '${gone}'`,
      `DELETE FROM ${TABLE} t USING gone g WHERE t.id = g.id;`,
      `INSERT INTO ${TABLE} SELECT * FROM rows ON CONFLICT (id) DO UPDATE SET ${columns.map((one) => `${one} = EXCLUDED.${one}`).join(', ')};`,
      'COMMIT;',
    )
  }
  writeFileSync(script, `${lines.join('\n')}\n`)
  await settled()
  const usage = await measure(server, {
    command: psql,
    args: ['-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', server.url(TARGET), '-f', script],
  })
  rmSync(folder, { recursive: true })
  if ((await checksum(server, TARGET)) !== final) throw new Error('psql has not applied the changes')
  return { ...usage, batches }
}

async function checksum(server, database) {
  return withClient(server, database, async (client) => {
    const { rows } = await client.query(
      `SELECT count(*) || ' ' || sum(hashtextextended(t::text, 0)) AS sum FROM ${TABLE} t`,
    )
    return rows[0].sum
  })
}

function reportChanges(results, options, distinct) {
  const [ours, writer, peer] = [OURS, WRITER, PSQL].map((one) => results.find(({ name }) => name === one))
  const shareOf = (one) => one && peer && median(ratios(one, peer, 'wall'))
  const judged = options.rows >= FULL_ROWS
  const { batches } = ours.rounds.at(-1)
  return {
    name: 'apply-changes',
    title: `${options.rows.toLocaleString('en-US')} changes of ${distinct.toLocaleString('en-US')} keys that wait (70 % updates, 20 % inserts, 10 % deletes; ${PER_TRANSACTION} a transaction), in ${batches} batches`,
    results,
    text: runsTable(results, peer),
    bars: [
      bar('apply-changes: wall of what writes, to psql with the same batches', shareOf(writer), LIMIT, 2, judged),
      bar('apply-changes: reading and decoding included', shareOf(ours), LIMIT, 2, judged),
      bar('apply-changes: peak MB', Math.max(...ours.rounds.map(({ rss }) => rss)), RSS_LIMIT_MB, 0, judged),
    ],
  }
}
