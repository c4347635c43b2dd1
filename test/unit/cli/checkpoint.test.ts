import { access, mkdir, readFile, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test, vi } from 'vitest'
import { Checkpoint } from '../../../src/cli/stream/checkpoint.js'
import { Output } from '../../../src/sinks/files/output.js'
import { StreamPosition } from '../../../src/source/position.js'
import { temporaryFolder } from '../../support/temporaryFolder.js'

function positionAt(lsn: bigint): StreamPosition {
  const origin = { system: '1', timeline: 1, database: 'd', slot: 's', epoch: 1 }
  return new StreamPosition(origin, { lsn, seq: 0, sub: 0, end: lsn + 8n, fingerprint: 0, snapshot: undefined })
}

/** A checkpoint over real files, with what happened to them in order. */
async function checkpointIn(folder: string) {
  const happened: string[] = []
  const path = join(folder, 'state')
  const output = await Output.open(join(folder, 'out'))
  const sync = output.sync.bind(output)
  const synced = vi.spyOn(output, 'sync').mockImplementation(async () => {
    happened.push(`sync ${output.bytes}`)
    await sync()
  })
  const ack = async (position: { toString(): string }) => {
    // What is confirmed is in the state file by then.
    const state = JSON.parse(await readFile(path, 'utf8'))
    happened.push(`state ${state.position.lsn} ${state.output.bytes}`, `ack ${JSON.parse(String(position)).lsn}`)
  }
  const failures: unknown[] = []
  const checkpoint = new Checkpoint({ output, statePath: path, file: join(folder, 'out'), start: 0, ack }, (error) =>
    failures.push(error),
  )
  return { checkpoint, output, happened, failures, path, synced }
}

test('lines are durable before the state says so, and the state is before the slot hears of it', async () => {
  await using folder = await temporaryFolder()
  const { checkpoint, output, happened } = await checkpointIn(folder.path)
  await output.write([Buffer.from('one\n')])
  checkpoint.wrote(positionAt(8n))
  await output.write([Buffer.from('two\n')])
  checkpoint.wrote(positionAt(16n))
  await checkpoint.now()
  // Nothing was written since.
  await checkpoint.now()
  expect(happened).toEqual(['sync 8', 'state 0/10 8', 'ack 0/10'])
  await output.close()
})

test('it comes by itself, soon after a line was written', async () => {
  await using folder = await temporaryFolder()
  const { checkpoint, output, happened } = await checkpointIn(folder.path)
  await output.write([Buffer.from('one\n')])
  checkpoint.wrote(positionAt(8n))
  await vi.waitFor(() => expect(happened).toEqual(['sync 4', 'state 0/8 4', 'ack 0/8']))
  await output.close()
})

test('lines that did not become durable are not recorded, a state that could not be written is not confirmed', async () => {
  await using folder = await temporaryFolder()
  const { checkpoint, output, happened, failures, path, synced } = await checkpointIn(folder.path)
  await output.write([Buffer.from('one\n')])
  synced.mockRejectedValueOnce(new Error('the disk is gone'))
  checkpoint.wrote(positionAt(8n))
  await vi.waitFor(() => expect(failures).toEqual([new Error('the disk is gone')]))
  await expect(access(path)).rejects.toThrow('ENOENT')
  // Nor does a later one that succeeds pass over it.
  checkpoint.wrote(positionAt(16n))
  await expect(checkpoint.now()).rejects.toThrow('the disk is gone')
  expect(happened).toEqual([])
  await output.close()
})

test('closed, it records what was under way, and nothing by itself', async () => {
  await using folder = await temporaryFolder()
  const { checkpoint, output, happened } = await checkpointIn(folder.path)
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  try {
    await output.write([Buffer.from('one\n')])
    checkpoint.wrote(positionAt(8n))
    void checkpoint.now()
    await output.write([Buffer.from('two\n')])
    checkpoint.wrote(positionAt(16n))
    expect(vi.getTimerCount()).toBe(1)
    await checkpoint.close()
    expect(vi.getTimerCount()).toBe(0)
  } finally {
    vi.useRealTimers()
  }
  expect(happened.at(-1)).toBe('ack 0/8')
  await output.close()
})

test('a state file that cannot be replaced stops before the confirmation', async () => {
  await using folder = await temporaryFolder()
  const { checkpoint, output, happened, path } = await checkpointIn(folder.path)
  await mkdir(`${path}.d`)
  await rename(`${path}.d`, path)
  await output.write([Buffer.from('one\n')])
  checkpoint.wrote(positionAt(8n))
  await expect(checkpoint.now()).rejects.toMatchObject({ code: 'STATE_FAILED' })
  expect(happened).toEqual(['sync 4'])
  await output.close()
})
