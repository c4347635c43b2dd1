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
import { ENGINES, type Engine } from '../goHost.js'

const SQL = `CREATE TABLE orders (id int4 PRIMARY KEY, note text); ALTER TABLE orders REPLICA IDENTITY FULL;
  INSERT INTO orders VALUES (1, 'one'), (2, NULL)`

/** Snapshot, create, update with before, delete: in both engines, with schemas and without. */
export const records: readonly Check[] = (Object.keys(FORMATS) as Format[]).flatMap((format) =>
  ENGINES.map((engine) => ({
    name: `source to NDJSON, ${format}, engine ${engine}: snapshot, create, update with before, delete`,
    run: (bench: Bench) => run(bench, format, engine),
  })),
)

async function run(bench: Bench, format: Format, engine: Engine): Promise<string> {
  await using dbs = await databases(bench, SQL)
  const output = join(bench.folder, `${dbs.from.name}.ndjson`)
  const source = sourceSettings(dbs.from.url, 'orders', FORMATS[format])
  await using pipeline = newPipeline(bench, { engine, source, output })
  const first = await pipeline.start()
  await first.hasAcked(2)
  await dbs.from.query(`INSERT INTO orders VALUES (3, 'three'); UPDATE orders SET note = 'ONE' WHERE id = 1;
    UPDATE orders SET note = NULL WHERE id = 3; DELETE FROM orders WHERE id = 2`)
  await first.hasAcked(6)
  const stopped = await first.stop()
  if (engine === 'v1') expectEqual(stopped.stop, stopped.last, 'what Stop answered')
  expect(stopped.endSeconds < 1.5, `the plugin took ${stopped.endSeconds} s to end`)
  const lines = readLines(output)
  const row = (id: number, note: string | null) => shown(format, { id, note })
  const wanted = [
    ['snapshot', null, row(1, 'one')],
    ['snapshot', null, row(2, null)],
    ['create', null, row(3, 'three')],
    ['update', row(1, 'one'), row(1, 'ONE')],
    ['update', row(3, 'three'), row(3, null)],
    ['delete', row(2, null), null],
  ]
  expectEqual(
    lines.map(({ operation, before, after }) => [operation, before, after]),
    wanted,
    'what came',
  )
  const keys = [1, 2, 3, 1, 3, 2].map((id) => shown(format, { id }))
  expectEqual(
    lines.map(({ key }) => key),
    keys,
    'the keys',
  )
  for (const line of lines) checkMetadata(line, format)
  return `${lines.length} records`
}

/** As host/values.go shows what conduit-commons makes of it. */
function shown(format: Format, row: { id: number; note?: string | null }): unknown {
  if (format === 'json') return { raw: JSON.stringify(row) }
  const id = format === 'avro' ? ['int', String(row.id)] : ['double', String(row.id)]
  if (row.note === undefined) return { id }
  return { id, note: row.note === null ? null : ['string', row.note] }
}

function checkMetadata({ metadata, operation }: Line, format: Format): void {
  expectEqual(metadata['opencdc.collection'], 'orders', 'opencdc.collection')
  expectEqual(metadata['postgres.schema'], 'public', 'postgres.schema')
  expect(/^\d{19}$/.test(metadata['opencdc.readAt'] ?? ''), `opencdc.readAt is ${metadata['opencdc.readAt']}`)
  const isChange = operation !== 'snapshot'
  for (const name of ['opencdc.createdAt', 'postgres.lsn', 'postgres.xid', 'postgres.seq']) {
    expect(name in metadata === isChange, `${name} of ${operation} is ${metadata[name]}`)
  }
  for (const part of ['key', 'payload']) {
    const subject = metadata[`opencdc.${part}.schema.subject`]
    expect((subject !== undefined) === (format === 'avro'), `the subject of the ${part} is ${subject}`)
    if (subject !== undefined) expectEqual(metadata[`opencdc.${part}.schema.version`], '1', `version of ${subject}`)
  }
}
