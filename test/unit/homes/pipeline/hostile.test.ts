import { truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { PIPELINE_INVALID, PIPELINE_UNREADABLE, type PipelineProblem } from '../../../../src/core/pipelineErrors.js'
import type { TailraceError } from '../../../../src/core/tailraceError.js'
import { parseTemplate } from '../../../../src/destination/template.js'
import { parsePipeline, readPipeline } from '../../../../src/homes/pipeline/config/pipelineConfig.js'
import { loadGrammar } from '../../../../src/processors/sql/grammar.js'
import { batchOf, chainOf, recordsOf, tableOf } from '../../../support/processing.js'
import { BatchBuilder } from '../../../support/rowBatches.js'
import { temporaryFolder } from '../../../support/temporaryFolder.js'

beforeAll(() => loadGrammar())

/** The mistakes of a file. */
function told(text: string): { readonly first: string; readonly all: readonly string[] } {
  try {
    parsePipeline('/etc/x.yaml', text, { A: 'a', B: 'b' })
    return { first: '', all: [] }
  } catch (error) {
    if (!PIPELINE_INVALID.is(error)) throw error
    const { problems } = (error as TailraceError).details as { problems: PipelineProblem[] }
    const all = problems.map(({ problem }) => problem)
    return { first: all[0]!, all }
  }
}

const SHOP = 'source: {url: postgres://app@db/shop, tables: orders}\nsinks: {out: {type: stdout}}\n'
const many = (count: number, make: (index: number) => string, between = ', ') =>
  Array.from({ length: count }, (_, index) => make(index)).join(between)
const LARGE = 'this file means more than a pipeline can be'
const DEEP = 'it is nested deeper than a pipeline can be'
const UNKNOWN = 'there is no such setting'

describe('a file that is small, or looks so, and means too much is refused within seconds, with few words', () => {
  test.each([
    ['aliases of aliases', many(9, (i) => `a${i}: &a${i} [${many(9, () => (i ? `*a${i - 1}` : 'x'))}]`, '\n'), LARGE],
    ['an alias of itself', 'a: &a {b: *a}', LARGE],
    ['an alias of nothing', 'a: *nothing', 'there is no &nothing before it'],
    ['aliases without number', `a: &a 1\nb: [${many(200_000, () => '*a')}]`, LARGE],
    ['aliases of other nodes', `b: [${many(9000, (i) => `&a${i} 1`)}, ${many(9000, (i) => `*a${i}`)}]`, UNKNOWN],
    ['lists within lists', `a: ${'['.repeat(100_000)}`, LARGE],
    ['maps within maps', `a: ${'{a: '.repeat(50_000)}1${'}'.repeat(50_000)}`, LARGE],
    ['maps by indentation', many(1300, (i) => `${' '.repeat(i)}a:`, '\n'), DEEP],
    ['lists by dashes', `a:\n ${'- '.repeat(50_000)}1`, DEEP],
    ['keys without number', many(80_000, (i) => `k${i}: 1`, '\n'), LARGE],
    ['as many keys as can be', many(5000, (i) => `k${i}: 1`, '\n'), UNKNOWN],
    ['one key for ever', 'a: 1\n'.repeat(5000), UNKNOWN],
    ['variables that are not closed', `a: "${'${'.repeat(200_000)}"`, UNKNOWN],
    ['variables within variables', `a: "${'${A:'.repeat(20_000)}${'}'.repeat(20_000)}"`, UNKNOWN],
    ['variables that are closed once', `a: "${`\${A:\${B}`.repeat(50_000)}"`, UNKNOWN],
    ['secrets that are not closed', `service: {}\na: "${'#{secret.'.repeat(50_000)}"`, UNKNOWN],
  ])(
    '%s',
    (_, text, problem) => {
      const started = process.cpuUsage()
      const { all } = told(text)
      expect(all).toContain(problem)
      expect(all.length).toBeLessThanOrEqual(201)
      expect(process.cpuUsage(started).user).toBeLessThan(5_000_000)
    },
    30_000,
  )

  test('what is no YAML at all has a few mistakes, not one for each part', () => {
    expect(told(`a: ${'!<tag:x> '.repeat(5000)}`).all.length).toBeLessThanOrEqual(20)
  })

  test('a file without end, and a very large one, are not read', async () => {
    await expect(readPipeline('/dev/zero')).rejects.toSatisfy(PIPELINE_UNREADABLE.is)
    await using folder = await temporaryFolder()
    const path = join(folder.path, 'large.yaml')
    await writeFile(path, SHOP)
    await truncate(path, 8 * 1024 ** 3)
    await expect(readPipeline(path)).rejects.toThrow('it is larger than a pipeline can be')
  })
})

describe('an expression that is too much says so', () => {
  const where = (expression: string) => told(`${SHOP}processors: [{type: filter, where: "${expression}"}]`).first
  test.each([
    ['parentheses', `${'('.repeat(20_000)}true${')'.repeat(20_000)}`, /memory exhausted/],
    ['negations', `${'NOT '.repeat(60_000)}true`, /memory exhausted/],
    ['sums', `${'1+'.repeat(60_000)}1=1`, /nested deeper|stack/],
    ['calls', `${'coalesce('.repeat(10_000)}true${')'.repeat(10_000)}`, /memory exhausted/],
    ['length', `a = '${'x'.repeat(300_000)}'`, /longer than 262144 characters/],
    ['digits', '1e9999999 = 1', /is not supported here/],
  ])('%s', (_, expression, problem) => {
    expect(where(expression)).toMatch(problem)
  })

  test('many conditions in a row are none too many, whatever their letters', () => {
    expect(where(`${"name <> 'ü' AND ".repeat(10_000)}true`)).toBe('')
    expect(where(`${"name <> 'ü' AND ".repeat(1000)}lenght(a) > 1`)).toBe(
      'the function lenght is not supported here: did you mean length? (character 16001)',
    )
  })
})

describe('patterns and texts of rows', () => {
  const table = tableOf('t', ['id int4', 'note text'])
  const run = (processor: string, note: string) => {
    const { chain, events } = chainOf(`  - {type: filter, on_error: skip, where: "${processor}"}`)
    return { records: recordsOf(chain.process(batchOf(new BatchBuilder([table]).create(['1', note]).batch))), events }
  }

  test('LIKE takes no longer than text times pattern; regular expressions are not there', () => {
    const started = process.cpuUsage()
    expect(run(`note LIKE '${'%a'.repeat(200)}%b'`, 'a'.repeat(20_000)).records).toEqual([])
    expect(run(`note ILIKE '${'%a_'.repeat(200)}%b'`, 'A'.repeat(20_000)).records).toEqual([])
    expect(process.cpuUsage(started).user).toBeLessThan(5_000_000)
    for (const expression of ["note ~ '(a+)+$'", "note ~* 'a'", "note SIMILAR TO '(a|a)*b'", "note !~ 'a'"]) {
      expect(told(`${SHOP}processors: [{type: filter, where: "${expression}"}]`).first).toMatch(/not supported here/)
    }
    expect(told(`${SHOP}processors: [{type: filter, where: "regexp_replace(note, '(a+)+', '') = ''"}]`).first).toMatch(
      /not supported here/,
    )
  }, 30_000)

  test('a value that becomes larger than a text can be fails its record alone', () => {
    const { records, events } = run("length(replace(note, 'x', note)) > 1", 'x'.repeat(40_000))
    expect(records).toEqual([])
    expect(events.slice(1)).toMatchObject([
      { type: 'processor-skipped', problem: expect.stringContaining('it needs more than there is') },
    ])
  })
})

describe('names of prototypes are names', () => {
  const odd = tableOf('odd', ['id int4', '__proto__ text', 'constructor jsonb', 'toString text'])
  const row = ['1', 'p', '{"__proto__": {"x": "deep"}, "constructor": {"name": "c"}}', 's']
  const afterOf = (processors: string) => {
    const { chain } = chainOf(processors)
    const [record] = recordsOf(chain.process(batchOf(new BatchBuilder([odd]).create(row).batch)))
    return Object.entries(record!.after as object)
  }

  test('columns called so pass, are filtered, renamed, dropped, masked and flattened', () => {
    expect(afterOf("  - {type: filter, where: '\"__proto__\" = ''p'' AND \"constructor\" IS NOT NULL'}")).toHaveLength(
      4,
    )
    const others = afterOf(`
  - {type: mask, redact: [__proto__, toString]}
  - {type: flatten, column: constructor, fields: [__proto__.x, constructor.name, hasOwnProperty, __proto__.__proto__], prefix: f_}
  - {type: rename, columns: {toString: __proto__x, f_constructor_name: hasOwnProperty}}`)
    expect(others).toEqual([
      ['id', 1],
      ['__proto__', '***'],
      ['__proto__x', '***'],
      ['f___proto___x', 'deep'],
      ['hasOwnProperty', 'c'],
      ['f_hasOwnProperty', null],
      ['f___proto_____proto__', null],
    ])
    expect(afterOf('  - {type: drop, columns: [__proto__]}').map(([name]) => name)).toEqual([
      'id',
      'constructor',
      'toString',
    ])
    expect(({} as { x?: string }).x).toBeUndefined()
  })

  test('what a map of settings would lose is told', () => {
    const first = (processor: string) => told(`${SHOP}processors: [${processor}]`).first
    for (const processor of [
      '{type: rename, columns: {__proto__: x}}',
      '{type: cast, columns: {__proto__: text}}',
      '{type: javascript, code: x, add: {__proto__: text}}',
      '{type: http, endpoint: "http://h/", headers: {__proto__: x}}',
    ]) {
      expect(first(processor)).toBe('__proto__ cannot be a name in this map')
    }
    expect(first('{type: constructor}')).toMatch(/^there is no processor of type constructor/)
    expect(first('{type: __proto__}')).toMatch(/^there is no processor of type __proto__/)
    expect(
      told(
        'sinks: {__proto__: {type: stdout}, toString: {type: constructor}}\nsource: {url: postgres://app@db/shop, tables: orders}',
      ).all.length,
    ).toBeGreaterThan(0)
  })

  test('a template of tables has the fields it has', () => {
    for (const field of ['__proto__', 'constructor', 'toString']) {
      expect(() => parseTemplate(`copy.{${field}}`)).toThrow(`there is no field {${field}}`)
    }
    expect(parseTemplate('{schema}.{table}')({ schema: '__proto__', name: 'constructor' })).toEqual({
      schema: '__proto__',
      name: 'constructor',
    })
  })

  test('streams and columns of a Blink file are called what they are called', () => {
    const { source } = parsePipeline(
      '/etc/blink.yaml',
      `service: {pipeline_id: 7}
source:
  driver: postgres_cdc
  stream_schema:
    - {stream: __proto__, columns: [{name: __proto__, databrewType: String, pk: true}, {name: constructor, databrewType: Int32}]}
    - {stream: constructor, columns: [{name: toString, databrewType: String, pk: true}]}
  config: {host: h, database: d, user: u, slot_name: x, schema: __proto__}
sink: {driver: stdout}
`,
      {},
    )
    expect(source.tables).toEqual(['__proto__.__proto__', '__proto__.constructor'])
    expect(Object.entries(source.columns as object)).toEqual(
      [
        ['__proto__.__proto__', ['__proto__', 'constructor']],
        ['__proto__.constructor', ['toString']],
      ].map(([name, columns]) => [name, columns]),
    )
    expect(
      told(
        'service: {pipeline_id: 7}\nsource:\n  driver: postgres_cdc\n  stream_schema: [{stream: t, columns: [{name: id, databrewType: constructor}]}]\n  config: {host: h, database: d, user: u}\nsink: {driver: stdout}\n',
      ).first,
    ).toMatch(/there is no type constructor/)
  })
})
