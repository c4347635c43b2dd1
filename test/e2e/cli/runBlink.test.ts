import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { EmbeddedPostgres } from '../../../src/cli/embedded/server.js'
import { SLOT_OF_BLINK, STREAM_SCHEMA_MISMATCH } from '../../../src/core/pipelineErrors.js'
import { parsePipeline } from '../../../src/homes/pipeline/config/pipelineConfig.js'
import type { PipelineEvent } from '../../../src/homes/pipeline/run/events.js'
import { runPipeline } from '../../../src/homes/pipeline/runPipeline.js'
import { type TestDatabase, testDatabase } from '../../support/database.js'
import { startServer } from '../../support/servers.js'
import { tailrace } from '../../support/tailrace.js'
import { tailraceHere } from '../../support/tailraceHere.js'
import { temporaryFolder } from '../../support/temporaryFolder.js'

let server: EmbeddedPostgres
let db: TestDatabase
let target: TestDatabase
let environment: Record<string, string>
beforeAll(async () => {
  server = await startServer()
  db = await testDatabase(
    server,
    `CREATE TABLE taxi_rides (log_id int PRIMARY KEY, fare numeric(10,2), note text, seen timestamptz, kept_back text);
     INSERT INTO taxi_rides VALUES (1, 12.50, 'a "b"', '2024-01-02 03:04:05+00', 'x'), (2, NULL, NULL, NULL, 'x')`,
  )
  target = await testDatabase(server)
  db.expectSlots = true
  const { hostname, port, username, pathname } = new URL(db.url)
  environment = {
    DATABASE_HOST: hostname,
    DATABASE_PORT: port,
    DATABASE_USER: username,
    DATABASE_NAME: pathname.slice(1),
    TARGET_NAME: new URL(target.url).pathname.slice(1),
  }
})
afterAll(async () => {
  await target[Symbol.asyncDispose]()
  await db[Symbol.asyncDispose]()
  await server[Symbol.asyncDispose]()
})

const COLUMNS = `
        - { name: log_id, databrewType: Int32, nativeConnectorType: integer, pk: true, nullable: false }
        - { name: fare, databrewType: String, nativeConnectorType: numeric, pk: false, nullable: true }
        - { name: note, databrewType: String, nativeConnectorType: varchar, pk: false, nullable: true }
        - { name: seen, databrewType: TimestampTz, pk: false }`

/** `until: current` is ours: without it a run would not end. */
const connection = (snapshot: boolean, slot: string) =>
  [
    `host: \${DATABASE_HOST}, port: \${DATABASE_PORT}, user: \${DATABASE_USER}, database: \${DATABASE_NAME:shop}, schema: public`,
    `stream_snapshot: ${snapshot}, until: current${slot}`,
  ].join(', ')

const SINKS = {
  stdout: '\nsink:\n  driver: stdout\n  config: {}\n',
  postgres: `\nsink:\n  driver: postgres\n  config: {host: \${DATABASE_HOST}, port: \${DATABASE_PORT}, user: \${DATABASE_USER}, database: \${TARGET_NAME}, stream_prefix: ID_}\n`,
}

/** Both public shapes; `id` makes slot and target of a test its own. */
const SHAPES = {
  newer: (id: string, snapshot: boolean) => `service:
  pipeline_id: ${id}
source:
  driver: postgres_cdc
  stream_schema:
    - stream: taxi_rides
      columns:${COLUMNS}
  config: { ${connection(snapshot, '')} }`,
  older: (id: string, snapshot: boolean) => `service:
  id: ${id}
  stream_schema:
    - stream: public.taxi_rides
      columns:${COLUMNS}
source:
  driver: postgres_cdc
  config: { ${connection(snapshot, `, slot_name: s${id}`)} }`,
}

async function withPipeline(text: string, run: (file: string) => Promise<void>) {
  await using folder = await temporaryFolder()
  const file = join(folder.path, 'blink.yaml')
  await writeFile(file, text)
  await run(file)
}

/** Its sinks are in this process. */
async function runHere(file: string): Promise<PipelineEvent[]> {
  const events: PipelineEvent[] = []
  const config = parsePipeline(file, await readFile(file, 'utf8'), environment)
  const listener = {
    event: (event: PipelineEvent) => void events.push(event),
    source: async () => {},
    tryingAgain: () => {},
  }
  await runPipeline(config, listener, new AbortController().signal)
  return events
}

