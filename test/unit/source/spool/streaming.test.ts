import { expect, test } from 'vitest'
import { CONNECTION_LOST, SERVER_ERROR, SPOOL_FULL, STREAMING_GIVEN_UP } from '../../../../src/core/errors.js'
import { parseOptions, type SourceOptions } from '../../../../src/source/options.js'
import { chooseStreaming, giveUpStreaming } from '../../../../src/source/spool/streaming.js'

const options = (more: Partial<SourceOptions> = {}) =>
  parseOptions({ url: 'postgres://u@h/d', tables: 't', ...more } as SourceOptions<never>)

test('large transactions are streamed, but where a fault of streaming would take the slot with it', () => {
  const spool = { folder: undefined, memoryBytes: 16 * 1024 * 1024, maxBytes: undefined }
  expect(chooseStreaming(options(), false)).toEqual({ streaming: spool, workMem: '4MB' })
  expect(chooseStreaming(options(), true)).toEqual({ streaming: undefined, workMem: undefined })
  expect(chooseStreaming(options({ streaming: 'off' }), false)).toEqual({ streaming: undefined, workMem: undefined })
  const set = options({
    logicalDecodingWorkMem: '1 GB',
    spoolFolder: '/s',
    spoolMemoryBytes: 0,
    spoolMaxBytes: 2 ** 30,
  })
  expect(chooseStreaming(set, false)).toEqual({
    streaming: { folder: '/s', memoryBytes: 0, maxBytes: 2 ** 30 },
    workMem: '1 GB',
  })
  expect(chooseStreaming(set, true).workMem).toBe('1 GB')
  expect(() => options({ logicalDecodingWorkMem: '4 apples' })).toThrow(/a size such as 4MB is wanted/)
})

test('only what is of streaming alone is gone on without', () => {
  const full = SPOOL_FULL({ folder: '/s', problem: 'no room' })
  expect(giveUpStreaming(full)).toMatchObject({ type: 'warning', code: 'SPOOL_FULL', message: full.message })
  expect(giveUpStreaming(STREAMING_GIVEN_UP({ problem: 'x' }))).toMatchObject({ code: 'STREAMING_GIVEN_UP' })
  const fault = SERVER_ERROR({ sqlstate: 'XX000', message: 'could not map filenode' })
  expect(giveUpStreaming(fault)).toMatchObject({
    code: 'STREAMING_GIVEN_UP',
    message: expect.stringContaining('could not map filenode'),
  })
  expect(giveUpStreaming(SERVER_ERROR({ sqlstate: '42704', message: 'no publication' }))).toBeUndefined()
  expect(giveUpStreaming(CONNECTION_LOST({ to: 'x', problem: 'y' }))).toBeUndefined()
})
