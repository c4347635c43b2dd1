import { copyReader, PG_RECVLOGICAL, PSQL, slotReaders, tailrace } from '../contestants.mjs'
import { averageRowBytes, load, makeTable } from '../dataset.mjs'
import { FULL_ROWS } from '../options.mjs'
import { interleave, measure, median, ratios } from '../rounds.mjs'
import { copySlot, createSlot, currentLsn, dropSlot, settle, withClient } from '../server.mjs'
import { bar, runsTable } from '../table.mjs'
import { AIRBYTE, airbyte, catalogOf, configOf, stateAt } from './connector.mjs'

const TABLE = 'bench'
const REFRESH_LIMIT = 1.4
const DRAIN_LIMIT = 0.75
const RSS_LIMIT_MB = 200
const ROWS_PER_TRANSACTION = 1000
const STREAM = 'tailrace stream --snapshot only'

/** All rows of a table that lies in memory, to /dev/null; beside it the same build's own lines, as the connector reads them. */
export async function airbyteRefresh({ server, options }) {
  const url = server.url()
  const { results, rowBytes } = await withClient(server, 'postgres', async (client) => {
    await makeTable(client, TABLE)
    try {
      await load(client, TABLE, options.rows, options.rows)
      await client.query(`VACUUM (FREEZE, ANALYZE) ${TABLE}`)
      await settle(client)
      const config = configOf(server, TABLE, { tables: TABLE })
      const contestants = [
        airbyte(AIRBYTE, 'read', { config, catalog: catalogOf(config, 'full_refresh') }),
        copyReader(url, TABLE),
        tailrace(STREAM, ['stream', '--url', url, '--tables', TABLE, '--snapshot', 'only']),
      ].filter(Boolean)
      const measured = await interleave(contestants, options.rounds, AIRBYTE, (one) => measure(server, one))
      return { results: measured, rowBytes: await averageRowBytes(client, TABLE) }
    } finally {
      await client.query(`DROP TABLE ${TABLE}`)
    }
  })
  const title = `full refresh of ${options.rows.toLocaleString('en-US')} rows of ${rowBytes} bytes, to /dev/null`
  return judged('airbyte-refresh', title, results, PSQL, REFRESH_LIMIT, options)
}

/** A backlog in the WAL, each run from the same place: the state says where, and the slot is a copy of one. */
export async function airbyteDrain({ server, options }) {
  const results = await withClient(server, 'postgres', async (client) => {
    await makeTable(client, TABLE)
    await client.query(`CREATE PUBLICATION ${TABLE} FOR TABLE ${TABLE}`)
    await createSlot(client, 'base')
    try {
      const begin = await currentLsn(client)
      await load(client, TABLE, options.rows, ROWS_PER_TRANSACTION)
      await settle(client)
      const catalog = catalogOf(configOf(server, 'base', { tables: TABLE }), 'incremental')
      const lsn = await currentLsn(client)
      const readers = slotReaders({ url: server.url(), publication: TABLE, table: TABLE, lsn, file: '/dev/null' })
      const contestants = [
        {
          name: AIRBYTE,
          prepare: (slot) =>
            airbyte(AIRBYTE, 'read', { config: configOf(server, slot), catalog, state: stateAt(begin, [TABLE]) }),
        },
        ...readers.filter(({ name }) => name === PG_RECVLOGICAL || name === 'tailrace'),
      ]
      return await interleave(contestants, options.rounds, AIRBYTE, async ({ prepare }, round) => {
        const slot = `round_${round}`
        await copySlot(client, 'base', slot)
        try {
          return await measure(server, prepare(slot))
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
  const title = `${options.rows.toLocaleString('en-US')} rows in transactions of ${ROWS_PER_TRANSACTION}, to /dev/null`
  return judged('airbyte-drain', title, results, PG_RECVLOGICAL, DRAIN_LIMIT, options)
}

function judged(name, title, results, peerName, limit, options) {
  const [ours, peer] = [AIRBYTE, peerName].map((one) => results.find((result) => result.name === one))
  const full = options.rows >= FULL_ROWS
  const shares = ratios(ours, peer, 'wall')
  return {
    name,
    title,
    results,
    text: runsTable(results, peer),
    bars: [
      bar(`${name}: wall, to ${peerName}`, shares && median(shares), limit, 2, full),
      bar(`${name}: peak MB`, Math.max(...ours.rounds.map(({ rss }) => rss)), RSS_LIMIT_MB, 0, full),
    ],
  }
}