const change = () =>
  db.query(`
    UPDATE taxi_rides SET fare = coalesce(fare, 0) + 1, kept_back = 'y' WHERE log_id = 2;
    INSERT INTO taxi_rides VALUES (9, 0.10, 'new', NULL, 'x'); DELETE FROM taxi_rides WHERE log_id = 9`)

let id = 100
const cases = (['newer', 'older'] as const).flatMap((shape) => [true, false].map((snapshot) => ({ shape, snapshot })))

describe.each(cases)('the $shape shape, with stream_snapshot: $snapshot, runs', ({ shape, snapshot }) => {
  test('to stdout: declared columns in declared forms, then what changed, over one slot', async () => {
    const name = String(++id)
    await withPipeline(`${SHAPES[shape](name, snapshot)}${SINKS.stdout}`, async (file) => {
      const first = await tailrace(['start', '-c', file], { env: environment })
      expect(first.code, first.stderr).toBe(0)
      const rows = first.records.map(({ operation, after }) => ({ operation, ...after }))
      const [{ fare } = {}] = await db.query<{ fare: string | null }>('SELECT fare FROM taxi_rides WHERE log_id = 2')
      const expected = [
        { operation: 'snapshot', log_id: 1, fare: '12.50', note: 'a "b"', seen: '2024-01-02T03:04:05+00:00' },
        { operation: 'snapshot', log_id: 2, fare, note: null, seen: null },
      ]
      expect(rows).toEqual(snapshot ? expected : [])
      expect(first.stderr).toContain(
        'nativeConnectorType of column note of public.taxi_rides is varchar, and the column is text',
      )
      const slot = shape === 'newer' ? `tailrace_${name}` : `rs_s${name}`
      if (shape === 'newer') expect(first.stderr).toContain(`the slot is ${slot}, made once`)
      await change()
      const second = await tailraceHere(['run', file], { env: environment })
      expect(second.code, second.stderr).toBe(0)
      expect(second.records.map(({ operation, key }) => `${operation} ${JSON.stringify(key)}`)).toEqual([
        'update {"log_id":2}',
        'create {"log_id":9}',
        'delete {"log_id":9}',
      ])
      expect(second.stdout).not.toContain('kept_back')
      const slots = await db.query('SELECT slot_name FROM pg_replication_slots WHERE slot_name LIKE $1', [`%${name}`])
      expect(slots).toEqual([{ slot_name: slot }])
    })
  })

  test('to postgres: tables are made with the prefix, and kept as the source’s are', async () => {
    const name = String(++id)
    const sink = SINKS.postgres.replace('ID_', `p${name}_`)
    await withPipeline(`${SHAPES[shape](name, snapshot)}${sink}`, async (file) => {
      const copied = () => target.query(`SELECT * FROM p${name}_taxi_rides ORDER BY log_id`)
      const original = (where = '') =>
        db.query(`SELECT log_id, fare, note, seen FROM taxi_rides ${where} ORDER BY log_id`)
      await runHere(file)
      if (snapshot) expect(await copied()).toEqual(await original())
      await change()
      await runHere(file)
      expect(await copied()).toEqual(await original(snapshot ? '' : 'WHERE log_id = 2'))
    })
  })
})

