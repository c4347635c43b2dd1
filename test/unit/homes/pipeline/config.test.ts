import { describe, expect, test } from 'vitest'
import { type PipelineConfig, parsePipeline } from '../../../../src/homes/pipeline/config/pipelineConfig.js'
import { sinkTypes } from '../../../../src/sinks/sinkTypes.js'
import { mistakesOf } from '../../../support/pipelineMistakes.js'

const TYPES = [...sinkTypes.keys()].join(', ')
const PASSWORD = 'c0rrect-horse'
const ENVIRONMENT = {
  SHOP_URL: `postgres://app:${PASSWORD}@db/shop`,
  WORKERS: '3',
  NUMBER: '12',
  SNEAKY: 'orders\n  slot: evil',
  EMPTY: '',
}

function parse(text: string): PipelineConfig {
  return parsePipeline('/etc/tailrace/shop.yaml', text, ENVIRONMENT)
}

const mistakes = (text: string) => mistakesOf(() => parse(text), PASSWORD)

const SOURCE = 'source: {url: postgres://app@db/shop, tables: orders}\n'
const SINKS = 'sinks: {out: {type: stdout}}\n'

describe('a mistake is told with its line and column, and what was expected', () => {
  test.each<[string, string, string[]]>([
    ['no source', SINKS, ['1:1: source: a map of settings is expected here, not nothing']],
    ['no sinks', SOURCE, ['1:1: sinks: at least one sink is expected here, as a map by name or as a list']],
    ['an empty list of sinks', `${SOURCE}sinks: []`, ['2:8: sinks: at least one sink is expected here']],
    ['a list for the source', `source: [a]\n${SINKS}`, ['1:9: source: a map of settings is expected here, not a list']],
    ['not a map at all', '- a\n', ['1:1: a map of settings is expected here, not a list']],
    ['an empty file', '', ['1:1: a map of settings is expected here, not empty']],
    [
      'a name nearly right',
      `source:\n  url: postgres://app@db/shop\n  tabels: orders\n${SINKS}`,
      [
        '2:3: source.tables: it is required, and missing',
        '3:3: source.tabels: there is no such setting. Did you mean tables?',
      ],
    ],
    [
      'camel case',
      `source:\n  tables: orders\n  snapshotWorkers: 2\n${SINKS}`,
      ['3:3: source.snapshotWorkers: there is no such setting. Did you mean snapshot_workers?'],
    ],
    [
      'a name far from any',
      `${SOURCE}${SINKS}zzz: 1\n`,
      [
        '3:1: zzz: there is no such setting. Known are: name, state, buffer_bytes, http, http_token, http_token_file, source, processors, sinks',
      ],
    ],
    [
      'a choice nearly right',
      `source: {tables: orders, snapshot: inital}\n${SINKS}`,
      ['1:36: source.snapshot: "inital": one of initial, never, only is expected, not a string. Did you mean initial?'],
    ],
    [
      'a wrong kind',
      `source: {tables: orders, snapshot_workers: two}\n${SINKS}`,
      ['1:44: source.snapshot_workers: "two": a number is expected, not a string'],
    ],
    [
      'a number that has to be whole',
      `source: {tables: orders, snapshot_workers: 1.5}\n${SINKS}`,
      ['1:44: source.snapshot_workers: 1.5: a whole number is expected, not a number'],
    ],
    [
      'a wrong kind in a list',
      `source:\n  tables:\n    - orders\n    - {a: b}\n${SINKS}`,
      ['4:7: source.tables: a string is expected, not a map'],
    ],
    [
      'an empty value',
      `source:\n  tables: orders\n  slot:\n${SINKS}`,
      ['3:3: source.slot: a string is expected, not empty'],
    ],
    [
      'a number out of bounds',
      `source: {tables: orders, snapshot_workers: 0}\n${SINKS}`,
      ['1:44: source.snapshot_workers: 0: too small: expected number to be >=1'],
    ],
    [
      'two settings that do not go together',
      `source:\n  url: postgres://db/shop\n  tables: orders\n  snapshot: only\n  slot: mine\n${SINKS}`,
      ['5:9: source.slot: with snapshot: "only" no slot is made'],
    ],
    [
      'tables that cannot be read',
      `source:\n  url: postgres://db/shop\n  tables: 'a,"b'\n${SINKS}`,
      [
        '3:11: source.tables: cannot read the table names "a,\\"b" at character 3: the quoted name that begins here has no end',
      ],
    ],
    [
      'a sink without a type',
      `${SOURCE}sinks:\n  out: {}\n`,
      [`3:3: sinks.out.type: it is required, and missing; one of ${TYPES} is expected`],
    ],
    [
      'a type nearly right',
      `${SOURCE}sinks:\n  out: {type: flie}\n`,
      [`3:15: sinks.out.type: there is no sink of type flie; one of ${TYPES} is expected. Did you mean file?`],
    ],
    [
      'settings of a postgres sink, and two that would share a checkpoint',
      `${SOURCE}sinks:
  a: {type: postgres, url: postgres://app@db/copy, table: '{schma}.{table}'}
  b: {type: postgres, url: 'postgres://app:${PASSWORD}@db/copy?sslmode=no', keys: [orders]}
  c: {type: postgres, url: postgres://app@db/else, on_error: dead-letters}
  d: {type: postgres, url: '\${SHOP_URL}'}
  e: {type: postgres, url: '\${SHOP_URL}', source: shop}
  f: {type: postgres, url: '\${SHOP_URL}', source: other}
`,
      [
        '3:59: sinks.a.table: there is no field {schma}: did you mean {schema}?',
        '4:28: sinks.b.url: sslmode "no" is none of disable, allow, prefer, require, verify-ca, verify-full',
        '5:62: sinks.c.on_error: "dead-letters": one of stop, retry, dead-letter is expected, not a string. Did you mean dead-letter?',
        '7:3: sinks.e: it writes to the same as the sink d',
      ],
    ],
    [
      'a setting of another sink, and one that is missing',
      `${SOURCE}sinks:\n  - type: stdout\n    gzip: true\n  - type: file\n`,
      [
        '4:5: sinks[0].gzip: there is no such setting. Known are: on_error, format, max_line_bytes, type, name, retry, dead_letter',
        '5:5: sinks[1].path: it is required, and missing',
      ],
    ],
    [
      'retry',
      `${SOURCE}sinks:\n  out:\n    type: stdout\n    retry: {first: 1, attempts: -1}\n`,
      [
        '5:13: sinks.out.retry.first: there is no such setting. Known are: first_ms, max_ms, attempts',
        '5:33: sinks.out.retry.attempts: -1: too small: expected number to be >=0',
      ],
    ],
    [
      'dead letters',
      `${SOURCE}sinks:
  a: {type: stdout, dead_letter: {file: a.ndjson}}
  b: {type: stdout2}
  c: {type: file, path: c, on_error: dead-letter, dead_letter: {file: x, url: postgres://app@db/ops}}
  d: {type: file, path: d, on_error: dead-letter, dead_letter: {file: d, schema: ops, table: t}}
  e: {type: file, path: e, on_error: dead-letter, dead_letter: {url: 'postgres://app:${PASSWORD}@db/ops?sslmode=no'}}
  f: {type: postgres, url: postgres://db/copy, on_error: dead-letter, dead_letter: {url: '\${SHOP_URL}'}}
`,
      [
        '3:21: sinks.a.dead_letter: it needs on_error: dead-letter',
        `4:13: sinks.b.type: there is no sink of type stdout2; one of ${TYPES} is expected. Did you mean stdout?`,
        '5:74: sinks.c.dead_letter.url: either a file or a database, not both',
        '6:3: sinks.d: it writes to the same as the sink d',
        '6:87: sinks.d.dead_letter.table: there is no such setting. Known are: file, url, schema',
        '7:65: sinks.e.dead_letter.url: sslmode "no" is none of disable, allow, prefer, require, verify-ca, verify-full',
        '8:85: sinks.f.dead_letter.url: a postgres sink puts them into its own database, with each batch',
      ],
    ],
    [
      'two sinks of one name, on one output',
      `${SOURCE}sinks:\n  - {type: stdout}\n  - {type: stdout}\n`,
      [
        '4:5: sinks[1]: two sinks are called stdout. Give each a name of its own',
        '4:5: sinks[1]: it writes to the same as the sink stdout',
      ],
    ],
    [
      'two sinks on one file, however its path is written',
      `${SOURCE}sinks:\n  a: {type: file, path: out.ndjson}\n  b: {type: file, path: ./x/../out.ndjson}\n`,
      ['4:3: sinks.b: it writes to the same as the sink a'],
    ],
    [
      'rotation without a number',
      `${SOURCE}sinks:\n  a: {type: file, path: out.ndjson, rotate_bytes: 4096}\n`,
      ['3:25: sinks.a.path: files that follow one another need {number} in their name'],
    ],
    [
      'a number in the folder only',
      `${SOURCE}sinks:\n  a: {type: file, path: '{number}/out', rotate_seconds: 1}\n`,
      ['3:25: sinks.a.path: {number} must be in the name, not only in the folder'],
    ],
    [
      'a placeholder that is none',
      `${SOURCE}sinks:\n  a: {type: file, path: '{table}.ndjson'}\n`,
      ['3:25: sinks.a.path: {table} is none of {number}, {date}, {time}'],
    ],
    [
      'a template without rotation',
      `${SOURCE}sinks:\n  a: {type: file, path: '{date}.ndjson'}\n`,
      ['3:25: sinks.a.path: {date} needs rotate_bytes or rotate_seconds: without them there is one file'],
    ],
    [
      'a name for no slot',
      `name: a b\n${SOURCE}${SINKS}`,
      ['1:7: name: "a b": letters, digits, "_" and "-" are expected, 50 at most'],
    ],
    [
      'YAML that is none',
      'a: [1\nb: 2\n',
      ['2:1: Flow sequence in block collection must be sufficiently indented and end with a ]'],
    ],
    ['a name twice', `${SOURCE}${SOURCE}${SINKS}`, ['2:1: Map keys must be unique']],
    [
      'a variable that is not set',
      `source:\n  tables: orders\n  slot: \${NO_SLOT}\n${SINKS}`,
      [`3:9: source.slot: the variable NO_SLOT is not set, and there is no \${NO_SLOT:fallback}`],
    ],
    [
      'a variable that is none',
      `source:\n  tables: orders\n  slot: \${MY-SLOT}\n${SINKS}`,
      [`3:9: source.slot: \${MY-SLOT} is no variable: names have letters, digits, "_" and "."`],
    ],
    [
      'a value of the environment, which is not printed',
      `source: {tables: orders, snapshot: '\${SHOP_URL}'}\n${SINKS}`,
      ['1:36: source.snapshot: one of initial, never, only is expected, not a string'],
    ],
    [
      'a connection string, which is not printed',
      `source: {tables: orders, url: '${PASSWORD}'}\n${SINKS}`,
      ['1:31: source.url: it does not begin with postgres://, nor is it a list such as host=db dbname=shop'],
    ],
  ])('%s', (_, text, expected) => {
    expect(mistakes(text)).toEqual(expected)
  })

  test('all at once, in the order of the file', () => {
    const text = `nmae: x\nsource:\n  tabels: orders\nsinks:\n  a: {type: fiel}\n  b: {type: file, path: '{x}', gzip: 7}\n`
    expect(mistakes(text).map((one) => one.split(' ')[0])).toEqual(['1:1:', '3:3:', '3:3:', '5:13:', '6:25:', '6:38:'])
  })

  test('aliases of aliases mean no more than a pipeline can be', () => {
    const levels = ['a: &a [x, x, x, x, x, x, x, x, x, x]']
    for (const [before, name] of ['ab', 'bc', 'cd', 'de', 'ef', 'fg'].map((pair) => [...pair])) {
      levels.push(`${name}: &${name} [${Array(10).fill(`*${before}`).join(', ')}]`)
    }
    expect(mistakes(levels.join('\n'))).toContainEqual(
      expect.stringMatching(/this file means more than a pipeline can be$/),
    )
    expect(mistakes('a: &a [*a]\n')).not.toEqual([])
  })
})

