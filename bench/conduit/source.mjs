import { copyReader, PG_RECVLOGICAL, PSQL, slotReaders } from '../contestants.mjs'
import { load, makeTable } from '../dataset.mjs'
import { FULL_ROWS } from '../options.mjs'
import { interleave, measure, median, ratios } from '../rounds.mjs'
import { copySlot, createSlot, currentLsn, dropSlot, settle, withClient } from '../server.mjs'
import { bar, fixed, runsTable, table } from '../table.mjs'
import { buildHost, clientName, runClient, runHost } from './client.mjs'

const TABLE = 'bench'
const AVRO = 'our plugin, Avro, to a client that decodes nothing'
const SINGLE = 'the same, an ack message a record'
const NO_ACKS = 'the same, no acks'
const JSON_ROWS = 'the same, JSON without schemas'
const HOST = "through Conduit's protocol library (Go, decodes)"
const DRAIN_LIMIT = 0.85
const SNAPSHOT_LIMIT = 2
const ACK_LIMIT = 1.5
const RSS_LIMIT_MB = 200
/** Records of a message. */
const BATCH = '1000'

const BATCHES = { 'sdk.batch.size': BATCH, 'sdk.batch.delay': '100ms' }
const SCHEMAS = { 'logrepl.withAvroSchema': 'true' }
const NO_SCHEMAS = { 'logrepl.withAvroSchema': 'false', 'payload.format': 'json' }

/** A backlog of transactions of 1,000 rows, by our source and by pg_recvlogical. */
export async function conduitDrain({ server, options }) {
  const { rows } = options
  const host = buildHost()
  const results = await withClient(server, 'postgres', async (client) => {
    await makeTable(client, TABLE)
    await client.query(`CREATE PUBLICATION ${TABLE} FOR TABLE ${TABLE}`)
    await createSlot(client, 'base')
    try {
      await load(client, TABLE, rows, Math.min(1000, rows))
      await settle(client)
      const lsn = await currentLsn(client)
      const peer = slotReaders({ url: server.url(), publication: TABLE, table: TABLE, lsn, file: '/dev/null' }).find(
        ({ name }) => name === PG_RECVLOGICAL,
      )
      const ours = (slot, more) => ({
        ...{ url: server.url(), tables: TABLE, snapshotMode: 'never' },
        ...{ 'logrepl.slotName': slot, 'logrepl.publicationName': TABLE, ...BATCHES, ...SCHEMAS, ...more },
      })
      const contestants = contestantsOf({
        server,
        rows,
        host,
        ours,
        peer: peer && ((slot) => peer.prepare(slot)),
        name: PG_RECVLOGICAL,
      })
      return await interleave(contestants, options.rounds, AVRO, async ({ run }, round) => {
        const slot = `round_${round}`
        await copySlot(client, 'base', slot)
        try {
          return await run(slot)
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
  const judged = rows >= FULL_ROWS
  const cost = ackCost(results, rows)
  return report(
    'conduit-drain',
    'a backlog in transactions of 1,000 rows',
    results,
    PG_RECVLOGICAL,
    DRAIN_LIMIT,
    judged,
    [bar('conduit-drain: CPU s of the plugin for 1 M ack messages', cost, ACK_LIMIT, 2, judged)],
  )
}

/** All rows of a table, by our source and by psql's COPY. */
export async function conduitSnapshot({ server, options }) {
  const { rows } = options
  const host = buildHost()
  const results = await withClient(server, 'postgres', async (client) => {
    await makeTable(client, TABLE)
    try {
      await load(client, TABLE, rows, rows)
      await client.query(`VACUUM (FREEZE, ANALYZE) ${TABLE}`)
      await settle(client)
      const ours = (slot, more) => ({
        ...{ url: server.url(), tables: TABLE },
        ...{ 'logrepl.slotName': slot, 'logrepl.publicationName': slot, ...BATCHES, ...SCHEMAS, ...more },
      })
      const copy = copyReader(server.url(), TABLE)
      const contestants = contestantsOf({ server, rows, host, ours, peer: copy && (() => copy), name: PSQL })
      return await interleave(contestants, options.rounds, AVRO, async ({ run }, round) => {
        const slot = `round_${round}`
        try {
          return await run(slot)
        } finally {
          await dropSlot(client, slot)
          await client.query(`DROP PUBLICATION IF EXISTS ${slot}`)
        }
      })
    } finally {
      await client.query(`DROP TABLE ${TABLE}`)
    }
  })
  return report('conduit-snapshot', 'all rows of a table', results, PSQL, SNAPSHOT_LIMIT, rows >= FULL_ROWS, [])
}

function contestantsOf({ server, rows, host, ours, peer, name }) {
  const client = (acks, more) => (slot) =>
    runClient(server, 'source', { settings: ours(slot, more), records: rows, acks })
  return [
    { name: AVRO, run: client('batch') },
    peer && { name, run: (slot) => measure(server, peer(slot)) },
    { name: SINGLE, run: client('single') },
    { name: NO_ACKS, run: client('none') },
    { name: JSON_ROWS, run: client('batch', NO_SCHEMAS) },
    host && {
      name: HOST,
      run: (slot) => runHost(server, host, { source: ours(slot), decode: true, until: rows, storeEveryMs: 100 }),
    },
  ].filter(Boolean)
}

/** What an ack message of its own for each record costs the plugin, beside none. */
function ackCost(results, rows) {
  const cpu = (name) => median(results.find((one) => one.name === name).rounds.map(({ said }) => said.pluginCpu))
  return ((cpu(SINGLE) - cpu(NO_ACKS)) * 1e6) / rows
}

function report(name, title, results, peerName, limit, judged, more) {
  const [ours, peer] = [AVRO, peerName].map((one) => results.find((result) => result.name === one))
  const shares = ratios(ours, peer, 'wall')
  const sides = results
    .filter(({ rounds }) => rounds[0].said !== undefined)
    .map((result) => {
      const of = (figure) => median(result.rounds.map(({ said }) => figure(said)))
      return [
        result.name,
        fixed(
          of((said) => said.pluginCpu),
          2,
        ),
        fixed(
          of((said) => said.clientCpu ?? said.cpu),
          2,
        ),
        fixed(
          of((said) => said.records / said.seconds / 1000),
          0,
        ),
        fixed(Math.max(...result.rounds.map(({ said }) => said.pluginRss ?? said.pluginRssMB)), 0),
      ]
    })
  const rss = Math.max(
    ...results.flatMap(({ rounds }) => rounds.map(({ said }) => said?.pluginRss ?? said?.pluginRssMB ?? 0)),
  )
  return {
    name,
    title: `${ours.rounds[0].said.records.toLocaleString('en-US')} rows, ${title}; ${BATCH} records a message, ${clientName()}`,
    results,
    text: `${runsTable(results, peer)}\n\n${table(['', 'plugin CPU s', 'host CPU s', '1,000 records/s', 'plugin MB'], sides)}`,
    bars: [
      bar(`${name}: wall, to ${peerName}`, shares && median(shares), limit, 2, judged),
      bar(`${name}: peak MB of the plugin`, rss, RSS_LIMIT_MB, 0, judged),
      ...more,
    ],
  }
}
