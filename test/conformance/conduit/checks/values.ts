import { join } from 'node:path'
import type { TestDatabase } from '../../../support/database.js'
import {
  type Bench,
  type Check,
  databases,
  expect,
  expectEqual,
  FORMATS,
  type Format,
  newPipeline,
  readLines,
  sourceSettings,
} from '../check.js'

interface Column {
  readonly name: string
  readonly type: string
  /** Values as SQL writes them: NULL, and these. */
  readonly samples: readonly string[]
  /** What conduit-commons makes of it, with schemas: its kind, and its text as SQL computes it. */
  readonly avro: readonly [kind: string, text: string]
  /** The same without, of structured data; default: a string, the column's text. */
  readonly structured?: readonly [kind: string, text: string]
  /** Where that is no single value: what it is of any sample but NULL. */
  readonly structuredAs?: string
}

const DOUBLE = (name: string) => ['double', `${name}::text`] as const
/** As Go prints a time: no zeros at the end of the fraction. */
const TIME = (value: string) => `regexp_replace(to_char(${value}, 'YYYY-MM-DD"T"HH24:MI:SS.US'), '\\.?0+$', '') || 'Z'`
const JSON_TIME = (name: string) => `trim(both '"' from to_json(${name})::text)`

/** With the key, twenty. */
const COLUMNS: readonly Column[] = [
  {
    name: 'c_bool',
    type: 'bool',
    samples: ['true', 'false'],
    avro: ['boolean', 'c_bool::text'],
    structured: ['boolean', 'c_bool::text'],
  },
  {
    name: 'c_int2',
    type: 'int2',
    samples: ['-32768', '32767'],
    avro: ['int', 'c_int2::text'],
    structured: DOUBLE('c_int2'),
  },
  {
    name: 'c_int4',
    type: 'int4',
    samples: ['-2147483648', '2147483647'],
    avro: ['int', 'c_int4::text'],
    structured: DOUBLE('c_int4'),
  },
  {
    name: 'c_int8',
    type: 'int8',
    samples: ['-9223372036854775808', '9223372036854775807'],
    avro: ['long', 'c_int8::text'],
  },
  {
    name: 'c_float4',
    type: 'float4',
    samples: ['3.4028235e38', "'1e-45'"],
    avro: ['float', 'c_float4::text'],
    structured: DOUBLE('c_float4'),
  },
  {
    name: 'c_float8',
    type: 'float8',
    samples: ['1.7976931348623157e308', "'5e-324'"],
    avro: ['double', 'c_float8::text'],
    structured: DOUBLE('c_float8'),
  },
  {
    name: 'c_numeric',
    type: 'numeric(20,6)',
    samples: ['12345678901234.567891', '-0.000001'],
    avro: ['decimal', 'trim_scale(c_numeric)::text'],
  },
  {
    name: 'c_any',
    type: 'numeric',
    samples: ['1234567890.12345678901234567890123456789', "'NaN'"],
    avro: ['string', 'c_any::text'],
  },
  {
    name: 'c_text',
    type: 'text',
    samples: [`E'quote " back \\\\ line\\n tab\\t \\U0001F600'`, "''"],
    avro: ['string', 'c_text'],
  },
  {
    name: 'c_char',
    type: 'char(5)',
    samples: ["'ab'", "'abcde'"],
    avro: ['string', 'rpad(c_char, 5)'],
    structured: ['string', 'rpad(c_char, 5)'],
  },
  {
    name: 'c_bytea',
    type: 'bytea',
    samples: ["'\\xdeadbeef00ff'", "'\\x'"],
    avro: ['bytes', `encode(c_bytea, 'hex')`],
  },
  {
    name: 'c_json',
    type: 'json',
    samples: [`'{"a":  [1, null, "x"]}'`, `'null'`],
    avro: ['bytes', `encode(convert_to(c_json::text, 'UTF8'), 'hex')`],
    // The second, which is null in JSON, is none of a field's.
    structuredAs: `CASE WHEN c_json::text <> 'null' THEN '{"a":["array",[["double","1"],null,["string","x"]]]}'::json END`,
  },
  {
    name: 'c_date',
    type: 'date',
    samples: ["'2026-02-28'", "'1969-12-31'"],
    avro: ['time', TIME('c_date::timestamp')],
  },
  {
    name: 'c_time',
    type: 'time',
    samples: ["'23:59:59.999999'", "'00:00'"],
    avro: ['duration', '(extract(epoch FROM c_time) * 1000000)::int8::text'],
  },
  {
    name: 'c_timestamp',
    type: 'timestamp',
    samples: ["'2026-11-22 10:50:00.000001'", "'1969-07-20 20:17:40'"],
    avro: ['time', TIME('c_timestamp')],
    structured: ['string', JSON_TIME('c_timestamp')],
  },
  {
    name: 'c_timestamptz',
    type: 'timestamptz',
    samples: ["'2026-11-22 10:50:00.123+05:30'", "'0001-01-01 00:00+00'"],
    avro: ['time', TIME('c_timestamptz')],
    structured: ['string', JSON_TIME('c_timestamptz')],
  },
  {
    name: 'c_uuid',
    type: 'uuid',
    samples: ["'8f14e45f-ceea-467f-a834-2a1fbe0c1e5a'", "'00000000-0000-0000-0000-000000000000'"],
    avro: ['string', 'c_uuid::text'],
  },
  { name: 'c_enum', type: 'mood', samples: ["'sad'", "'so so'"], avro: ['string', 'c_enum::text'] },
  {
    name: 'c_interval',
    type: 'interval',
    samples: ["'1 mon 2 days 03:04:05.6'", "'-1 s'"],
    avro: ['string', 'c_interval::text'],
  },
]

