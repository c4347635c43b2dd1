import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { testDatabase } from '../../support/database.js'
import { DocPage, DocShell } from '../../support/docPage.js'
import { startServer } from '../../support/servers.js'
import { parseLines } from '../../support/tailrace.js'
import { temporaryFolder } from '../../support/temporaryFolder.js'
import { waitFor } from '../../support/waitFor.js'
import { WebhookReceiver } from '../../support/webhookReceiver.js'

test('docs/sinks/webhook.md: its pipeline sends to its receiver, which refuses one record', async () => {
  const page = await DocPage.read('sinks/webhook.md')
  await using server = await startServer()
  await using db = await testDatabase(
    server,
    `CREATE TABLE orders (id int PRIMARY KEY, total numeric(10, 2)); INSERT INTO orders VALUES (1, 10), (2, 20), (3, -30);
     CREATE TABLE customers (id int PRIMARY KEY, name text); INSERT INTO customers VALUES (1, 'Ben')`,
  )
  db.expectSlots = true
  await using folder = await temporaryFolder()
  // A port that was free just now.
  const { port } = await (async () => {
    await using taken = await WebhookReceiver.start()
    return { port: String(taken.port) }
  })()
  await using shell = await DocShell.open(folder.path, (text) =>
    text.replaceAll('postgres://app@localhost/shop', db.url).replaceAll('8787', port),
  )
  const example = await readFile(new URL('../../../examples/pipelines/webhook.yaml', import.meta.url), 'utf8')
  expect(`${page.command('yaml')}\n`).toBe(example)
  await writeFile(join(folder.path, 'webhook.yaml'), example)
  await writeFile(join(folder.path, 'receiver.mjs'), page.command('receiver'))

  const given = page.command('variables').replaceAll('export ', '').replaceAll('\n', ' ')
  const receiver = shell.start(`env ${given} ${page.command('start')}`)
  const running = shell.start(`env ${given} ${page.command('run')}`)
  await running.says('dead letters')
  const received = () => receiver.stdout.trim().split('\n')
  await waitFor(() => received().length === 3, { what: 'the records', timeoutMs: 20_000 })
  for (const line of page.said('received').source.split('\\n')) {
    expect(received()).toContainEqual(expect.stringMatching(new RegExp(`^${line}$`)))
  }
  await running.stop()
  expect(await running.ended).toBe(0)
  for (const said of ['letter', 'summary']) expect(running.stderr).toMatch(page.said(said))
  const letters = parseLines(await readFile(join(folder.path, 'shop_hook.hook.dead-letters.ndjson'), 'utf8'))
  expect(letters).toMatchObject([{ target: 'public.orders', record: { key: { id: 3 } } }])
  await receiver.stop()
  expect(page.unused).toEqual([])
})
