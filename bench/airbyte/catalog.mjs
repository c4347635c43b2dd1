import { load, makeTable } from '../dataset.mjs'
import { FULL_ROWS } from '../options.mjs'
import { interleave, measure, median } from '../rounds.mjs'
import { currentLsn, dropSlot, settle, withClient } from '../server.mjs'
import { bar, runsTable } from '../table.mjs'
import { airbyte, catalogOf, configOf, messagesOf } from './connector.mjs'

const STREAMS = 1000
const TABLES = 2000
const DISCOVER_SECONDS = 3
const IDLE_SECONDS = 3
const RSS_LIMIT_MB = 200
const SLOT = 'bench'
const BUSY = 'busy'

const DISCOVER = `discover, ${TABLES} tables`
const REFRESH = `full refresh, ${STREAMS} streams`
const DRAIN = `backlog, ${STREAMS} streams`
const IDLE = `idle, ${STREAMS} streams`

/** Many tables in a database of their own: `discover`; and with half of them as streams, one of which has rows, `read`. */
export async function airbyteCatalog({ server, options }) {
  const database = 'airbyte_catalog'
  const url = server.url(database)
  await withClient(server, 'postgres', (client) => client.query(`CREATE DATABASE ${database}`))
  try {
    return await withClient(server, database, async (client) => {
      await makeTables(client, 1, TABLES)
      await settle(client)
      const config = { ...configOf(server, SLOT), connectionURI: url }
      const discover = airbyte(DISCOVER, 'discover', { config })
      const results = await interleave([discover], options.rounds, DISCOVER, (one) => measure(server, one))
      await dropTables(client, STREAMS, TABLES)
      await makeTable(client, BUSY)
      await settle(client)
      try {
        results.push(...(await readAll(server, client, config, options)))
      } finally {
        await dropSlot(client, SLOT)
      }
      return described(results, options)
    })
  } finally {
    await withClient(server, 'postgres', (client) => client.query(`DROP DATABASE ${database}`))
  }
}

async function readAll(server, client, config, options) {
  const whole = catalogOf(config, 'full_refresh')
  const changes = catalogOf(config, 'incremental')
  if (whole.streams.length !== STREAMS) throw new Error(`${whole.streams.length} streams`)
  const stateBehind = (state) => {
    const messages = messagesOf('read', { config, catalog: changes, state })
    return [messages.findLast(({ type }) => type === 'STATE').state]
  }
  const measured = (contestants) => {
    return interleave(contestants, options.rounds, contestants[0].name, (one) => measure(server, one))
  }
  // Behind the first load there is one more run: what was read is judged until the stream has passed it.
  const state = stateBehind(stateBehind([]))
  const results = await measured([airbyte(IDLE, 'read', { config, catalog: changes, state })])
  // Something was written that nobody captures: the state moves to where the WAL was.
  await client.query(`SELECT pg_logical_emit_message(true, 'bench', 'x')`)
  const now = await currentLsn(client)
  const moved = stateBehind(state)
  const { lsn } = moved[0].global.shared_state
  const { rows } = await client.query('SELECT $1::pg_lsn >= $2::pg_lsn AS moved', [lsn, now])
  if (!rows[0].moved) throw new Error(`the state of an idle run is at ${lsn}, the WAL was at ${now}`)

  await load(client, BUSY, options.rows, 1000)
  await client.query(`VACUUM (FREEZE, ANALYZE) ${BUSY}`)
  await settle(client)
  results.push(
    ...(await measured([
      airbyte(REFRESH, 'read', { config, catalog: whole }),
      // Nothing is confirmed beyond the state that a run is given: each round reads all of it.
      airbyte(DRAIN, 'read', { config, catalog: changes, state: moved }),
    ])),
  )
  return results
}

function described(results, options) {
  const judged = options.rows >= FULL_ROWS
  const of = (name) => results.find((result) => result.name === name).rounds
  const wall = (name) => median(of(name).map((round) => round.wall))
  const most = Math.max(...results.flatMap(({ rounds }) => rounds.map(({ rss }) => rss)))
  return {
    name: 'airbyte-catalog',
    title: `many tables; one of them with ${options.rows.toLocaleString('en-US')} rows`,
    results,
    text: runsTable(results, undefined),
    bars: [
      bar(`airbyte-catalog: discover of ${TABLES} tables, s`, wall(DISCOVER), DISCOVER_SECONDS, 2),
      bar(`airbyte-catalog: idle with ${STREAMS} streams, s`, wall(IDLE), IDLE_SECONDS, 2),
      bar('airbyte-catalog: peak MB', most, RSS_LIMIT_MB, 0, judged),
    ],
  }
}

async function makeTables(client, from, to) {
  await client.query(`DO $$ BEGIN
    FOR i IN ${from}..${to} LOOP
      EXECUTE format('CREATE TABLE t%s (id int8 PRIMARY KEY, name text NOT NULL, at timestamptz, amount numeric, note text)', i);
      IF i % 100 = 0 THEN COMMIT; END IF;
    END LOOP;
  END $$`)
}

async function dropTables(client, from, to) {
  await client.query(`DO $$ BEGIN
    FOR i IN ${from}..${to} LOOP
      EXECUTE format('DROP TABLE t%s', i);
      IF i % 100 = 0 THEN COMMIT; END IF;
    END LOOP;
  END $$`)
}
