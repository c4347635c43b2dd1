import { statSync } from 'node:fs'
import { join } from 'node:path'
import { load, makeTable } from '../dataset.mjs'
import { FULL_ROWS } from '../options.mjs'
import { psql } from '../programs.mjs'
import { interleave, measure, median, ratios } from '../rounds.mjs'
import { startServer } from '../server.mjs'
import { bar, runsTable } from '../table.mjs'
import {
  dropAll,
  makeSource,
  makeTarget,
  numberOf,
  OURS,
  PSQL,
  pipeline,
  SOURCE,
  scratch,
  TARGET,
} from './pipeline.mjs'

const TABLE = 'bench'
const MADE = `${OURS}, auto_create`
/** Settings of the pipelines. */
const OF = {
  [OURS]: { name: OURS, tables: [TABLE], until: 'current' },
  [MADE]: { name: MADE, tables: [TABLE], until: 'current', sink: { auto_create: true } },
}
/** At least 0.8 times as fast. */
const LIMIT = 1.25
const RSS_LIMIT_MB = 300

/**
 * A first copy into an empty keyed table, by the pipeline and from a file by psql; and by a pipeline that makes the table. The source is a server of its own, as
 * it mostly is: else its walsender would go over the WAL of the target's rows.
 */
export async function applyCopy({ server: target, options }) {
  const source = await startServer(options.major)
  try {
    return await copy({ url: (database) => target.url(database), pid: target.pid, source }, options)
  } finally {
    await source[Symbol.asyncDispose]()
  }
}

async function copy(server, options) {
  const file = join(scratch('files'), 'rows.copy')
  await makeSource(server, async (client) => {
    await makeTable(client, TABLE)
    await load(client, TABLE, options.rows, options.rows)
    await client.query(`VACUUM (FREEZE, ANALYZE) ${TABLE}`)
  })
  const contestants = [
    ...Object.values(OF).map((settings) => pipeline(server, settings)),
    psql && {
      name: PSQL,
      command: psql,
      args: ['-X', '-q', '-d', server.url(TARGET), '-c', `\\copy ${TABLE} FROM '${file}'`],
    },
  ].filter(Boolean)
  try {
    await writeRows(server, file)
    const results = await interleave(contestants, options.rounds, OURS, async ({ name, ...command }) => {
      await makeTarget(server, {
        fill: async (client) => {
          if (name !== MADE) await makeTable(client, TABLE)
          await client.query('CHECKPOINT')
        },
      })
      if (name in OF) pipeline(server, OF[name])
      const usage = await measure(server, command)
      const rows = await numberOf(server, TARGET, `SELECT count(*) FROM ${TABLE}`)
      if (rows !== options.rows) throw new Error(`${name} has copied ${rows} rows`)
      const keys = await numberOf(
        server,
        TARGET,
        `SELECT count(*) FROM pg_index WHERE indrelid = '${TABLE}'::regclass AND indisprimary`,
      )
      if (keys !== 1) throw new Error(`${name} has left the table without its key`)
      return usage
    })
    return report(results, options, statSync(file).size)
  } finally {
    await dropAll(server)
  }
}

async function writeRows(server, file) {
  if (psql === undefined) return
  await measure(server, {
    command: psql,
    args: ['-X', '-q', '-d', server.source.url(SOURCE), '-c', `\\copy ${TABLE} TO '${file}'`],
  })
}

function report(results, options, bytes) {
  const [ours, made, peer] = [OURS, MADE, PSQL].map((one) => results.find(({ name }) => name === one))
  const shares = ratios(ours, peer, 'wall')
  const madeShares = made && ratios(made, peer, 'wall')
  const judged = options.rows >= FULL_ROWS
  return {
    name: 'apply-copy',
    title: `${options.rows.toLocaleString('en-US')} rows (${Math.round(bytes / 1e6)} MB) into an empty table with a key`,
    results,
    text: runsTable(results, peer),
    bars: [
      bar('apply-copy: wall, to psql \\copy from a file', shares && median(shares), LIMIT, 2, judged),
      bar('apply-copy: the same, of a table it makes', madeShares && median(madeShares), LIMIT, 2, judged),
      bar('apply-copy: peak MB', Math.max(...ours.rounds.map(({ rss }) => rss)), RSS_LIMIT_MB, 0, judged),
    ],
  }
}
