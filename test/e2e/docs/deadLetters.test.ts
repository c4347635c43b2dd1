import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { testDatabase } from '../../support/database.js'
import { DocPage, DocShell } from '../../support/docPage.js'
import { startServer } from '../../support/servers.js'
import { temporaryFolder } from '../../support/temporaryFolder.js'
import { waitFor } from '../../support/waitFor.js'

test('docs/dead-letters.md: letters are listed, shown, written again and dropped as it says, beside the run', async () => {
  const page = await DocPage.read('dead-letters.md')
  await using server = await startServer()
  const table = (check: string) => `CREATE TABLE orders (id int PRIMARY KEY, total numeric(10, 2) ${check})`
  await using db = await testDatabase(server, table(''))
  db.expectSlots = true
  await using copy = await testDatabase(server, table('CHECK (total < 100)'))
  await using folder = await temporaryFolder()
  await using shell = await DocShell.open(folder.path, (text) =>
    text.replace(/^(?=tailrace)/gm, `DATABASE_URL=${db.url} COPY_URL=${copy.url} `),
  )
  await writeFile(join(folder.path, 'copy.yaml'), page.command('yaml'))
  const running = shell.start(`env DATABASE_URL=${db.url} COPY_URL=${copy.url} tailrace run copy.yaml`)
  await running.says('streaming from')
  await db.query('INSERT INTO orders VALUES (4, 400), (6, 600), (5, 50)')
  const ids = async () => (await copy.query<{ id: number }>('SELECT id FROM orders ORDER BY id')).map(({ id }) => id)
  await waitFor(async () => (await ids()).includes(5), { what: 'what is not rejected', timeoutMs: 20_000 })

  expect((await shell.sh(page.command('list'))).stdout).toMatch(page.said('list'))
  expect((await shell.sh(page.command('show'))).stdout).toMatch(page.said('show'))
  await db.query('UPDATE orders SET total = 60 WHERE id = 6')
  await copy.query('ALTER TABLE orders DROP CONSTRAINT orders_total_check')
  await waitFor(async () => (await ids()).includes(6), { what: 'the update', timeoutMs: 20_000 })
  const replayed = await shell.sh(page.command('replay')).catch((error) => error)
  expect(replayed.code).toBe(1)
  expect(replayed.stderr + replayed.stdout).toMatch(page.said('replay'))
  expect(await copy.query('SELECT * FROM orders ORDER BY id')).toEqual([
    { id: 4, total: '400.00' },
    { id: 5, total: '50.00' },
    { id: 6, total: '60.00' },
  ])
  const [left] = await copy.query<{ id: string }>('SELECT id FROM tailrace.dead_letter')
  const refused = await shell.sh('tailrace dlq drop copy.yaml').catch((error) => error)
  expect(refused).toMatchObject({ code: 1, stderr: expect.stringContaining('DEAD_LETTERS_UNCONFIRMED') })
  const dropped = await shell.sh(page.command('drop').replace('$ID', left!.id))
  expect(dropped.stdout).toMatch(page.said('drop'))
  expect((await shell.sh('tailrace dlq list copy.yaml')).stdout).toBe('No dead letters.\n')
  const unknown = await shell.sh('tailrace dlq list copy.yaml --sink cpy').catch((error) => error)
  expect(unknown).toMatchObject({ code: 1, stderr: expect.stringMatching(/its sinks are copy/) })
  await running.stop()
  expect(await running.ended).toBe(0)
  expect(page.unused).toEqual([])
})
