import { dropAll, makeSource, makeTarget, numberOf, OURS, pipeline, SLOT, SOURCE, TARGET } from '../apply/pipeline.mjs'
import { load, makeTable } from '../dataset.mjs'
import { FULL_ROWS } from '../options.mjs'
import { interleave, measure, median, ratios } from '../rounds.mjs'
import { copySlot, dropSlot, settle, withClient } from '../server.mjs'
import { bar, fixed, runsTable, table } from '../table.mjs'
import { clientName, runClient, scratch } from './client.mjs'

const TABLE = 'bench'
const BASE_SLOT = 'conduit_base'
/** Made before the rows, and not made anew with each target. */
const PUBLICATION = 'conduit_bench'
const WAITING = 'our destination through gRPC, Avro, a message after the other'
const AHEAD = 'the same, the next message is sent before'
/** At least 0.7 times as fast. */
const LIMIT = 1 / 0.7
const RSS_LIMIT_MB = 200
const MESSAGES_AHEAD = 4

/**
 * Inserts that wait in a slot: by `tailrace run`, the library's own reader and writer in one process; and what our source
 * sends of them, recorded before, by our destination.
 */
export async function conduitApply({ server, options }) {
  const rows = Math.max(1, Math.round(options.rows / 2))
  const recorded = scratch('records')
  try {
    await makeSource(server, async (client) => {
      await makeTable(client, TABLE)
      await client.query(`CREATE PUBLICATION ${PUBLICATION} FOR TABLE ${TABLE}`)
      await client.query(`SELECT pg_create_logical_replication_slot('${BASE_SLOT}', 'pgoutput')`)
      await load(client, TABLE, rows, Math.min(1000, rows))
      await settle(client)
    })
    const schemas = await record(server, rows, recorded)
    const contestants = [
      { name: WAITING, run: () => byPlugin(server, { rows, recorded, schemas, ahead: 1 }) },
      { name: OURS, run: () => byPipeline(server) },
      { name: AHEAD, run: () => byPlugin(server, { rows, recorded, schemas, ahead: MESSAGES_AHEAD }) },
    ]
    const results = await interleave(contestants, options.rounds, WAITING, async ({ name, run }) => {
      await makeTarget(server, { fill: (client) => makeTable(client, TABLE) })
      const usage = await run()
      const written = await numberOf(server, TARGET, `SELECT count(*) FROM ${TABLE}`)
      if (written !== rows) throw new Error(`${name} has written ${written} rows, not ${rows}`)
      return usage
    })
    return report(results, rows, options.rows >= FULL_ROWS)
  } finally {
    await withClient(server, SOURCE, (client) => dropSlot(client, BASE_SLOT))
    await dropAll(server)
  }
}

/** What our source sends of them, kept in a file; gives the schemas. */
async function record(server, records, file) {
  const slot = 'conduit_record'
  await withClient(server, SOURCE, (client) => copySlot(client, BASE_SLOT, slot))
  const settings = {
    ...{ url: server.url(SOURCE), tables: TABLE, snapshotMode: 'never', 'logrepl.withAvroSchema': 'true' },
    ...{ 'logrepl.slotName': slot, 'logrepl.publicationName': PUBLICATION },
    ...{ 'sdk.batch.size': '10000', 'sdk.batch.delay': '1s' },
  }
  try {
    const { said } = await runClient(server, 'source', { settings, records, acks: 'batch', record: file })
    return said.schemas
  } finally {
    await withClient(server, SOURCE, (client) => dropSlot(client, slot))
  }
}

function byPlugin(server, { rows, recorded, schemas, ahead }) {
  const settings = { url: server.url(TARGET) }
  return runClient(server, 'destination', { settings, records: rows, recorded, schemas, ahead })
}

async function byPipeline(server) {
  const command = pipeline(server, {
    tables: [TABLE],
    until: 'current',
    more: [`publication: ${PUBLICATION}`, 'snapshot: never', 'existing_slot: resume'],
  })
  await withClient(server, SOURCE, (client) => copySlot(client, BASE_SLOT, SLOT))
  return measure(server, command)
}

function report(results, rows, judged) {
  const [waiting, peer] = [WAITING, OURS].map((one) => results.find(({ name }) => name === one))
  const shares = ratios(waiting, peer, 'wall')
  const plugins = results.filter(({ rounds }) => rounds[0].said !== undefined)
  const of = (result, figure) => median(result.rounds.map(({ said }) => figure(said)))
  const sides = plugins.map((result) => [
    result.name,
    fixed(
      of(result, (said) => said.pluginCpu),
      2,
    ),
    fixed(
      of(result, (said) => said.clientCpu),
      2,
    ),
    fixed(
      of(result, (said) => said.records / said.seconds / 1000),
      0,
    ),
    fixed(Math.max(...result.rounds.map(({ said }) => said.pluginRss)), 0),
  ])
  const rss = Math.max(...plugins.flatMap(({ rounds }) => rounds.map(({ said }) => said.pluginRss)))
  return {
    name: 'conduit-apply',
    title: `${rows.toLocaleString('en-US')} inserts in transactions of 1,000, into a table with a key; ${clientName()}`,
    results,
    text: `${runsTable(results, peer)}\n\n${table(['', 'plugin CPU s', 'host CPU s', '1,000 records/s', 'plugin MB'], sides)}`,
    bars: [
      bar(`conduit-apply: wall, to ${OURS}`, shares && median(shares), Number(LIMIT.toFixed(2)), 2, judged),
      bar('conduit-apply: peak MB of the plugin', rss, RSS_LIMIT_MB, 0, judged),
    ],
  }
}
