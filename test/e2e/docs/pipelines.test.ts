import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { expect, test } from 'vitest'
import { testDatabase } from '../../support/database.js'
import { DocPage, DocShell } from '../../support/docPage.js'
import { startServer } from '../../support/servers.js'
import { parseLines } from '../../support/tailrace.js'
import { temporaryFolder } from '../../support/temporaryFolder.js'
import { waitFor } from '../../support/waitFor.js'

test('docs/pipelines.md: its pipeline is checked, runs, and ends as it says', async () => {
  const page = await DocPage.read('pipelines.md')
  await using server = await startServer()
  await using db = await testDatabase(
    server,
    `CREATE TABLE orders (id int PRIMARY KEY, total numeric(10, 2)); INSERT INTO orders VALUES (1, 10), (2, 20);
     CREATE TABLE customers (id int PRIMARY KEY, name text); INSERT INTO customers VALUES (1, 'Ben')`,
  )
  db.expectSlots = true
  await using folder = await temporaryFolder()
  await using shell = await DocShell.open(folder.path, (text) =>
    text.replaceAll('postgres://app@localhost/shop', db.url),
  )
  const example = await readFile(new URL('../../../examples/pipelines/files.yaml', import.meta.url), 'utf8')
  expect(`${page.command('files-yaml')}\n`).toBe(example)
  await writeFile(join(folder.path, 'files.yaml'), example)
  await writeFile(join(folder.path, 'mistakes.yaml'), page.command('mistakes-yaml'))

  const [variable] = page.command('validate').split('\n')
  expect((await shell.sh(page.command('validate'))).stdout).toMatch(page.said('valid'))
  const failed = await shell.sh('tailrace validate mistakes.yaml').catch((error) => error)
  expect(failed).toMatchObject({ code: 2, stderr: expect.stringMatching(page.said('mistakes')) })

  const value = variable!.replace('export ', '')
  const running = shell.start(`env ${value} ${page.command('run')}`)
  await running.says('streaming from')
  await db.query('INSERT INTO orders VALUES (3, 30)')
  await waitFor(() => running.stdout.includes('30.00'), { what: 'the order', timeoutMs: 20_000 })
  await running.stop()
  expect(running.stderr).toMatch(page.said('summary'))
  expect(await running.ended).toBe(0)
  const archive = join(folder.path, 'archive')
  const files = (await readdir(archive, { recursive: true })).filter((name) => name.includes('.'))
  expect(files).toEqual([expect.stringMatching(/^\d{4}-\d\d-\d\d\/shop-000001\.ndjson\.gz$/)])
  expect(parseLines(gunzipSync(await readFile(join(archive, files[0]!))).toString())).toHaveLength(4)
  expect(page.unused).toEqual([])
})
