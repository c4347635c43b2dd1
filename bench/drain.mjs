import { PG_RECVLOGICAL, slotReaders, TAILRACE } from './contestants.mjs'
import { load, makeTable } from './dataset.mjs'
import { FULL_ROWS } from './options.mjs'
import { interleave, measure, median, ratios } from './rounds.mjs'
import { copySlot, createSlot, currentLsn, dropSlot, settle, withClient } from './server.mjs'
import { bar, runsTable } from './table.mjs'

const TABLE = 'bench'
const RSS_LIMIT_MB = 200

const thousands = new Intl.NumberFormat('en-US')

/**
 * A backlog in the WAL, read by everybody from the same place: each run has a copy of one slot. `share` of the rows
 * asked for, in transactions of `perTransaction`; the ratio to pg_recvlogical is to be at most `limit`.
 */
function drain({ name, share, perTransaction, limit }) {
  return async ({ server, options }) => {
    const rows = Math.round(options.rows * share)
    const size = Math.min(perTransaction, rows)
    const results = await withClient(server, 'postgres', async (client) => {
      await makeTable(client, TABLE)
      await client.query(`CREATE PUBLICATION ${TABLE} FOR TABLE ${TABLE}`)
      await createSlot(client, 'base')
      try {
        await load(client, TABLE, rows, size)
        await settle(client)
        return await drainAll(server, client, options.rounds)
      } finally {
        await dropSlot(client, 'base')
        await client.query(`DROP PUBLICATION ${TABLE}`)
        await client.query(`DROP TABLE ${TABLE}`)
      }
    })
    const [ours, peer] = [TAILRACE, PG_RECVLOGICAL].map((one) => results.find((result) => result.name === one))
    const judged = options.rows >= FULL_ROWS
    const shares = ratios(ours, peer, 'wall')
    const rss = Math.max(...ours.rounds.map((round) => round.rss))
    return {
      name,
      title: `${thousands.format(rows)} rows in transactions of ${thousands.format(size)}, to /dev/null`,
      results,
      text: runsTable(results, peer),
      bars: [
        ...(limit === undefined
          ? []
          : [bar(`${name}: wall, to ${PG_RECVLOGICAL}`, shares && median(shares), limit, 2, judged)]),
        bar(`${name}: peak MB`, rss, RSS_LIMIT_MB, 0, judged),
      ],
    }
  }
}

async function drainAll(server, client, rounds) {
  const lsn = await currentLsn(client)
  const readers = slotReaders({ url: server.url(), publication: TABLE, table: TABLE, lsn, file: '/dev/null' })
  return interleave(readers, rounds, TAILRACE, async ({ prepare }, round) => {
    const slot = `round_${round}`
    await copySlot(client, 'base', slot)
    try {
      return await measure(server, prepare(slot))
    } finally {
      await dropSlot(client, slot)
    }
  })
}

export const backlog = drain({ name: 'backlog', share: 1, perTransaction: 1000, limit: 0.65 })
export const oneRow = drain({ name: 'one-row', share: 0.2, perTransaction: 1, limit: 0.6 })
export const huge = drain({ name: 'huge', share: 2, perTransaction: Number.POSITIVE_INFINITY })