test('what is not said has its default, and paths begin at the file', () => {
  const config = parse(`${SOURCE}sinks: [{type: file, path: out.ndjson}]`)
  expect(config).toMatchObject({
    name: 'shop',
    statePath: '/etc/tailrace/shop.state',
    bufferBytes: 16 * 1024 * 1024,
    source: { tables: 'orders', slot: 'tailrace_shop', existingSlot: 'refuse' },
    sinks: [{ name: 'file', type: 'file', onError: 'stop', retry: { firstMs: 500, maxMs: 30_000, attempts: 0 } }],
  })
})

test('a pipeline without a slot of its own, and one without a snapshot', () => {
  const source = (more: string) =>
    parse(`name: Web-Shop\nsource: {url: postgres://db/shop, tables: orders, ${more}}\n${SINKS}`).source
  expect(source('snapshot: never')).toMatchObject({ slot: 'tailrace_web_shop', existingSlot: 'resume' })
  expect(source('snapshot: only').slot).toBeUndefined()
  expect(source('cdc_mode: long_polling').slot).toBeUndefined()
  expect(source('slot: mine').slot).toBe('mine')
})

test('values come from the environment, as what they look like or as text, and can change nothing else', () => {
  const { source, sinks } = parse(`source:
  url: \${SHOP_URL}
  tables: ["\${SNEAKY}", "\${NO_TABLE:items}", "\${{LITERAL}}"]
  snapshot_workers: \${WORKERS}
  slot: \${NUMBER}
  messages: \${NO_MESSAGES:true}
sinks:
  - {type: file, path: "out/\${NUMBER}.ndjson", retry: {attempts: "\${WORKERS}"}, on_error: retry}
`)
  expect(source).toMatchObject({
    url: ENVIRONMENT.SHOP_URL,
    tables: [ENVIRONMENT.SNEAKY, 'items', `\${LITERAL}`],
    snapshotWorkers: 3,
    slot: '12',
    messages: true,
  })
  expect(sinks[0]).toMatchObject({ onError: 'retry' })
})
