import { type FileHandle, open, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, expect, test, vi } from 'vitest'
import { FORM_TEXT } from '../../../../src/codec/json/form.js'
import { writeJsonString } from '../../../../src/codec/json/text.js'
import { deferred } from '../../../../src/core/deferred.js'
import { VALUE_MALFORMED } from '../../../../src/core/errors.js'
import { Table } from '../../../../src/core/table.js'
import { FileSink } from '../../../../src/sinks/file/fileSink.js'
import { Batch } from '../../../../src/source/batch.js'
import { StreamPosition } from '../../../../src/source/position.js'
import { BatchBuilder, textTable } from '../../../support/rowBatches.js'
import { temporaryFolder } from '../../../support/temporaryFolder.js'

afterEach(() => {
  vi.restoreAllMocks()
})

const origin = { system: '1', timeline: 1, database: 'd', slot: 's', epoch: 1 }
const place = { seq: 0, sub: 0, fingerprint: 0, snapshot: undefined }

/** Rows of one text; that of an exclamation mark cannot be written. */
function batchOf(id: number, ...notes: readonly string[]): Batch {
  const codec = {
    form: FORM_TEXT + 90,
    readValue: () => '',
    writeJson: (...args: Parameters<typeof writeJsonString>) => {
      if (args[1][args[2]] === 0x21)
        throw VALUE_MALFORMED({ type: 'text', problem: 'it is told to fail', offset: 0, length: 1 })
      writeJsonString(...args)
    },
  }
  const { columns } = textTable('t', ['id', 'note'], [0])
  const shape = { oid: 1, schema: 'public', name: 't', columns, selected: [0, 1], key: [0] }
  const table = new Table({ ...shape, codecs: [codec, codec], replicaIdentity: 'default' } as never)
  const builder = new BatchBuilder([table])
  for (const note of notes) builder.create([String(id), note])
  const lsn = BigInt(id)
  return new Batch(builder.batch, new StreamPosition(origin, { ...place, lsn, end: lsn }), () => {})
}

function sinkOf(path: string): FileSink {
  const settings = { path, gzip: false, maxLineBytes: undefined, rotateBytes: undefined, rotateSeconds: undefined }
  return new FileSink(settings as never, { format: 'row', origin: { name: 'x', database: 'd' } } as never)
}

/** How every file writes, to be done otherwise. */
async function handlesOf(folder: string): Promise<FileHandle> {
  const handle = await open(join(folder, 'other'), 'a+')
  await handle.close()
  return Object.getPrototypeOf(handle) as FileHandle
}

const idsIn = async (path: string) =>
  (await readFile(path, 'utf8')).split('\n').map((line) => (line === '' ? '' : JSON.parse(line).id))

test('a sink that was closed while the disk hung writes nothing behind that, into a file that somebody else has by then', async () => {
  await using folder = await temporaryFolder()
  const path = join(folder.path, 'out')
  const handles = await handlesOf(folder.path)
  const { writev } = handles
  const hanging = deferred()
  let isHanging = true
  vi.spyOn(handles, 'writev').mockImplementation(async function (this: FileHandle, ...args) {
    const written = await writev.apply(this, args)
    if (isHanging) {
      isHanging = false
      await hanging.promise
    }
    return written
  })
  const first = sinkOf(path)
  await first.open(undefined)
  const mark = await first.flush({ end: false })
  await first.write(batchOf(1, 'x'.repeat(150_000)))
  const writing = first.write(batchOf(2, 'x'.repeat(150_000))).catch((error: Error) => error.message)
  const closing = first.close()
  const second = sinkOf(path)
  await second.open(mark)
  for (const id of [1, 2]) await second.write(batchOf(id, 'x'.repeat(150_000)))
  await second.flush({ end: false })
  hanging.resolve()
  expect(await writing).toBe('the file was closed')
  await closing
  await second.write(batchOf(3, 'x'))
  const { bytes } = (await second.flush({ end: true })) as { bytes: number }
  expect([await idsIn(path), (await readFile(path)).length]).toEqual([['1', '2', '3', ''], bytes])
  // And what the first one gave back late is the second one's still.
  expect(await readFile(`${path}.lock`, 'utf8')).toContain(String(process.pid))
  await second.close()
  await expect(readFile(`${path}.lock`)).rejects.toThrow('ENOENT')
})

test('of a record that cannot be written no half line comes into the file while the disk is busy', async () => {
  await using folder = await temporaryFolder()
  const path = join(folder.path, 'out')
  const handles = await handlesOf(folder.path)
  const { datasync } = handles
  const syncing = deferred()
  const sink = sinkOf(path)
  await sink.open(undefined)
  await sink.flush({ end: false })
  vi.spyOn(handles, 'datasync').mockImplementation(async function (this: FileHandle) {
    await syncing.promise
    return datasync.call(this)
  })
  await sink.write(batchOf(1, 'x'))
  const flushing = sink.flush({ end: false })
  await sink.write(batchOf(2, 'x'))
  await expect(sink.write(batchOf(3, 'x', '!'))).rejects.toThrow('it is told to fail')
  await new Promise((resolve) => setTimeout(resolve, 30))
  expect(await idsIn(path)).toEqual(['1', ''])
  syncing.resolve()
  await flushing
  await sink.close()
  expect(await idsIn(path)).toEqual(['1', ''])
})
