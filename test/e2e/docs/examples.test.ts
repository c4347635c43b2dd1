import { execFile } from 'node:child_process'
import { appendFile, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { build } from 'esbuild'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { EmbeddedPostgres } from '../../../src/cli/embedded/server.js'
import { testDatabase } from '../../support/database.js'
import { startServer } from '../../support/servers.js'
import { temporaryFolder } from '../../support/temporaryFolder.js'

const root = (path: string) => fileURLToPath(new URL(`../../../${path}`, import.meta.url))

let server: EmbeddedPostgres
beforeAll(async () => {
  server = await startServer()
})
afterAll(() => server?.[Symbol.asyncDispose]())

const SHOP = `
  CREATE TABLE orders (id int PRIMARY KEY, total numeric(10, 2), placed_at timestamptz);
  CREATE TABLE customers (id int PRIMARY KEY, name text, picture bytea);
  INSERT INTO orders VALUES (1, 12.50, '2026-01-01'), (2, 7.00, '2026-01-02');
  INSERT INTO customers VALUES (1, 'Ben', '\\x00')`

/** As its readers run it: a file of its own, with the package as it is built. */
async function run(name: string, folder: string, env: Record<string, string>) {
  const outfile = join(folder, `${name}.mjs`)
  await build({
    entryPoints: [root(`docs/examples/${name}.ts`)],
    outfile,
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node20.19',
    alias: { tailrace: root('dist/index.js') },
    external: ['pg-native', 'ws', 'libpg-query'],
    banner: { js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);" },
    logLevel: 'error',
  })
  return await promisify(execFile)(process.execPath, [outfile], { cwd: folder, env: { ...process.env, ...env } })
}

test('resumable.ts goes on where it was', async () => {
  await using db = await testDatabase(server, SHOP)
  db.expectSlots = true
  await using folder = await temporaryFolder()
  const env = { DATABASE_URL: db.url, POSITION_FILE: join(folder.path, 'position') }
  const first = await run('resumable', folder.path, env)
  expect(first.stdout.match(/^snapshot /gm)).toHaveLength(2)
  await db.query('INSERT INTO orders VALUES (3, 1, now())')
  const second = await run('resumable', folder.path, env)
  expect(second.stdout).toMatch(/^create [\dA-F]+\/[\dA-F]+\/0\n$/)
})

test('typed.ts has the rows’ types', async () => {
  await using db = await testDatabase(server, SHOP)
  await using folder = await temporaryFolder()
  const { stdout } = await run('typed', folder.path, { DATABASE_URL: db.url })
  expect(stdout.split('\n').sort()).toEqual(['', '{ id: 1 } costs 12.50', '{ id: 2 } costs 7.00'])
})

test('lines.ts writes every row once', async () => {
  await using db = await testDatabase(server, SHOP)
  await using folder = await temporaryFolder()
  await run('lines', folder.path, { DATABASE_URL: db.url, OUTPUT: join(folder.path, 'out') })
  const lines = (await readFile(join(folder.path, 'out'), 'utf8')).trimEnd().split('\n')
  expect(lines.map((line) => JSON.parse(line).operation)).toEqual(['snapshot', 'snapshot', 'snapshot'])
})

test('watched.ts tells what happens, and of an error what to do', async () => {
  await using db = await testDatabase(server, SHOP)
  await using folder = await temporaryFolder()
  expect((await run('watched', folder.path, { DATABASE_URL: db.url })).stdout).toContain('2 records')
  await db.query('DROP TABLE orders')
  await expect(run('watched', folder.path, { DATABASE_URL: db.url })).rejects.toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/^TABLE_NOT_FOUND \(operator\): /),
  })
})

test('polling.ts gives what came since its last poll', async () => {
  await using db = await testDatabase(server, SHOP)
  await using folder = await temporaryFolder()
  const env = { DATABASE_URL: db.url, POSITION_FILE: join(folder.path, 'position') }
  const first = await run('polling', folder.path, env)
  expect(first.stdout.match(/^snapshot x\d+\/public.orders\/[12]$/gm)).toHaveLength(2)
  await db.query('INSERT INTO orders VALUES (3, 1, now())')
  const second = await run('polling', folder.path, env)
  expect(second.stdout).toMatch(/^create \d+\/public.orders\/3\n$/)
})

