import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  type Bench,
  type Check,
  databases,
  expect,
  expectEqual,
  FORMATS,
  newPipeline,
  SAME_TABLE,
  sourceSettings,
} from '../check.js'
import { ENGINES, type Engine } from '../goHost.js'

const SOURCE = 'CREATE TABLE prices (id int4 PRIMARY KEY, price int4); CREATE TABLE missing (id int4 PRIMARY KEY)'
const TARGET = 'CREATE TABLE prices (id int4 PRIMARY KEY, price int4 CHECK (price < 1000))'
const ROWS = 200
/** Of these the target takes none; the table `missing` it has not got. */
const BAD = [3, 4, 77, 200]

export const nacks: readonly Check[] = [
  ...ENGINES.map((engine) => ({
    name: `exactly the bad records are nacked, engine ${engine}: the good ones of the same batch are stored`,
    run: (bench: Bench) => run(bench, engine),
  })),
  {
    name: 'without dead letters the first nack ends the run with our text',
    async run(bench: Bench) {
      await using dbs = await databases(bench, `${SOURCE}; INSERT INTO prices VALUES (1, 5000)`, TARGET)
      const source = sourceSettings(dbs.from.url, 'prices', FORMATS.avro)
      await using pipeline = newPipeline(bench, { source, destination: { url: dbs.to.url, table: SAME_TABLE } })
      const failure = await pipeline.failure()
      expect(/nacked: /.test(failure) && failure.includes('23514'), `it failed with ${failure}`)
      return failure.slice(0, 160)
    },
  },
]

async function run(bench: Bench, engine: Engine): Promise<string> {
  await using dbs = await databases(bench, SOURCE, TARGET)
  const deadLetters = join(bench.folder, `${dbs.from.name}.letters`)
  const source = sourceSettings(dbs.from.url, 'prices,missing', { ...FORMATS.avro, 'sdk.batch.size': '50' })
  const destination = { url: dbs.to.url, table: SAME_TABLE }
  await using pipeline = newPipeline(bench, { engine, source, destination, deadLetters })
  const host = await pipeline.start()
  await dbs.from.query(`BEGIN;
    INSERT INTO prices SELECT n, CASE WHEN n IN (${BAD}) THEN 5000 ELSE n END FROM generate_series(1, ${ROWS}) n;
    INSERT INTO missing VALUES (1); COMMIT`)
  await host.hasAcked(ROWS + 1)
  const { nacked } = await host.stop()
  const letters = existsSync(deadLetters) ? readFileSync(deadLetters, 'utf8').trim().split('\n') : []
  const problems = letters.map((line) => (JSON.parse(line) as { problem: string }).problem)
  expectEqual(nacked, BAD.length + 1, `nacked records, with ${JSON.stringify(problems)}`)
  for (const [index, id] of BAD.entries()) {
    const text = problems[index]!
    for (const part of ['prices', '23514', String(id)]) expect(text.includes(part), `${part} is not in: ${text}`)
  }
  const last = problems.at(-1)!
  expect(last.includes('missing'), `the table is not named: ${last}`)
  const stored = await dbs.to.query('SELECT id FROM prices ORDER BY id')
  const good = Array.from({ length: ROWS }, (_, index) => index + 1).filter((id) => !BAD.includes(id))
  expectEqual(
    stored.map(({ id }) => id),
    good,
    'what is stored',
  )
  return `${nacked} of ${ROWS + 1}: ${problems[0]!.slice(0, 200)}`
}
