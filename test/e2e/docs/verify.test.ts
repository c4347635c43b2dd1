import pg from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { EmbeddedPostgres } from '../../../src/cli/embedded/server.js'
import { DocPage, DocShell } from '../../support/docPage.js'
import { startServer } from '../../support/servers.js'
import { temporaryFolder } from '../../support/temporaryFolder.js'

let server: EmbeddedPostgres
let page: DocPage
beforeAll(async () => {
  server = await startServer()
  page = await DocPage.read('verify.md')
})
afterAll(() => server[Symbol.asyncDispose]())

const ORDERS = '(id int PRIMARY KEY, number text NOT NULL UNIQUE, total numeric(10, 2))'
const ROWS = "VALUES (1, 'A1', 10), (2, 'A2', 20), (3, 'A3', 30)"
const CUSTOMERS =
  "CREATE TABLE customers (id int PRIMARY KEY, name text); INSERT INTO customers VALUES (1, 'Ben'), (2, 'Eva')"

test('the commands of docs/verify.md do what the page says', async () => {
  await sql('CREATE ROLE app LOGIN SUPERUSER', 'postgres')
  for (const database of ['shop', 'copy']) {
    await sql(`CREATE DATABASE ${database}`, 'postgres')
    await sql(`CREATE TABLE orders ${ORDERS}; INSERT INTO orders ${ROWS}; ${CUSTOMERS}`, database)
  }
  await sql('DELETE FROM orders WHERE id = 1; UPDATE orders SET total = 21 WHERE id = 2', 'copy')
  await sql(
    `CREATE SCHEMA archive; CREATE TABLE archive.orders_copy (total numeric(10, 2), loaded date, number text);
     INSERT INTO archive.orders_copy (number, total) SELECT number, total FROM (${ROWS}) AS r (id, number, total)`,
    'copy',
  )
  await using folder = await temporaryFolder()
  const { port } = new URL(server.url('shop'))
  await using shell = await DocShell.open(folder.path, (text) => text.replaceAll('@localhost/', `@127.0.0.1:${port}/`))
  const said = (name: string) =>
    shell.sh(page.command(name)).then(
      ({ stdout }) => ({ code: 0, stdout }),
      ({ code, stdout }: { code: number; stdout: string }) => ({ code, stdout }),
    )
  expect(await said('values')).toEqual({ code: 1, stdout: expect.stringMatching(page.said('values')) })
  expect(await said('repair')).toEqual({ code: 0, stdout: expect.stringMatching(page.said('repair')) })
  expect(await said('json')).toEqual({ code: 0, stdout: expect.stringMatching(page.said('json')) })
  expect(await said('names')).toEqual({ code: 0, stdout: expect.stringMatching(page.said('names')) })
  expect(page.unused).toEqual([])
})

async function sql(text: string, database: string): Promise<void> {
  const client = new pg.Client({ connectionString: server.url(database) })
  await client.connect()
  await client.query(text)
  await client.end()
}
