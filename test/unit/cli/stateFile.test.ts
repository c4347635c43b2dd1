import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { readState, type State, writeState } from '../../../src/cli/stream/stateFile.js'
import { temporaryFolder } from '../../support/temporaryFolder.js'

const position = {
  version: 1,
  system: '7000000000000000000',
  timeline: 1,
  database: 'shop',
  slot: 'tailrace_shop',
  epoch: 1,
  lsn: '0/16B3748',
  seq: 3,
  sub: 0,
  end: '0/16B3780',
}

test('a state is read as it was written, and replaces the one before as a whole', async () => {
  await using folder = await temporaryFolder()
  const path = join(folder.path, 'state')
  expect(await readState(path)).toBeUndefined()
  const first: State = { version: 1, position: null, output: { file: null, start: 0, bytes: 0 } }
  const second: State = { version: 1, position, output: { file: '/tmp/o', start: 5, bytes: 9 } }
  for (const state of [first, second]) {
    await writeState(path, state)
    expect(await readState(path)).toEqual(state)
    expect(await readdir(folder.path)).toEqual(['state'])
  }
  expect((await readFile(path, 'utf8')).endsWith('}\n')).toBe(true)
})

describe('refused as corrupt, by its path:', () => {
  const output = { file: null, start: 0, bytes: 0 }
  test.each([
    ['an empty file', ''],
    ['blanks', ' \n'],
    ['a torn one', '{"version":1,"position":{"ver'],
    ['a list', '[1, 2]'],
    ['null', 'null'],
    ['a later version', { version: 2, position: null }],
    ['no position', { version: 1, output }],
    ['an empty position', { version: 1, position: {}, output }],
    ['a position of a later version', { version: 1, position: { ...position, version: 2 }, output }],
    ['a position without its slot', { version: 1, position: { ...position, slot: undefined }, output }],
    ['a position that is no LSN', { version: 1, position: { ...position, lsn: 'x' }, output }],
    ['an output that is a number', { version: 1, position, output: 7 }],
    ['an output that is null', { version: 1, position, output: null }],
    ['an output without a length', { version: 1, position, output: { file: null, start: 0 } }],
    ['a length that is text', { version: 1, position, output: { file: null, start: '0', bytes: 0 } }],
    ['an output file that is no name', { version: 1, position, output: { file: 1, start: 0, bytes: 0 } }],
  ])('%s', async (_, content) => {
    await using folder = await temporaryFolder()
    const path = join(folder.path, 'state')
    await writeFile(path, typeof content === 'string' ? content : JSON.stringify(content))
    await expect(readState(path)).rejects.toMatchObject({ code: 'STATE_CORRUPT', details: { path } })
  })
})

test('a folder that is not there is told as such, with the path', async () => {
  await using folder = await temporaryFolder()
  const path = join(folder.path, 'no', 'state')
  const state: State = { version: 1, position: null, output: undefined }
  await expect(writeState(path, state)).rejects.toMatchObject({ code: 'STATE_FAILED', details: { path } })
  await expect(readState(folder.path)).rejects.toMatchObject({ code: 'STATE_FAILED' })
})