describe('what only the database can tell is told before anything is made', () => {
  const preflight = (text: string) =>
    parsePipeline('/tmp/blink.yaml', `${text}${SINKS.stdout}`, environment).preflight!(new AbortController().signal)
  const text = SHAPES.older('200', true)

  test('a slot of another output plugin stops with what can be done, and stays as it is', async () => {
    await db.query("SELECT pg_create_logical_replication_slot('rs_s200', 'test_decoding')")
    await expect(preflight(text)).rejects.toSatisfy(SLOT_OF_BLINK.is)
    await expect(preflight(text)).rejects.toMatchObject({
      message: expect.stringContaining('is of output plugin test_decoding (Blink'),
      hint: expect.stringContaining("SELECT pg_drop_replication_slot('rs_s200')"),
    })
    expect(await db.query("SELECT plugin FROM pg_replication_slots WHERE slot_name = 'rs_s200'")).toHaveLength(1)
  })

  test('Blink’s slot without a name is told to hold WAL, where the file names none', async () => {
    await db.query("SELECT pg_create_logical_replication_slot('rs_', 'test_decoding')")
    const { warnings } = await preflight(SHAPES.newer('201', true))
    expect(warnings[0]).toMatch(/the replication slot "rs_" \(test_decoding\) is left as it is, and holds WAL/)
    await db.query("SELECT pg_drop_replication_slot('rs_')")
  })

  test('declared types that cannot hold their columns, and columns that are not there, all at once', async () => {
    const wrong = SHAPES.newer('202', true).replace('fare, databrewType: String', 'fare, databrewType: Boolean')
    const declared = wrong.replace('name: note', 'name: noot')
    await expect(preflight(declared)).rejects.toSatisfy(STREAM_SCHEMA_MISMATCH.is)
    await expect(preflight(declared)).rejects.toThrow(
      'column fare of public.taxi_rides is numeric, which Boolean cannot hold: declare it as Decimal or Float64 or Int64 or Int32 or String; public.taxi_rides has no column noot: did you mean note?',
    )
    const { warnings } = await preflight(wrong.replace('source:\n', 'source:\n  lenient: true\n'))
    expect(warnings).toContainEqual(expect.stringContaining('is numeric, which Boolean cannot hold'))
    const made = await db.query("SELECT FROM pg_replication_slots WHERE slot_name LIKE '%202'")
    expect(made).toEqual([])
  })
})

test('postgres_incremental finds new rows by long polling, and needs no slot', async () => {
  await db.query('CREATE TABLE visits (id int PRIMARY KEY, page text); INSERT INTO visits VALUES (1, $$a$$)')
  const text = `service: {pipeline_id: 300, offset_storage_uri: "redis://cache:6379"}
source:
  driver: postgres_incremental
  stream_schema: [{stream: visits, columns: [{name: id, databrewType: Int64, pk: true}, {name: page, databrewType: String}]}]
  config: {${connection(true, '')}}
sink: {driver: stdout, config: {format: blink}}
`
  await withPipeline(text, async (file) => {
    const first = await tailraceHere(['run', '-c', file], { env: environment })
    expect(first.code, first.stderr).toBe(0)
    expect(first.stdout).toBe('[{"id":1,"page":"a"}]\n')
    await db.query('INSERT INTO visits VALUES (2, $$b$$)')
    const second = await tailraceHere(['run', '-c', file], { env: environment })
    expect(second.stdout).toBe('[{"id":2,"page":"b"}]\n')
    expect(await db.query("SELECT FROM pg_replication_slots WHERE slot_name LIKE '%300'")).toEqual([])
  })
})

test('Blink’s sql processor leaves out rows and columns, and what is left keeps its declared forms', async () => {
  const query = 'select log_id, fare from stream.taxi_rides where log_id > 1 and fare is not null or log_id = 1'
  const processors = `\nprocessors:\n  - {driver: sql, config: {query: "${query}"}}\n  - {driver: log, config: {stream: taxi_rides}}`
  const text = `${SHAPES.newer('500', true)}${processors}${SINKS.stdout.replace('{}', '{format: row}')}`
  await withPipeline(text, async (file) => {
    const run = await tailrace(['run', file], { env: environment })
    expect(run.code, run.stderr).toBe(0)
    expect(run.stdout.split('\n').slice(0, -1)[0]).toBe('{"log_id":1,"fare":"12.50"}')
    expect(run.stderr).toContain('processor log (processors[1]): {"operation":"snapshot"')
  })
})

test('validate tells what has no effect, and every mistake of such a file', async () => {
  await withPipeline(`${SHAPES.newer('400', true)}${SINKS.stdout}`, async (file) => {
    const valid = await tailraceHere(['validate', '-c', file], { env: environment })
    expect(valid).toMatchObject({ code: 0, stdout: expect.stringContaining('can be run: pipeline 400 to stdout') })
    expect(valid.stderr).toContain('source.config.slot_name: there is none: the slot is tailrace_400')
    await writeFile(file, `${SHAPES.newer('400', true)}\nsnik: {}\n`)
    const wrong = await tailraceHere(['validate', file], { env: environment })
    expect(wrong.code).toBe(2)
    expect(wrong.stderr).toMatch(/blink\.yaml:\d+:1: snik: there is no such setting\. Did you mean sink\?/)
    const both = await tailraceHere(['run', file, '-c', 'other.yaml'], { env: environment })
    expect(both).toMatchObject({ code: 2, stderr: expect.stringContaining('OPTION_INVALID') })
  })
})
