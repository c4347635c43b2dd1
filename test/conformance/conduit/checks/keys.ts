import { join } from 'node:path'
import {
  type Bench,
  type Check,
  databases,
  expect,
  expectEqual,
  FORMATS,
  type Format,
  type Line,
  newPipeline,
  readLines,
  sourceSettings,
} from '../check.js'
import { KEYED_TABLES, keyedSql, rowsSql } from './tables.js'

const ROWS = 20
const TABLES = KEYED_TABLES.split(',').map((name) => (name.includes('.') ? name : `public.${name}`))

/** Composite, uuid and text keys, two schemas, a partitioned table: what is read of each is all, by its own key. */
export const keys: readonly Check[] = (['avro', 'structured'] as const).map((format) => ({
  name: `composite, uuid and text keys, tables of two schemas, a partitioned table: to NDJSON, ${format}`,
  run: (bench: Bench) => run(bench, format),
}))

async function run(bench: Bench, format: Format): Promise<string> {
  await using dbs = await databases(bench, `${keyedSql(3)} ${rowsSql(1, ROWS)}`)
  const output = join(bench.folder, `${dbs.from.name}.ndjson`)
  const source = sourceSettings(dbs.from.url, KEYED_TABLES, FORMATS[format])
  await using pipeline = newPipeline(bench, { engine: 'v2', source, output })
  const host = await pipeline.start()
  await host.hasAcked(TABLES.length * ROWS)
  await dbs.from.query(rowsSql(ROWS + 1, 2 * ROWS))
  await dbs.from.query(`UPDATE lines SET line = 'moved' WHERE (order_no, line) = (2, 'line 0');
    DELETE FROM devices WHERE id = md5('1')::uuid; UPDATE countries SET name = 'x' WHERE code = 'c''1\\';
    UPDATE measured SET value = 0 WHERE id = 1`)
  await host.hasAcked(2 * TABLES.length * ROWS + 4)
  const { schemasCreated } = await host.stop()
  const lines = readLines(output)
  for (const table of TABLES) {
    const of = lines.filter((line) => tableOf(line) === table)
    const inserted = of.filter(({ operation }) => operation === 'snapshot' || operation === 'create')
    expectEqual(inserted.length, 2 * ROWS, `rows of ${table}`)
    const distinct = new Set(inserted.map(({ key }) => JSON.stringify(key)))
    expectEqual(distinct.size, 2 * ROWS, `keys of ${table}`)
  }
  const keyOf = (operation: string, table: string) =>
    lines.find((line) => line.operation === operation && tableOf(line) === table)?.key
  const number = (value: string) => [format === 'avro' ? 'long' : 'double', value]
  expectEqual(keyOf('update', 'public.lines'), { line: ['string', 'moved'], order_no: number('2') }, 'a composite key')
  const moved = lines.find(
    ({ operation, metadata }) => operation === 'update' && metadata['opencdc.collection'] === 'lines',
  )
  const { line, order_no } = moved!.before as Record<string, unknown>
  expectEqual([line, order_no], [['string', 'line 0'], number('2')], 'the old key of a changed one')
  expectEqual(keyOf('delete', 'public.devices'), { id: ['string', 'c4ca4238-a0b9-2382-0dcc-509a6f75849b'] }, 'a uuid')
  expectEqual(keyOf('update', 'public.countries'), { code: ['string', "c'1\\"] }, 'a text')
  expectEqual(keyOf('update', 'public.measured'), { id: number('1') }, 'the key of a row in a partition')
  if (format === 'avro') expect(schemasCreated <= 2 * TABLES.length + 4, `${schemasCreated} schemas were made`)
  return `${lines.length} records of ${TABLES.length} tables${format === 'avro' ? `, ${schemasCreated} calls of CreateSchema` : ''}`
}

function tableOf({ metadata }: Line): string {
  return `${metadata['postgres.schema']}.${metadata['opencdc.collection']}`
}
