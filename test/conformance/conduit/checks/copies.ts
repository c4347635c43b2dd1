import {
  type Bench,
  type Check,
  databases,
  expectEqual,
  FORMATS,
  type Format,
  newPipeline,
  SAME_TABLE,
  sourceSettings,
  verifyEqual,
} from '../check.js'
import { ENGINES, type Engine } from '../goHost.js'
import { changesSql, KEYED_TABLES, keyedSql, rowsSql } from './tables.js'

const ROWS = 500
const ROUNDS = 5

/** Both connectors ours: what is in one database is in the other. */
export const copies: readonly Check[] = (Object.keys(FORMATS) as Format[]).flatMap((format) =>
  ENGINES.map((engine) => ({
    name: `ours to ours, ${format}, engine ${engine}: two databases equal (tailrace verify)`,
    run: (bench: Bench) => run(bench, format, engine),
  })),
)

async function run(bench: Bench, format: Format, engine: Engine): Promise<string> {
  await using dbs = await databases(bench, `${keyedSql(3)} ${rowsSql(1, ROWS)}`, keyedSql(4))
  const source = sourceSettings(dbs.from.url, KEYED_TABLES, { ...FORMATS[format], 'sdk.batch.size': '100' })
  const destination = { url: dbs.to.url, table: SAME_TABLE }
  await using pipeline = newPipeline(bench, { engine, source, destination })
  const host = await pipeline.start()
  for (let round = 0; round < ROUNDS; round++) await dbs.from.query(changesSql(round, ROWS))
  // Behind all rows: else they could be read after it.
  await host.hasAcked(KEYED_TABLES.split(',').length * ROWS)
  await dbs.from.query("INSERT INTO countries VALUES ('end', 'end')")
  const came = async () => (await dbs.to.query("SELECT FROM countries WHERE code = 'end'")).length > 0
  await host.until(came, 'the last row at the target')
  const { records, nacked } = await host.stop()
  expectEqual(nacked, 0, 'nacked records')
  await verifyEqual(dbs.from.url, dbs.to.url, KEYED_TABLES)
  // That it would tell.
  await dbs.to.query("UPDATE countries SET name = 'other' WHERE code = 'end'")
  const unseen = await verifyEqual(dbs.from.url, dbs.to.url, KEYED_TABLES).then(
    () => true,
    () => false,
  )
  expectEqual(unseen, false, 'that an altered row is not seen')
  return `${records} records`
}
