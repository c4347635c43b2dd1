// @ts-check
import { mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { sinkContract } from 'tailrace/testing'
import { DocumentSink } from './documentSink.mjs'

const MAX_BYTES = 4000

/** Each check has a folder of its own, which `read` looks into as anybody would. */
async function target() {
  const folder = await mkdtemp(join(tmpdir(), 'documents-'))
  const documents = join(folder, 'documents')
  const table = join(documents, 'public.contract')
  return {
    make: () => new DocumentSink({ folder: documents, maxBytes: MAX_BYTES }),
    read: async () => {
      const names = (await readdir(table).catch(() => [])).filter((name) => name.endsWith('.json'))
      return Promise.all(
        names.map(async (name) => {
          const { version } = JSON.parse(await readFile(join(table, name), 'utf8'))
          return { key: name.slice(0, -'.json'.length), version }
        }),
      )
    },
    // Something else lies where the folder should be.
    fail: async () => {
      await rename(documents, `${documents}.away`)
      await writeFile(documents, '')
      return async () => {
        await rm(documents)
        await rename(`${documents}.away`, documents)
      }
    },
    dispose: () => rm(folder, { recursive: true }),
  }
}

const checks = sinkContract({
  kind: 'rows',
  target,
  rejectedNote: 'x'.repeat(MAX_BYTES),
  without: { 'back-pressure': 'a disk always takes what is written' },
})
for (const { title, run, skipped } of checks) test(title, { skip: skipped ?? false }, run)
