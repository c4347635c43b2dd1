import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, open, readdir, writeFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { SpoolFolder } from '../../../../src/source/spool/spoolFolder.js'
import { SpoolStore, type SpoolStoreOptions } from '../../../../src/source/spool/spoolStore.js'
import { temporaryFolder } from '../../../support/temporaryFolder.js'
import { waitFor } from '../../../support/waitFor.js'

function storeIn(parent: string, options: Partial<SpoolStoreOptions> = {}) {
  const failures: unknown[] = []
  const store = new SpoolStore({
    parent,
    memoryBytes: 0,
    maxBytes: undefined,
    plainBytes: 0,
    onRoom: () => {},
    onFailure: (error) => failures.push(error),
    ...options,
  })
  const put = (text: string) => {
    const bytes = store.allocate(text.length + 100)
    return store.put(bytes, bytes.write(text))
  }
  return { store, put, failures }
}

/** The files in the folders of this folder. */
async function filesIn(parent: string): Promise<string[]> {
  const found = await readdir(parent, { recursive: true })
  return found.filter((name) => name.endsWith('.spool')).map((name) => join(parent, name))
}

async function allWritten(store: SpoolStore, blocks: readonly { bytes: unknown }[]): Promise<void> {
  await waitFor(() => blocks.every(({ bytes }) => bytes === undefined), { what: 'the blocks to be written' })
  expect(store.storedBytes).toBeGreaterThan(0)
}

test.each([
  ['compressed', 0],
  ['as they are', 1e9],
  ['as they are, then compressed', 10_000],
])(
  'blocks that are written %s come back as they were, in any order, and files go with the last',
  async (_, plainBytes) => {
    await using folder = await temporaryFolder()
    const { store, put, failures } = storeIn(folder.path, { plainBytes })
    const texts = Array.from({ length: 20 }, (_, index) => `block ${index} `.repeat(100 * index))
    const blocks = texts.map(put)
    await allWritten(store, blocks)
    const whole = texts.join('').length
    if (plainBytes > whole) expect(store.storedBytes).toBe(whole)
    else expect(store.storedBytes).toBeLessThan(plainBytes + whole / 5)
    for (const index of [7, 0, 19, 3]) expect((await store.take(blocks[index]!)).toString()).toBe(texts[index])
    expect(await filesIn(folder.path)).toHaveLength(1)
    for (const block of blocks) store.release(block)
    await waitFor(async () => (await filesIn(folder.path)).length === 0, { what: 'the file to be removed' })
    expect(store.storedBytes).toBe(0)
    await store.clean()
    expect(await readdir(folder.path)).toEqual([])
    expect(failures).toEqual([])
  },
)

test('buffers that were written are filled again, and never while somebody reads what was in them', async () => {
  await using folder = await temporaryFolder()
  const { store } = storeIn(folder.path, { plainBytes: 1e9 })
  const fill = (character: string) => {
    const bytes = store.allocate(4096)
    return { bytes, block: store.put(bytes.fill(character), 4096) }
  }
  const [early, written] = [fill('a'), fill('b')]
  const taken = await store.take(early.block)
  await allWritten(store, [written.block])
  const again = fill('c')
  expect(again.bytes).toBe(written.bytes)
  expect(taken.toString()).toBe('a'.repeat(4096))
  expect((await store.take(written.block)).toString()).toBe('b'.repeat(4096))
  expect((await store.take(again.block)).toString()).toBe('c'.repeat(4096))
  await store.clean()
})

test('the first bytes stay in memory', async () => {
  await using folder = await temporaryFolder()
  const { store, put } = storeIn(folder.path, { memoryBytes: 1000 })
  const [first, second] = [put('a'.repeat(800)), put('b'.repeat(800))]
  await allWritten(store, [second])
  expect(first.bytes).toBeDefined()
  expect((await store.take(first)).toString()).toBe('a'.repeat(800))
  store.release(second)
  await store.clean()
})

const another = (path: string) => overwrite(path, 5)
const cutOff = (path: string) => cut(path, 10)
test.each([
  ['a byte that is another', 'is not that of what was written', another, 0],
  ['a byte that is another, not compressed', 'is not that of what was written', another, 1e9],
  ['a missing end', 'are missing at', cutOff, 0],
  ['a missing end, not compressed', 'are missing at', cutOff, 1e9],
])('%s is SPOOL_DAMAGED', async (_, problem, damage, plainBytes) => {
  await using folder = await temporaryFolder()
  const { store, put } = storeIn(folder.path, { plainBytes })
  const block = put('something '.repeat(500))
  await allWritten(store, [block])
  const [path] = await filesIn(folder.path)
  await damage(path!)
  await expect(store.take(block)).rejects.toMatchObject({
    code: 'SPOOL_DAMAGED',
    message: expect.stringContaining(problem),
  })
  await store.clean()
})

test('more than it may have is SPOOL_FULL, and a folder that is not there SPOOL_FAILED', async () => {
  await using folder = await temporaryFolder()
  const full = storeIn(folder.path, { maxBytes: 200 })
  full.put(Array.from({ length: 500 }, () => Math.random()).join())
  await waitFor(() => full.failures.length > 0, { what: 'the failure' })
  expect(full.failures).toMatchObject([{ code: 'SPOOL_FULL' }])
  await full.store.clean()
  const missing = storeIn(join(folder.path, 'missing'))
  missing.put('x'.repeat(500))
  await waitFor(() => missing.failures.length > 0, { what: 'the failure' })
  expect(missing.failures).toMatchObject([{ code: 'SPOOL_FAILED' }])
  await missing.store.clean()
})

test('only what a run left that is dead is removed', async () => {
  await using folder = await temporaryFolder()
  const gone = spawn(process.execPath, ['-e', ''])
  await once(gone, 'exit')
  const host = hostname().replace(/[^A-Za-z0-9.]/g, '_')
  const kept = [`tailrace-spool-${host}-${process.ppid}-a`, `tailrace-spool-elsewhere.-${gone.pid}-b`, 'tailrace-c']
  const left = [`tailrace-spool-${host}-${gone.pid}-d`, `tailrace-spool-${host}-${process.pid}-of-a-run-before`]
  for (const name of [...kept, ...left]) {
    await mkdir(join(folder.path, name))
    await writeFile(join(folder.path, name, '1.spool'), 'x')
  }
  const ours = new SpoolFolder(folder.path)
  await (await ours.create()).handle.close()
  await SpoolFolder.clean(folder.path)
  const names = await readdir(folder.path)
  expect(names.filter((name) => !name.startsWith(`tailrace-spool-${host}-${process.pid}-`)).sort()).toEqual(kept.sort())
  expect(names).toHaveLength(kept.length + 1)
  await ours.remove()
})

async function overwrite(path: string, at: number): Promise<void> {
  await using file = await open(path, 'r+')
  await file.write(Buffer.from([0xff]), 0, 1, at)
}

async function cut(path: string, bytes: number): Promise<void> {
  await using file = await open(path, 'r+')
  await file.truncate((await file.stat()).size - bytes)
}
