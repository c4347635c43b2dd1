import { readFile, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { AheadFile, aheadOf } from '../../../src/cli/stream/aheadFile.js'
import type { State } from '../../../src/cli/stream/stateFile.js'
import { Output } from '../../../src/sinks/files/output.js'
import { StreamPosition } from '../../../src/source/position.js'
import { unreadTable } from '../../../src/source/scan/progress.js'
import { temporaryFolder } from '../../support/temporaryFolder.js'

const ORIGIN = { system: '1', timeline: 1, database: 'd', slot: 's', epoch: 1 }

/** After `rows` rows of a snapshot, or in the stream. */
function positionAt(rows: number | undefined, { begun = false } = {}): StreamPosition {
  const table = unreadTable({ oid: 1, id: 't', schema: 'public', name: 't', key: ['id'] })
  const snapshot = rows === undefined ? undefined : { id: 'x', rows, tables: [{ ...table, begun }] }
  return new StreamPosition(ORIGIN, { lsn: 8n, seq: -1, sub: 0, end: 8n, fingerprint: 0, snapshot })
}

/** A run that has written nothing yet, and what the next one would find. */
async function runIn(folder: string) {
  const [statePath, file] = [join(folder, 'state'), join(folder, 'out')]
  const output = await Output.open(file)
  const state: State = { version: 1, position: null, output: { file, start: 0, bytes: 0 } }
  const ahead = new AheadFile(statePath, state, 0)
  return {
    ...{ ahead, file, state, path: `${statePath}.ahead` },
    write: async (text: string, position: StreamPosition) => {
      const lines = [Buffer.from(text)]
      await output.write(lines)
      ahead.wrote(lines, position, output.bytes)
    },
    /** Of the state, once the run was killed. */
    found: async (stored: State = state) => {
      await ahead.close()
      const reopened = await Output.open(file)
      const found = await aheadOf(statePath, stored, reopened)
      await reopened.close()
      return found && { rows: StreamPosition.parse(found.position).place.snapshot?.rows, bytes: found.output?.bytes }
    },
    [Symbol.asyncDispose]: () => output.close(),
  }
}

test('what a killed run wrote of a snapshot behind its state is found by the next', async () => {
  await using folder = await temporaryFolder()
  await using run = await runIn(folder.path)
  await run.write('one\n', positionAt(1))
  await run.write('two\n', positionAt(2))
  expect(await run.found()).toEqual({ rows: 2, bytes: 8 })
})

test('it counts from the state that was recorded last, and for no other', async () => {
  await using folder = await temporaryFolder()
  await using run = await runIn(folder.path)
  await run.write('one\n', positionAt(1))
  run.ahead.records(4)
  // Written while the disk is waited for.
  await run.write('two\n', positionAt(2))
  run.ahead.recorded(positionAt(1).toJSON())
  await run.write('three\n', positionAt(3))
  const recorded: State = { ...run.state, position: positionAt(1).toJSON(), output: { ...run.state.output!, bytes: 4 } }
  expect(await run.found(recorded)).toEqual({ rows: 3, bytes: 14 })
  expect(await run.found()).toBeUndefined()
  expect(await run.found({ ...recorded, position: positionAt(9).toJSON() })).toBeUndefined()
})

test('an output that is not what it tells of, as after a crash of the machine, does not count', async () => {
  await using folder = await temporaryFolder()
  await using run = await runIn(folder.path)
  await run.write('one\n', positionAt(1))
  await run.write('two\n', positionAt(2))
  expect(await run.found()).toBeDefined()
  await writeFile(run.file, 'one\n\0\0\0\0')
  expect(await run.found()).toBeUndefined()
  await truncate(run.file, 6)
  expect(await run.found()).toBeUndefined()
})

test('a torn line of its own does not count', async () => {
  await using folder = await temporaryFolder()
  await using run = await runIn(folder.path)
  await run.write('one\n', positionAt(1))
  expect(await run.found()).toBeDefined()
  const line = await readFile(run.path, 'utf8')
  await writeFile(run.path, line.replace('"bytes":4', '"bytes":3'))
  expect(await run.found()).toBeUndefined()
  await writeFile(run.path, line.slice(0, -1))
  expect(await run.found()).toBeUndefined()
})

test('rows that would come again are not counted before there is a place behind them', async () => {
  await using folder = await temporaryFolder()
  await using run = await runIn(folder.path)
  await run.write('one\n', positionAt(1))
  await run.write('two\n', positionAt(2, { begun: true }))
  // A state of the place before them, while they stand behind it.
  run.ahead.records(4)
  run.ahead.recorded(positionAt(1).toJSON())
  await run.write('three\n', positionAt(3))
  expect(await run.found()).toEqual({ rows: 1, bytes: 4 })
})

test('the stream is left to the checkpoints', async () => {
  await using folder = await temporaryFolder()
  await using run = await runIn(folder.path)
  await run.write('one\n', positionAt(undefined))
  await run.write('two\n', positionAt(2))
  expect(await run.found()).toBeUndefined()
})
