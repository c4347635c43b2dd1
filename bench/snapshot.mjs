import { copyReader, PSQL, TAILRACE, tailrace } from './contestants.mjs'
import { averageRowBytes, load, makeTable } from './dataset.mjs'
import { FULL_ROWS } from './options.mjs'
import { interleave, measure, median, ratios } from './rounds.mjs'
import { settle, withClient } from './server.mjs'
import { bar, runsTable } from './table.mjs'

const TABLE = 'bench'
const LIMIT = 1.2
const RSS_LIMIT_MB = 200
const TWO_WORKERS = 'tailrace, two connections'

/** All rows of a table that lies in memory, on one connection as psql has it; and on two, our default, beside it. */
export async function snapshot({ server, options }) {
  const url = server.url()
  const arguments_ = ['stream', '--url', url, '--tables', TABLE, '--snapshot', 'only', '--snapshot-workers']
  const contestants = [
    tailrace(TAILRACE, [...arguments_, '1']),
    copyReader(url, TABLE),
    tailrace(TWO_WORKERS, [...arguments_, '2']),
  ].filter(Boolean)
  const { results, rowBytes } = await withClient(server, 'postgres', async (client) => {
    await makeTable(client, TABLE)
    try {
      await load(client, TABLE, options.rows, options.rows)
      // The first reader would otherwise set hint bits for all that follow.
      await client.query(`VACUUM (FREEZE, ANALYZE) ${TABLE}`)
      await settle(client)
      const measured = await interleave(contestants, options.rounds, TAILRACE, (contestant) =>
        measure(server, contestant),
      )
      return { results: measured, rowBytes: await averageRowBytes(client, TABLE) }
    } finally {
      await client.query(`DROP TABLE ${TABLE}`)
    }
  })
  const [ours, peer] = [TAILRACE, PSQL].map((one) => results.find((result) => result.name === one))
  const judged = options.rows >= FULL_ROWS
  const shares = ratios(ours, peer, 'wall')
  return {
    name: 'snapshot',
    title: `${options.rows.toLocaleString('en-US')} rows of ${rowBytes} bytes, to /dev/null`,
    results,
    text: runsTable(results, peer),
    bars: [
      bar(`snapshot: wall, to ${PSQL}`, shares && median(shares), LIMIT, 2, judged),
      bar('snapshot: peak MB', Math.max(...ours.rounds.map((round) => round.rss)), RSS_LIMIT_MB, 0, judged),
    ],
  }
}
