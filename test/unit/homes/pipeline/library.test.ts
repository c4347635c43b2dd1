import { expect, test } from 'vitest'
import { type PipelineOptions, runPipeline } from '../../../../src/homes/pipeline/library.js'
import type { Sink } from '../../../../src/sinks/sink.js'
import { temporaryFolder } from '../../../support/temporaryFolder.js'

const SINK: Sink = { open: async () => {}, write: async () => {}, flush: async () => null, close: async () => {} }
const OPTIONS = {
  name: 'shop',
  source: { url: 'postgres://app@127.0.0.1:1/shop', tables: ['orders'] },
  sinks: { mine: SINK },
}

/** How a pipeline with these options ends that gets no further than to its sinks. */
async function failure(more: object): Promise<unknown> {
  await using folder = await temporaryFolder()
  const options = { ...OPTIONS, state: `${folder.path}/shop.state`, ...more } as PipelineOptions
  return await runPipeline(options).catch((error) => error)
}

test.each<[string, object, object]>([
  ['an unknown option', { bufferByte: 1 }, { code: 'SETTING_UNKNOWN', message: expect.stringContaining('bufferByte') }],
  ['no name', { name: undefined }, { code: 'SETTING_INVALID' }],
  ['a name that is no file', { name: '../x' }, { code: 'SETTING_INVALID' }],
  ['no sinks', { sinks: {} }, { code: 'SETTING_INVALID', message: expect.stringContaining('at least one') }],
  ['a setting of the source', { source: { ...OPTIONS.source, slott: 'x' } }, { code: 'SETTING_UNKNOWN' }],
  ['a sink that is none', { sinks: { mine: {} } }, { code: 'SINK_INVALID', message: expect.stringContaining('mine') }],
  ['a policy that is none', { sinks: { mine: { sink: SINK, onError: 'skip' } } }, { code: 'SETTING_INVALID' }],
  ['dead letters', { sinks: { mine: { sink: SINK, onError: 'dead-letter' } } }, { code: 'SETTING_INVALID' }],
  ['retries that are none', { sinks: { mine: { sink: SINK, retry: { times: 3 } } } }, { code: 'SETTING_UNKNOWN' }],
  ['more than a sink', { sinks: { mine: { sink: SINK, path: 'x' } } }, { code: 'SETTING_UNKNOWN' }],
  [
    'a type that is none',
    { sinks: { mine: { type: 'flie' } } },
    { code: 'SETTING_INVALID', message: expect.stringContaining('file') },
  ],
  ['a type’s setting', { sinks: { mine: { type: 'file', pth: 'x' } } }, { code: 'SETTING_UNKNOWN' }],
  [
    'a type’s settings together',
    { sinks: { mine: { type: 'file', path: 'x-{number}' } } },
    { code: 'SETTING_INVALID' },
  ],
])('%s is an error before anything is done', async (_, more, expected) => {
  expect(await failure(more)).toMatchObject(expected)
})

test('a sink that fails ends the run with its error, and is closed; what passes is tried again as its policy says', async () => {
  const events: string[] = []
  const failing = (error: Error) => {
    const sink = { ...SINK, open: () => Promise.reject(error), close: async () => void events.push('closed') }
    return { sink: () => sink, retry: { firstMs: 1, maxMs: 1, attempts: 2 } }
  }
  const onEvent = ({ type }: { readonly type: string }) => void events.push(type)
  expect(await failure({ sinks: { mine: failing(new Error('no disk')) }, onEvent })).toMatchObject({
    code: 'SINK_FAILED',
    message: 'the sink mine failed in open: no disk',
    cause: { message: 'no disk' },
  })
  expect(events.slice(0, 2)).toEqual(['closed', 'sink-failed'])
  events.length = 0
  const passing = Object.assign(new Error('busy'), { retry: 'later' })
  expect(await failure({ sinks: { mine: failing(passing) }, onEvent })).toMatchObject({ code: 'SINK_UNAVAILABLE' })
  expect(events.filter((type) => type === 'sink-retrying')).toHaveLength(2)
})