const SQL = `CREATE TYPE mood AS ENUM ('sad', 'so so');
  CREATE TABLE twenty (id int8 PRIMARY KEY, ${COLUMNS.map(({ name, type }) => `${name} ${type}`).join(', ')});
  ALTER TABLE twenty REPLICA IDENTITY FULL`

/** One row of each sample, one of NULLs, and for each column one where it alone is NULL. */
function rows(firstId: number): string {
  const row = (value: (column: Column, index: number) => string) => COLUMNS.map(value).join(', ')
  const all = [
    row(({ samples }) => samples[0]!),
    row(({ samples }) => samples[1]!),
    row(() => 'NULL'),
    ...COLUMNS.map((_, at) => row(({ samples }, index) => (index === at ? 'NULL' : samples[index % 2]!))),
  ]
  return all.map((one, index) => `INSERT INTO twenty VALUES (${firstId + index}, ${one})`).join(';\n')
}

const ROWS = COLUMNS.length + 3

/** Every value of every type, and NULL in each: from the snapshot, the stream, and as the old row. */
export const values: readonly Check[] = (Object.keys(FORMATS) as Format[]).map((format) => ({
  name: `a table of 20 columns with NULLs in each type, ${format}: decoded without loss`,
  run: (bench: Bench) => run(bench, format),
}))

async function run(bench: Bench, format: Format): Promise<string> {
  await using dbs = await databases(bench, `${SQL}; ${rows(1)}`)
  await dbs.from.query(`SET TimeZone = 'UTC'; SET IntervalStyle = 'iso_8601'; SET extra_float_digits = 1`)
  const output = join(bench.folder, `${dbs.from.name}.ndjson`)
  const source = sourceSettings(dbs.from.url, 'twenty', FORMATS[format])
  await using pipeline = newPipeline(bench, { source, output })
  const host = await pipeline.start()
  await host.hasAcked(ROWS)
  await dbs.from.query(rows(1001))
  const expected = await shownByServer(dbs.from, format)
  await dbs.from.query('DELETE FROM twenty WHERE id > 1000')
  await host.hasAcked(3 * ROWS)
  await host.stop()
  const lines = readLines(output)
  expectEqual(lines.length, 3 * ROWS, 'the number of records')
  let compared = 0
  for (const { operation, before, after } of lines) {
    const row = (operation === 'delete' ? before : after) as Record<string, unknown>
    const id = format === 'json' ? JSON.parse((row as { raw: string }).raw).id : Number((row.id as [string, string])[1])
    const wanted = expected.get(Number(id))!
    compared += compare(row, wanted, `${operation} of row ${id}`)
  }
  return `${compared} values`
}

/** What each row is to be, by its id, as the server says. */
async function shownByServer(db: TestDatabase, format: Format): Promise<Map<number, Record<string, unknown>>> {
  const all = new Map<number, Record<string, unknown>>()
  const shown =
    format === 'json'
      ? `json_build_object('raw', row_to_json(twenty)::text)`
      : `json_build_object(${COLUMNS.map((column) => {
          const { name, structuredAs } = column
          if (format === 'structured' && structuredAs !== undefined) return `'${name}', ${structuredAs}`
          const [kind, text] =
            format === 'avro' ? column.avro : (column.structured ?? (['string', `${name}::text`] as const))
          return `'${name}', CASE WHEN ${name} IS NULL THEN NULL ELSE json_build_array('${kind}', ${text}) END`
        }).join(', ')})`
  for (const { id, row } of await db.query(`SELECT id::int4 AS id, ${shown} AS row FROM twenty`)) {
    all.set(id as number, row as Record<string, unknown>)
  }
  return all
}

/** How many values are the same; throws at one that is not. */
function compare(row: Record<string, unknown>, wanted: Record<string, unknown>, what: string): number {
  if ('raw' in wanted) {
    expectEqual(row.raw, wanted.raw, what)
    return COLUMNS.length
  }
  for (const { name } of COLUMNS) {
    const [is, should] = [row[name], wanted[name]] as [string[] | null, string[] | null]
    expect(name in row, `${what}: ${name} is missing`)
    const both = is !== null && should !== null && is !== undefined
    if (both && (should[0] === 'float' || should[0] === 'double') && is[0] === should[0]) {
      // Go and PostgreSQL write the same number in other ways.
      expectEqual(Number(is[1]), Number(should[1]), `${what}: ${name}`)
    } else expectEqual(is, should, `${what}: ${name}`)
  }
  return COLUMNS.length
}
