import { TAILRACE, tailrace } from './contestants.mjs'
import { insertSql, makeTable } from './dataset.mjs'
import { measure } from './rounds.mjs'
import { createSlot, dropSlot, settle, withClient } from './server.mjs'
import { bar, fixed, table } from './table.mjs'

const LIMIT_MB = 200
const ROW_MB = 100
const TABLES = 1000
const ROWS_A_TABLE = 100
const DATABASE = 'many'

/** Text of one block of a big row: nothing to escape; or lines with quotes, as documents have them. */
const BLOCKS = {
  plain: `md5(i::text)`,
  lines: `'"' || substr(md5(i::text), 1, 29) || '"' || chr(10)`,
}
const BLOCK_BYTES = 32

/** Peak memory where a row, or the number of tables, could drive it; a huge transaction is a bench of its own. */
export async function memory({ server, options }) {
  const rowMb = options.quick ? ROW_MB / 10 : ROW_MB
  const tables = options.quick ? TABLES / 10 : TABLES
  const results = []
  for (const kind of Object.keys(BLOCKS)) results.push(...(await bigRow(server, kind, rowMb)))
  results.push(...(await manyTables(server, tables)))
  const rows = results.map(({ name, rounds: [one], limit }) => [
    name,
    fixed(one.rss, 0),
    limit,
    fixed(one.wall, 2),
    fixed(one.cpu, 2),
    fixed(one.server, 2),
  ])
  return {
    name: 'memory',
    title: `${TAILRACE}, a row of ${rowMb} MB, ${tables} tables, to /dev/null`,
    results,
    text: table(['', 'peak MB', 'at most', 'wall s', 'client CPU s', 'server CPU s'], rows),
    bars: results.map(({ name, rounds: [one], limit }) => bar(`${name}: peak MB`, one.rss, limit, 0, !options.quick)),
  }
}

/** The same row from the snapshot and from the stream. Bound by the row: it is held once. */
async function bigRow(server, kind, rowMb) {
  const name = 'big'
  const blocks = Math.round((rowMb * 1e6) / BLOCK_BYTES)
  const limit = LIMIT_MB + rowMb
  const common = ['stream', '--url', server.url(), '--tables', name]
  return withClient(server, 'postgres', async (client) => {
    await makeTable(client, name)
    await client.query(`ALTER TABLE ${name} ALTER COLUMN note SET STORAGE EXTERNAL`)
    await client.query(`CREATE PUBLICATION ${name} FOR TABLE ${name}`)
    await createSlot(client, name)
    try {
      const note = `(SELECT string_agg(${BLOCKS[kind]}, '') FROM generate_series(1, ${blocks}) i)`
      await client.query(insertSql(name, 1, 1, note))
      await settle(client)
      const snapshot = tailrace(`row of ${rowMb} MB (${kind}), snapshot`, [...common, '--snapshot', 'only'])
      const stream = tailrace(`row of ${rowMb} MB (${kind}), stream`, [...common, ...resumed(name, name)])
      return await measureAll(server, [snapshot, stream], limit)
    } finally {
      await dropSlot(client, name)
      await client.query(`DROP PUBLICATION ${name}`)
      await client.query(`DROP TABLE ${name}`)
    }
  })
}

/** A snapshot of them all, and then the stream of a transaction that writes to all. */
async function manyTables(server, count) {
  const slot = DATABASE
  const common = ['stream', '--url', server.url(DATABASE), '--tables', '*', ...resumed(slot, DATABASE)]
  return withClient(server, 'postgres', async (admin) => {
    await admin.query(`CREATE DATABASE ${DATABASE}`)
    try {
      return await withClient(server, DATABASE, async (client) => {
        await makeTable(client, 'model')
        await client.query(insertSql('model', 1, ROWS_A_TABLE))
        await client.query(`DO $$ BEGIN
          FOR number IN 1..${count - 1} LOOP
            EXECUTE format('CREATE TABLE table_%s (LIKE model INCLUDING ALL)', number);
            EXECUTE format('INSERT INTO table_%s SELECT * FROM model', number);
            COMMIT; -- each takes a few locks
          END LOOP;
        END $$`)
        const snapshot = tailrace(`${count} tables, snapshot`, common)
        const stream = tailrace(`${count} tables, stream`, common)
        const first = await measureAll(server, [snapshot], LIMIT_MB)
        await client.query(`DO $$ BEGIN
          FOR number IN 1..${count - 1} LOOP
            EXECUTE format('UPDATE table_%s SET note = ''again''', number);
          END LOOP;
        END $$`)
        const second = await measureAll(server, [stream], LIMIT_MB)
        await dropSlot(client, slot)
        return [...first, ...second]
      })
    } finally {
      await admin.query(`DROP DATABASE ${DATABASE}`)
    }
  })
}

async function measureAll(server, commands, limit) {
  const results = []
  for (const command of commands) {
    process.stderr.write(`  ${command.name}\n`)
    results.push({ name: command.name, rounds: [await measure(server, command)], limit })
  }
  return results
}

function resumed(slot, publication) {
  return ['--slot', slot, '--publication', publication, '--until', 'current']
}
