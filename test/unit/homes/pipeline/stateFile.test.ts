import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import {
  type PipelineState,
  readPipelineState,
  writePipelineState,
} from '../../../../src/homes/pipeline/run/stateFile.js'
import { temporaryFolder } from '../../../support/temporaryFolder.js'

const sink = { position: null, mark: { bytes: 9 }, start: null }

test('a state is read as it was written; where there is no file there is none', async () => {
  await using folder = await temporaryFolder()
  const path = join(folder.path, 'state')
  expect(await readPipelineState(path)).toBeUndefined()
  const state = { version: 1, sinks: { copy: sink } } as unknown as PipelineState
  await writePipelineState(path, state)
  expect(await readPipelineState(path)).toEqual(state)
})

describe('refused as corrupt, by its path and what is wrong:', () => {
  test.each([
    ['a torn one', '{"version":1,"si', 'it is no JSON'],
    ['a list', '[1]', 'it is no JSON object'],
    ['a later version', { version: 2, sinks: {} }, 'its version is 2, not 1'],
    ['one of stream', { version: 1, position: null }, 'maybe one of tailrace stream'],
    ['a sink that is a number', { version: 1, sinks: { copy: 7 } }, 'of the sink copy is damaged'],
    ['a position that is none', { version: 1, sinks: { copy: { ...sink, position: { version: 2 } } } }, 'position'],
    ['a mark that is text', { version: 1, sinks: { copy: { ...sink, mark: 'x' } } }, 'the mark of the sink copy'],
    ['pending that is a number', { version: 1, sinks: { copy: sink }, pending: 7 }, 'its "pending" is damaged'],
    [
      'a pending place without sinks',
      { version: 1, sinks: { copy: sink }, pending: [{ position: null }] },
      '"pending"',
    ],
    [
      'a pending position that is none',
      { version: 1, sinks: { copy: sink }, pending: [{ position: { version: 2 }, sinks: {} }] },
      'position',
    ],
    [
      'a pending sink that is damaged',
      { version: 1, sinks: { copy: sink }, pending: [{ position: null, sinks: { file: { ...sink, mark: 7 } } }] },
      'the mark of the sink file',
    ],
    ['a start that is a list', { version: 1, sinks: { copy: { ...sink, start: [] } } }, 'the mark of the sink copy'],
  ])('%s', async (_, content, problem) => {
    await using folder = await temporaryFolder()
    const path = join(folder.path, 'state')
    await writeFile(path, typeof content === 'string' ? content : JSON.stringify(content))
    await expect(readPipelineState(path)).rejects.toMatchObject({
      code: 'STATE_CORRUPT',
      details: { path },
      message: expect.stringContaining(problem),
    })
  })
})