test('docs/long-polling.md shows its example as it is run', async () => {
  const page = await readFile(root('docs/long-polling.md'), 'utf8')
  const [, code] = /<!-- polling\.ts -->\n\n```ts\n([\s\S]*?)```/.exec(page)!
  expect(code).toBe(await readFile(root('docs/examples/polling.ts'), 'utf8'))
})

test('tables.ts adds, reads again and removes tables, and knows which rows are gone', async () => {
  await using db = await testDatabase(server, SHOP)
  db.expectSlots = true
  await using folder = await temporaryFolder()
  const { stdout } = await run('tables', folder.path, { DATABASE_URL: db.url })
  expect(stdout).toMatch(/^added \[ 'public\.customers' \]$/m)
  expect(stdout).toMatch(/^removed \[ 'public\.customers' \]$/m)
  expect(stdout.match(/^snapshot .*\/public\.customers\/1$/gm)).toHaveLength(1)
  expect(stdout.match(/^snapshot .*\/public\.orders\/[12]$/gm)).toHaveLength(4)
  expect(stdout).toMatch(/\nMap\(2\) \{ 1 => '12\.50', 2 => '7\.00' \}\n$/)
})

test('replicate.ts copies, and goes on where it was', async () => {
  await using db = await testDatabase(server, SHOP)
  db.expectSlots = true
  await using copy = await testDatabase(server, SHOP.replaceAll(/INSERT .*/g, ''))
  await using folder = await temporaryFolder()
  const env = { DATABASE_URL: db.url, COPY_URL: copy.url }
  const rows = (of: typeof db) => of.query('SELECT id, total FROM orders ORDER BY id')
  await run('replicate', folder.path, env)
  expect(await rows(copy)).toEqual(await rows(db))
  await db.query('UPDATE orders SET total = 1 WHERE id = 1; DELETE FROM orders WHERE id = 2')
  await run('replicate', folder.path, env)
  expect(await rows(copy)).toEqual([{ id: 1, total: '1.00' }])
  const page = await readFile(root('docs/destination.md'), 'utf8')
  expect(page).toContain(await readFile(root('docs/examples/replicate.ts'), 'utf8'))
})

test('ownSink.ts has each record once, and goes on where it was', async () => {
  await using db = await testDatabase(server, SHOP)
  db.expectSlots = true
  await using folder = await temporaryFolder()
  const ids = async () => {
    const lines = (await readFile(join(folder.path, 'orders.ndjson'), 'utf8')).trimEnd().split('\n')
    return lines.map((line) => JSON.parse(line).key.id)
  }
  const first = await run('ownSink', folder.path, { DATABASE_URL: db.url })
  expect(first.stdout).toBe('mine has 2 records of this run\narchive has 2 records of this run\n')
  expect((await ids()).sort()).toEqual([1, 2])
  // Of a run that was killed before it was recorded.
  await appendFile(join(folder.path, 'orders.ndjson'), '{"key":{"id":')
  await db.query('INSERT INTO orders VALUES (3, 1, now())')
  await run('ownSink', folder.path, { DATABASE_URL: db.url })
  expect((await ids()).slice(2)).toEqual([3])
  expect((await readFile(join(folder.path, 'rows.ndjson'), 'utf8')).match(/^\{"id":/gm)).toHaveLength(3)
  const page = await readFile(root('docs/sinks/own.md'), 'utf8')
  expect(page).toContain(await readFile(root('docs/examples/ownSink.ts'), 'utf8'))
})

test('docs/library.md shows the examples as they are run', async () => {
  const page = await readFile(root('docs/library.md'), 'utf8')
  const shown = [...page.matchAll(/<!-- (\S+\.ts) -->\n\n```ts\n([\s\S]*?)```/g)]
  expect(shown.map(([, name]) => name).sort()).toEqual([
    'lines.ts',
    'resumable.ts',
    'tables.ts',
    'typed.ts',
    'watched.ts',
  ])
  for (const [, name, code] of shown) expect(code).toBe(await readFile(root(`docs/examples/${name}`), 'utf8'))
})
