import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { EmbeddedPostgres } from '../../../src/cli/embedded/server.js'
import { type TestDatabase, testDatabase } from '../../support/database.js'
import { DocPage, DocShell } from '../../support/docPage.js'
import { startServer } from '../../support/servers.js'
import { temporaryFolder } from '../../support/temporaryFolder.js'
import { waitFor } from '../../support/waitFor.js'

let server: EmbeddedPostgres
let db: TestDatabase
let copy: TestDatabase
beforeAll(async () => {
  server = await startServer()
  db = await testDatabase(
    server,
    `CREATE TABLE orders (id int PRIMARY KEY, total numeric(10, 2)); INSERT INTO orders VALUES (1, 10), (2, 20);
     CREATE TABLE customers (id int PRIMARY KEY, name text); INSERT INTO customers VALUES (1, 'Ben')`,
  )
  db.expectSlots = true
  copy = await testDatabase(
    server,
    `CREATE TABLE orders (id int PRIMARY KEY, total numeric(10, 2) CHECK (total < 100));
     CREATE TABLE customers (id int PRIMARY KEY, name text)`,
  )
})
afterAll(async () => {
  await copy[Symbol.asyncDispose]()
  await db[Symbol.asyncDispose]()
  await server[Symbol.asyncDispose]()
})

const edit = (text: string) =>
  text.replaceAll('postgres://app@localhost/shop', db.url).replaceAll('postgres://app@localhost/copy', copy.url)

test.each(['stdout', 'file'])('docs/sinks/%s.md: its pipeline writes what stands behind it', async (type) => {
  const page = await DocPage.read(`sinks/${type}.md`)
  await using folder = await temporaryFolder()
  await using shell = await DocShell.open(folder.path, edit)
  await writeFile(join(folder.path, `${type}.yaml`), page.command(`${type}-yaml`))
  const { stdout } = await shell.sh(page.command(type))
  expect(stdout).toMatch(page.said(type))
  expect(stdout.trimEnd().split('\n')).toHaveLength(2)
  expect(page.unused).toEqual([])
})

test('docs/sinks/postgres.md: its pipeline copies, and puts aside what the target rejects', async () => {
  const page = await DocPage.read('sinks/postgres.md')
  await using folder = await temporaryFolder()
  await using shell = await DocShell.open(folder.path, edit)
  const copying = await readFile(new URL('../../../examples/pipelines/copy.yaml', import.meta.url), 'utf8')
  expect(`${page.command('copy-yaml')}\n`).toBe(copying)
  await writeFile(join(folder.path, 'copy.yaml'), copying)
  const [variables, command] = page.command('copy').split('\n')
  const toCopy = shell.start(`env ${variables!.replace('export ', '')} ${command}`)
  await toCopy.says('streaming from')
  await db.query('INSERT INTO orders VALUES (4, 400), (5, 50)')
  const copied = async () => (await copy.query('SELECT id FROM orders ORDER BY id')).map(({ id }) => id)
  await waitFor(async () => (await copied()).includes(5), { what: 'the orders', timeoutMs: 20_000 })
  await toCopy.stop()
  expect(toCopy.stderr).toMatch(page.said('copy'))
  expect(await toCopy.ended).toBe(0)
  expect(await copied()).toEqual([1, 2, 5])
  expect(await copy.query("SELECT record->>'id' IS NOT NULL AS has FROM tailrace.dead_letter")).toEqual([{ has: true }])
  expect(page.unused).toEqual([])
})
