import { mkdirSync, writeFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { formatProblem } from '../../../../../src/core/pipelineErrors.js'
import { type PipelineConfig, parsePipeline } from '../../../../../src/homes/pipeline/config/pipelineConfig.js'
import { parseConnectionString } from '../../../../../src/postgres/connectionString.js'
import { loadGrammar } from '../../../../../src/processors/sql/grammar.js'
import { parseOptions } from '../../../../../src/source/options.js'
import { mistakesOf } from '../../../../support/pipelineMistakes.js'
import { temporaryFolder } from '../../../../support/temporaryFolder.js'

const PASSWORD = "p@ss:w/o?r#d'\\ 1"
const ENVIRONMENT = {
  DATABASE_HOST: 'db.example.com',
  DATABASE_PORT: '6432',
  DATABASE_PASSWORD: PASSWORD,
  SECRET_API: PASSWORD,
  DIGITS: '007',
  SNEAKY: '{ evil: [1, 2] } # no comment',
}

function parse(text: string, folder = '/etc/blink'): PipelineConfig {
  return parsePipeline(`${folder}/taxi.yaml`, text, ENVIRONMENT)
}

const mistakes = (text: string) => mistakesOf(() => parse(text), PASSWORD)

const notices = (text: string) => parse(text).notices!.map((notice) => formatProblem('', notice).slice(1))

/** As published, with `stream_schema` where releases from 1.7.0 on have it, and braces around variables. */
const NEWER = `service:
  pipeline_id: 1234
source:
  driver: postgres_cdc
  stream_schema:
    - stream: taxi_rides
      columns:
        - { name: log_id, databrewType: Int32, nativeConnectorType: integer, pk: true, nullable: false }
        - { name: fare, databrewType: Float64, nativeConnectorType: numeric, pk: false, nullable: true }
  config: { host: \${DATABASE_HOST}, port: \${DATABASE_PORT}, user: u, password: \${DATABASE_PASSWORD}, database: d, schema: public, stream_snapshot: true }
sink:
  driver: stdout
  config: {}
`

/** As published before: `service.id` alone, and `stream_schema` under it. */
const OLDER = `service:
  id: taxi
  stream_schema:
    - stream: taxi_rides
      columns:
        - name: log_id
          databrewType: Int32
          nativeConnectorType: integer
          pk: true
          nullable: false
source:
  driver: postgres_cdc
  config:
    host: localhost
    port: 5432
    user: u
    password: 007
    database: d
    schema: public
    slot_name: slot_taxi
    stream_snapshot: false
sink:
  driver: stdout
`

/** `service` and `source` with more in the source's config, its streams and behind all. */
function file({ config = '', columns = '[{name: id, pk: true}]', rest = '', source = '', service = '' } = {}): string {
  return `service: {pipeline_id: 7${service}}
source:
  driver: postgres_cdc
  stream_schema: [{stream: t, columns: ${columns}}]
  config: {host: h, database: d, user: u${config}}
${source}${rest === '' ? 'sink: {driver: stdout}\n' : rest}`
}

describe('both public shapes of files are pipelines', () => {
  test('the newer one: rows first, a slot of the pipeline’s own, a variable within braces', () => {
    const { name, source, sinks, statePath } = parse(NEWER)
    expect({ name, statePath, sinks: sinks.map(({ type }) => type) }).toEqual({
      name: '1234',
      statePath: '/etc/blink/taxi.state',
      sinks: ['stdout'],
    })
    expect(source).toMatchObject({
      tables: ['public.taxi_rides'],
      columns: { 'public.taxi_rides': ['log_id', 'fare'] },
      snapshot: 'initial',
      slot: 'tailrace_1234',
      existingSlot: 'refuse',
    })
    const { hosts, database, user, password } = parseConnectionString(source.url)
    expect({ host: hosts[0]!.name, port: hosts[0]!.port, database, user, password }).toEqual({
      host: 'db.example.com',
      port: 6432,
      database: 'd',
      user: 'u',
      password: PASSWORD,
    })
  })

  test('the older one: id, streams under service, Blink’s name of the slot, a password that looks like a number', () => {
    const { name, source } = parse(OLDER)
    expect(name).toBe('taxi')
    expect(source).toMatchObject({ snapshot: 'never', slot: 'rs_slot_taxi', existingSlot: 'resume' })
    expect(parseConnectionString(source.url).password).toBe('007')
  })

  test('streams may have a schema of their own, and names that SQL would quote', () => {
    const streams = '[{stream: sales.orders}, {stream: "Odd name"}, {stream: plain}]'
    const { source } = parse(
      file({ config: ', schema: app' }).replace(/stream_schema: .*/, `stream_schema: ${streams}`),
    )
    expect(source).toMatchObject({ tables: ['sales.orders', 'app."Odd name"', 'app.plain'], columns: {} })
  })
})

describe('postgres_incremental is long polling', () => {
  const text = `service: {pipeline_id: 7, offset_storage_uri: redis://cache}
source:
  driver: postgres_incremental
  stream_schema:
    - {stream: a, columns: [{name: id, pk: true}]}
    - {stream: b, columns: [{name: x, pk: true}, {name: y, pk: true}]}
  config: {host: h, port: 1, database: d, user: u, schema: s, ssl_required: true}
sink: {driver: stdout}
`
  test('its key grows; TLS is checked; there is no slot', () => {
    const { source } = parse(text)
    expect(source).toMatchObject({ cdcMode: 'long_polling', cursors: { 's.a': 'id' }, snapshot: 'never' })
    expect(source.slot).toBeUndefined()
    expect(source.url).toContain("sslmode='verify-full'")
    expect(() => parseOptions(source)).not.toThrow()
  })

  test('what has no effect, or reads whole tables, is told', () => {
    expect(notices(text)).toEqual([
      '1:27: service.offset_storage_uri: it has no effect: how far the pipeline is stands in its state file',
      '3:3: source.stream_schema: no single column with pk: true in b: each poll reads it whole',
    ])
  })

  test('what only postgres_cdc has is refused', () => {
    expect(mistakes(text.replace('schema: s,', 'schema: s, slot_name: x,'))[0]).toMatch(
      /^7:63: source.config.slot_name: there is no such setting/,
    )
  })
})

describe('the compatibility matrix, as far as a file alone can tell', () => {
  test('without a slot_name the slot has the pipeline’s name, and that is told', () => {
    expect(notices(NEWER)).toEqual([
      '10:11: source.config.slot_name: there is none: the slot is tailrace_1234, made once and kept with the pipeline’s state until somebody drops it',
    ])
    expect(notices(OLDER)).toEqual([])
  })

  test('a slot that nobody named is never taken for the pipeline’s own: two files may have the same id', () => {
    const [named, unnamed] = [file({ config: ', slot_name: x' }), file()].map((text) => parse(text).source)
    expect(named).toMatchObject({ slot: 'rs_x', snapshot: 'never', existingSlot: 'resume' })
    expect(unnamed).toMatchObject({ slot: 'tailrace_7', snapshot: 'never', existingSlot: 'refuse' })
    expect(parse(file({ config: ', existing_slot: resume' })).source).toMatchObject({ existingSlot: 'resume' })
  })

  test('snapshot_batch_size is the size of pages, the rest of the old keys has no effect, and each is told', () => {
    const config =
      ', slot_name: x, snapshot_batch_size: 500, snapshot_memory_safety_factor: 0.3, tables: [a], tables_schema: s'
    expect(parse(file({ config })).source).toMatchObject({ snapshotChunkRows: 500 })
    expect(notices(file({ config })).map((one) => one.replace(/^\S+ /, ''))).toEqual([
      'source.config.snapshot_memory_safety_factor: it has no effect, as in Blink',
      'source.config.tables: it has no effect, as in Blink: tables come from stream_schema',
      'source.config.tables_schema: it has no effect, as in Blink: tables come from stream_schema',
      'source.config.snapshot_batch_size: it bounds the pages of a reading beside the stream; the first reading is one COPY a table',
    ])
  })

  test('a databrewType that is unknown names stream and column, and the nearest; lenient: it is text', () => {
    const columns = '[{name: id, databrewType: Int}]'
    expect(mistakes(file({ columns }))).toEqual([
      expect.stringMatching(
        /^4:66: source.stream_schema\[0\].columns\[0\].databrewType: column id of stream t: there is no type Int. Did you mean Int16 or Int32 or Int64 or Interval\? Known are: Boolean, /,
      ),
    ])
    const lenient = file({ columns, config: ', slot_name: x', source: '  lenient: true\n' })
    expect(notices(lenient)).toEqual([
      '4:66: source.stream_schema[0].columns[0].databrewType: column id of stream t: there is no type Int; it is written as text',
    ])
  })

  test.each([
    ['mysql_cdc', 'there is no source of driver mysql_cdc; one of postgres_cdc, postgres_incremental is expected'],
    [
      'postgres_cdcc',
      'there is no source of driver postgres_cdcc; one of postgres_cdc, postgres_incremental is expected. Did you mean postgres_cdc?',
    ],
  ])('a source of driver %s is refused with those that are there', (driver, told) => {
    expect(mistakes(file().replace('postgres_cdc', driver))).toEqual([`3:11: source.driver: ${told}`])
  })

  test.each(['mongodb', 'clickhouse', 'rabbitmq'])(
    'a sink of driver %s is refused with those that are there',
    (driver) => {
      expect(mistakes(file({ rest: `sink: {driver: ${driver}}\n` }))[0]).toMatch(
        new RegExp(`^6:16: sink.driver: there is no sink of driver ${driver}; one of stdout, file, postgres`),
      )
    },
  )

  test('ssl_required is TLS without a look at the certificate', () => {
    expect(parse(file({ config: ', ssl_required: true' })).source.url).toContain("sslmode='require'")
    expect(parse(file()).source.url).toContain("sslmode='prefer'")
  })

  test('what a service is told and nobody does is told', () => {
    const service = ', id: 8, reload_on_restart: true, enable_influx: true, influx: {host: x}, etcd: {host: y}'
    const told = notices(file({ service, config: ', slot_name: x' })).map((one) => one.split(' ')[1])
    expect(told).toEqual([
      'service.reload_on_restart:',
      'service.etcd:',
      'service.enable_influx:',
      'service.influx:',
      'service.id:',
    ])
  })

  test('a stream_schema in both places: that of the source counts, and that is told', () => {
    const both = OLDER.replace('source:\n', 'source:\n  stream_schema: [{stream: other}]\n')
    expect(parse(both).source.tables).toEqual(['public.other'])
    expect(notices(both)).toEqual(['3:3: service.stream_schema: it has no effect: that of source counts'])
  })

  test('nullable and nested columns have no effect, the second of which is told', () => {
    const columns = '[{name: id, nullable: false, columns: [{name: x, databrewType: String}]}]'
    expect(notices(file({ columns, config: ', slot_name: x' }))).toEqual([
      '4:69: source.stream_schema[0].columns[0].columns: it has no effect: what a JSON column holds is not declared',
    ])
  })

  test('the example of docs/blink.md is such a file', async () => {
    const page = await readFile(new URL('../../../../../docs/blink.md', import.meta.url), 'utf8')
    const [, example] = /```yaml\n([\s\S]*?)```/.exec(page)!
    const variables = { DATABASE_HOST: 'db', DATABASE_USER: 'app', SECRET_database: PASSWORD }
    const { source, name } = parsePipeline('/etc/blink.yaml', example!, variables)
    expect(name).toBe('1234')
    expect(parseConnectionString(source.url)).toMatchObject({ user: 'app', password: PASSWORD, database: 'shop' })
  })

  test('settings of ours stand beside Blink’s', () => {
    const config = ', snapshot_workers: 4, toast: fetch, slot_name: x'
    const rest =
      'state: /var/lib/x.state\nbuffer_bytes: 1000000\nsink: {driver: stdout, on_error: retry, retry: {attempts: 3}}\n'
    const { source, sinks, statePath, bufferBytes } = parse(file({ config, rest }))
    expect(source).toMatchObject({ snapshotWorkers: 4, toast: 'fetch' })
    expect(sinks[0]).toMatchObject({ onError: 'retry', retry: { attempts: 3 } })
    expect({ statePath, bufferBytes }).toEqual({ statePath: '/var/lib/x.state', bufferBytes: 1_000_000 })
  })
})

describe('sinks', () => {
  const create = (rest: string) => parse(file({ rest, config: ', slot_name: x' })).sinks

  test('several, each with a name of its own', () => {
    const rest =
      'sinks:\n  - {driver: stdout}\n  - {driver: file, name: log, config: {path: x.ndjson, format: blink}}\n'
    expect(create(rest).map(({ name, type }) => `${name} ${type}`)).toEqual(['stdout stdout', 'log file'])
  })

  test.each(['tailrace', 'row', 'blink', 'debezium'])('format %s', (format) => {
    expect(create(`sink: {driver: stdout, config: {format: ${format}}}\n`)).toHaveLength(1)
  })

  test('a format that is none is refused with those that are', () => {
    expect(mistakes(file({ rest: 'sink: {driver: stdout, config: {format: debezum}}\n' }))).toEqual([
      '6:41: sink.config.format: "debezum": one of tailrace, row, blink, debezium, ndjson is expected, not a string. Did you mean debezium?',
    ])
  })

  test('sink and sinks are not both read', () => {
    const rest = 'sink: {driver: stdout}\nsinks: [{driver: stdout}]\n'
    expect(mistakes(file({ rest }))).toEqual(['7:1: sinks: either sink, as Blink has it, or sinks, not both'])
  })

  test('postgres has the connection in parts, and a password that is never shown', () => {
    const rest = (config: string) => `sink:\n  driver: postgres\n  config: {host: h, database: d, user: u${config}}\n`
    expect(
      create(rest(`, port: 5433, password: "\${DATABASE_PASSWORD}", stream_prefix: p_, schema: s, ssl_required: true`)),
    ).toHaveLength(1)
    expect(create(rest(', mode: history, auto_create: false'))).toHaveLength(1)
    expect(mistakes(file({ rest: rest(', stream_perfix: x') }))).toEqual([
      '8:43: sink.config.stream_perfix: there is no such setting. Did you mean stream_prefix?',
    ])
    expect(mistakes(file({ rest: rest('').replace('host: h, ', '') }))).toEqual([
      '8:11: sink.config.host: it is required, and missing',
    ])
  })
})

describe('processors', () => {
  beforeAll(() => loadGrammar())
  const processors = (list: string) =>
    file({ config: ', slot_name: x', rest: `processors: ${list}\nsink: {driver: stdout}\n` })

  test('sql and log are as in Blink, with what ours can have beside', () => {
    const list = `
  - driver: sql
    config: {query: select * from stream.t where id > 10}
  - {driver: log, config: {stream: t}, if: id > 12}
  - {driver: log, config: {stream: "*"}}`
    const { processors: read = [] } = parse(processors(list))
    expect(read.map(({ type, streams, condition }) => [type, streams?.[0]?.text, condition !== undefined])).toEqual([
      ['sql', expect.stringContaining('t'), false],
      ['log', '*."t"', true],
      ['log', undefined, false],
    ])
  })

  test('an empty list is none', () => {
    expect(parse(processors('')).processors).toEqual([])
    expect(parse(processors('[]')).processors).toEqual([])
  })

  test.each([
    [
      '[{driver: lambda}]',
      /^6:23: processors\[0\].driver: there is no processor of driver lambda; one of filter, sql, /,
    ],
    ['[{driver: sql_enrich}]', /^6:23: processors\[0\].driver: there is no processor of driver sql_enrich; one of /],
    ['[{driver: ai_content_moderator}]', /^6:23: .* there is no processor of driver ai_content_moderator; one of /],
    ['[{config: {}}]', /^6:14: processors\[0\].driver: it is required, and missing; one of filter, sql, /],
    ['[{driver: log, stream: t}]', /^6:28: processors\[0\].stream: there is no such setting. Did you mean streams\?/],
    ['[{driver: sql, config: {query: "select * from stream.t where"}}]', /^6:44: processors\[0\].query: syntax error/],
  ])('a mistake: %s', (list, told) => {
    expect(mistakes(processors(list))[0]).toMatch(told)
  })
})

describe('variables and secrets', () => {
  const password = (value: string, more = '') =>
    parseConnectionString(
      parse(file({ config: `, password: ${value}, slot_name: x`, rest: `sink: {driver: stdout}\n${more}` })).source.url,
    ).password

  test.each([
    ['a variable', `\${DATABASE_PASSWORD}`, PASSWORD],
    ['one whose value looks like YAML', `\${SNEAKY}`, ENVIRONMENT.SNEAKY],
    ['one of digits', `\${DIGITS}`, '007'],
    ['a fallback', `\${NO_SUCH:fall, back}`, 'fall, back'],
    ['a fallback with a variable', `\${NO_SUCH:x-\${DIGITS}}`, 'x-007'],
    ['an escape', `\${{DIGITS}}`, `\${DIGITS}`],
    ['a part of a text', `"a \${DIGITS} b"`, 'a 007 b'],
  ])('%s', (_, written, value) => {
    expect(password(written)).toBe(value)
  })

  test('a secret from the environment, without quotes', () => {
    const storage = 'secrets: {storage_type: environment, config: {prefix: SECRET_}}\n'
    expect(password('#{secret.API}', storage)).toBe(PASSWORD)
  })

  test('a secret from a file, without the line break at its end', async () => {
    await using folder = await temporaryFolder()
    mkdirSync(join(folder.path, 'secrets'))
    writeFileSync(join(folder.path, 'secrets', 'db.password'), `${PASSWORD}\n`)
    const storage = 'sink: {driver: stdout}\nsecrets: {storage_type: file, config: {folder: secrets}}\n'
    const text = (name: string) => file({ config: `, password: a#{secret.${name}}b`, rest: storage })
    expect(parseConnectionString(parse(text('db.password'), folder.path).source.url).password).toBe(`a${PASSWORD}b`)
    expect(() => parse(text('../taxi.yaml'), folder.path)).toThrow(/names of secrets have/)
    expect(() => parse(text('..'), folder.path)).toThrow(/it is no file of the folder/)
    expect(() => parse(text('nothing'), folder.path)).toThrow(/the secret nothing: ENOENT/)
  })

  test('what cannot be filled in is told where it stands', () => {
    const secrets = (more: string) =>
      file({ config: ', password: #{secret.X}', rest: `sink: {driver: stdout}\n${more}` })
    expect(mistakes(secrets(''))).toEqual([
      '5:53: source.config.password: the secret X: there is no secrets with a storage_type: environment or file',
    ])
    expect(mistakes(secrets('secrets: {storage_type: aws_secret_manager}\n'))).toEqual([
      '7:25: secrets.storage_type: "aws_secret_manager": one of environment, file is expected, not a string',
    ])
    expect(mistakes(secrets('secrets: {storage_type: environment}\n'))).toEqual([
      '5:53: source.config.password: the secret X: the variable X is not set',
    ])
    expect(mistakes(file({ config: `, password: \${NO_SUCH}` }))).toEqual([
      `5:53: source.config.password: the variable NO_SUCH is not set, and there is no \${NO_SUCH:fallback}`,
    ])
  })
})

test.each<[string, string, string[]]>([
  [
    'a key nearly right',
    file({ config: ', stream_snapshat: true' }),
    ['5:43: source.config.stream_snapshat: there is no such setting. Did you mean stream_snapshot?'],
  ],
  [
    'at the top',
    file({ rest: 'snik: {driver: stdout}\nsink: {driver: stdout}\n' }),
    ['6:1: snik: there is no such setting. Did you mean sink?'],
  ],
  [
    'of a stream',
    file().replace('columns:', 'colunms:'),
    ['4:31: source.stream_schema[0].colunms: there is no such setting. Did you mean columns?'],
  ],
  [
    'of a column',
    file({ columns: '[{name: id, databrew_type: Int32}]' }),
    ['4:52: source.stream_schema[0].columns[0].databrew_type: there is no such setting. Did you mean databrewType?'],
  ],
  [
    'of a service',
    file({ service: ', pipelineid: 8' }),
    ['1:27: service.pipelineid: there is no such setting. Did you mean pipeline_id?'],
  ],
  ['no id', file().replace('pipeline_id: 7', ''), ['1:10: service.pipeline_id: it is required, and missing']],
  [
    'the id 0',
    file().replace('pipeline_id: 7', 'pipeline_id: 0'),
    ['1:24: service.pipeline_id: 0 is no id of a pipeline'],
  ],
  [
    'no streams',
    file().replace(/ {2}stream_schema.*\n/, ''),
    ['3:3: source.stream_schema: it is required, and missing'],
  ],
  [
    'a column twice',
    file({ columns: '[{name: id}, {name: id}]' }),
    ['4:53: source.stream_schema[0].columns[1].name: the column id stands here twice'],
  ],
  [
    'a stream twice',
    file().replace(/stream_schema.*/, 'stream_schema: [{stream: t}, {stream: public.t}]'),
    ['4:32: source.stream_schema[1].stream: the stream public.t stands here twice'],
  ],
  [
    'a slot that cannot be',
    file({ config: ', slot_name: My-Slot' }),
    ['5:54: source.config.slot_name: slot names have lower case letters, digits and underscores, 63 at most'],
  ],
])('a mistake is told with its line and column: %s', (_, text, told) => {
  expect(mistakes(text)).toEqual(told)
})
