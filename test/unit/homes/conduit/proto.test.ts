import { execFile } from 'node:child_process'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { temporaryFolder } from '../../../support/temporaryFolder.js'

const root = fileURLToPath(new URL('../../../../', import.meta.url))
const GENERATED = 'src/homes/conduit/proto'

test('the code in src/homes/conduit/proto is what npm run proto makes of proto/', async () => {
  await using folder = await temporaryFolder()
  const PATH = `${join(root, 'node_modules/.bin')}:${process.env.PATH}`
  // `out` in buf.gen.yaml leads to ../src from there
  const output = join(folder.path, 'proto')
  await promisify(execFile)('buf', ['generate', '-o', output], {
    cwd: join(root, 'proto'),
    env: { ...process.env, PATH },
  })
  const made = await sources(join(folder.path, GENERATED))
  expect(made.size).toBeGreaterThan(5)
  expect(await sources(join(root, GENERATED))).toEqual(made)
})

async function sources(folder: string): Promise<Map<string, string>> {
  const names = (await readdir(folder, { recursive: true })).filter((name) => name.endsWith('.ts')).sort()
  return new Map(
    await Promise.all(names.map(async (name) => [name, await readFile(join(folder, name), 'utf8')] as const)),
  )
}
