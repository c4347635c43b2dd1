import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { formatProblem, PIPELINE_INVALID, type PipelineProblem } from '../../../../src/core/pipelineErrors.js'
import type { TailraceError } from '../../../../src/core/tailraceError.js'
import { type PipelineConfig, readPipeline } from '../../../../src/homes/pipeline/config/pipelineConfig.js'
import { temporaryFolder } from '../../../support/temporaryFolder.js'

const SINK = '{ open: async () => {}, write: async () => {}, flush: async () => null, close: async () => {} }'
const PASSWORD = 'c0rrect-horse'

/** A pipeline with these lines under `sinks:`, and these modules beside it. */
async function read(sinks: string, modules: Readonly<Record<string, string>>): Promise<PipelineConfig> {
  await using folder = await temporaryFolder()
  for (const [name, text] of Object.entries(modules)) {
    await mkdir(join(folder.path, name, '..'), { recursive: true })
    await writeFile(join(folder.path, name), text)
  }
  const file = join(folder.path, 'shop.yaml')
  await writeFile(
    file,
    `source: {url: postgres://app@db/shop, tables: orders}\nsinks:\n${sinks.replace('$SECRET', `"\${SECRET}"`)}\n`,
  )
  return await readPipeline(file, { SECRET: PASSWORD })
}

async function mistakes(sinks: string, modules: Readonly<Record<string, string>> = {}): Promise<string[]> {
  const error = await read(sinks, modules).catch((one) => one)
  if (!PIPELINE_INVALID.is(error)) throw error
  const { problems } = (error as TailraceError).details as { problems: PipelineProblem[] }
  return problems.map((problem) =>
    formatProblem('', problem)
      .slice(1)
      .replaceAll(/\/tmp\/\S*\/|\/dev\/\S*\//g, '…/'),
  )
}

test('a module makes its sink of its settings and of what it is to know', async () => {
  const { sinks } = await read(
    '  mine: {type: ./sinks/own.mjs, settings: {url: $SECRET, parts: [1, {a: true}]}, on_error: retry}',
    {
      'sinks/own.mjs': `export default { create: (settings, place) => { globalThis.made = { settings, place }; return ${SINK} } }`,
    },
  )
  expect(sinks).toMatchObject([{ name: 'mine', type: './sinks/own.mjs', onError: 'retry' }])
  sinks[0]!.create()
  expect((globalThis as unknown as { made: unknown }).made).toEqual({
    settings: { url: PASSWORD, parts: [1, { a: true }] },
    place: { folder: expect.any(String), pipeline: 'shop', sink: 'mine', database: 'shop' },
  })
})

test('a function is enough, and several sinks may be of one module', async () => {
  const { sinks } = await read('  - {type: ./own.mjs, name: a}\n  - {type: ./own.mjs, name: b}\n  - {type: stdout}', {
    'own.mjs': `export default () => (${SINK})`,
  })
  expect(sinks.map(({ name }) => name)).toEqual(['a', 'b', 'stdout'])
  for (const sink of sinks) expect(sink.create()).toHaveProperty('write')
})

const TYPED = `export default {
  problems: ({ url, ...others }) => [
    ...(url === undefined ? [{ name: 'url', problem: 'it is required' }] : []),
    ...Object.keys(others).map((name) => ({ name, problem: 'there is no such setting' })),
  ],
  claims: ({ url }) => url,
  create: () => (${SINK}),
}`

test.each<[string, string, Readonly<Record<string, string>>, string[]]>([
  [
    'a module that is not there',
    '  mine: {type: ./gone.mjs}',
    {},
    ['3:16: sinks.mine.type: there is no module …/gone.mjs. The path is relative to the pipeline’s file'],
  ],
  [
    'one that throws',
    '  mine: {type: ./own.mjs}',
    { 'own.mjs': "\nthrow new Error('no licence')" },
    ['3:16: sinks.mine.type: ./own.mjs cannot be loaded: no licence (line 2)'],
  ],
  [
    'one that needs what is not installed',
    '  mine: {type: ./own.mjs}',
    { 'own.mjs': "import '@own/client'" },
    [expect.stringMatching(/^3:16: .* cannot be loaded: .*@own\/client.*npm install @own\/client beside it$/)],
  ],
  [
    'one that needs a file which is not there',
    '  mine: {type: ./own.mjs}',
    { 'own.mjs': "import './gone.mjs'" },
    [expect.stringMatching(/^3:16: .* \.\/own\.mjs cannot be loaded: .*gone\.mjs/)],
  ],
  [
    'one that exports something else',
    '  mine: {type: ./own.mjs}',
    { 'own.mjs': 'export class MySink {}' },
    [
      '3:16: sinks.mine.type: ./own.mjs: a default export is expected, a function or an object with create, and there is none; it exports MySink. docs/sinks/own.md has an example',
    ],
  ],
  [
    'one whose default export has no create',
    '  mine: {type: ./own.mjs}',
    { 'own.mjs': 'export default { make: () => {} }' },
    [expect.stringContaining('and it is an object without it')],
  ],
  [
    'settings that it does not take, as it says',
    '  mine:\n    type: ./own.mjs\n    settings:\n      uri: a',
    { 'own.mjs': TYPED },
    ['6:7: sinks.mine.settings.url: it is required', '6:12: sinks.mine.settings.uri: there is no such setting'],
  ],
  [
    'settings beside "settings", and one of ours misspelt',
    '  mine: {type: ./own.mjs, url: a, on_eror: retry}',
    { 'own.mjs': `export default () => (${SINK})` },
    [
      expect.stringContaining('sinks.mine.url: there is no such setting'),
      expect.stringContaining('sinks.mine.on_eror: there is no such setting. Did you mean on_error?'),
    ],
  ],
  [
    'settings that are no map',
    '  mine: {type: ./own.mjs, settings: a}',
    { 'own.mjs': `export default () => (${SINK})` },
    [expect.stringContaining('sinks.mine.settings: a map of settings is expected here, not a string')],
  ],
  [
    'a check that throws',
    '  mine: {type: ./own.mjs}',
    { 'own.mjs': `export default { problems: (s) => s.a.b, create: () => (${SINK}) }` },
    [expect.stringContaining('sinks.mine.settings: Cannot read properties of undefined')],
  ],
  [
    'two that write to the same',
    '  a: {type: ./own.mjs, settings: {url: x}}\n  b: {type: ./own.mjs, settings: {url: x}}',
    { 'own.mjs': TYPED },
    ['4:3: sinks.b: it writes to the same as the sink a'],
  ],
])('%s', async (_, sinks, modules, expected) => {
  expect(await mistakes(sinks, modules)).toEqual(expected)
})

test('what a module makes that is no sink is told with its name', async () => {
  const { sinks } = await read('  mine: {type: ./own.mjs}', { 'own.mjs': 'export default () => ({})' })
  expect(() => sinks[0]!.create()).toThrow('the sink mine is none: it has no method open')
})
