import { join } from 'node:path'
import pg from 'pg'
import { beforeAll, expect, test } from 'vitest'
import type { EmbeddedPostgres } from '../../../src/cli/embedded/server.js'
import { DocPage } from '../../support/docPage.js'
import { urlAs } from '../../support/openSession.js'
import { DEFAULT_MAJOR, majors, startServer } from '../../support/servers.js'
import { tailrace } from '../../support/tailrace.js'
import { temporaryFolder } from '../../support/temporaryFolder.js'

let page: DocPage
beforeAll(async () => {
  page = await DocPage.read('postgres.md')
})

async function sql(server: EmbeddedPostgres, text: string, database = 'shop'): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: server.url(database) })
  await client.connect()
  try {
    return (await client.query(text)).rows
  } finally {
    await client.end()
  }
}

/** A server with the shop of the page, of which nobody may do anything by default. */
async function shop(major: number) {
  const server = await startServer({ major })
  await sql(server, 'CREATE ROLE app', 'postgres')
  await sql(server, 'CREATE DATABASE shop OWNER app', 'postgres')
  await sql(
    server,
    `CREATE TABLE orders (id int PRIMARY KEY, total int); CREATE TABLE customers (id int PRIMARY KEY);
     INSERT INTO orders VALUES (1, 10); INSERT INTO customers VALUES (1);
     ALTER TABLE orders OWNER TO app; ALTER TABLE customers OWNER TO app;
     REVOKE ALL ON DATABASE shop FROM PUBLIC; REVOKE ALL ON SCHEMA public FROM PUBLIC`,
  )
  const folder = await temporaryFolder()
  const url = urlAs(server.url('shop'), 'tailrace')
  return {
    server,
    /** What the command says in the end, as the role of the page. */
    run: (tables: string, ...more: string[]) =>
      tailrace([
        'stream',
        '--url',
        url,
        '--tables',
        tables,
        '--until',
        'current',
        '--state',
        join(folder.path, 'state'),
        ...more,
      ]),
    rows: () => tailrace(['stream', '--url', url, '--tables', 'orders', '--snapshot', 'only']),
    [Symbol.asyncDispose]: async () => {
      await server[Symbol.asyncDispose]()
      await folder[Symbol.asyncDispose]()
    },
  }
}

test.each(majors)(
  'the rights of docs/postgres.md are enough, and none of them is too much, on PostgreSQL %i',
  async (major) => {
    await using at = await shop(major)
    const { server } = at
    await sql(server, page.command('rights'))
    const first = await at.run('orders,customers')
    expect(first.code, first.stderr).toBe(0)
    expect(first.records.map(({ operation }) => operation)).toEqual(['snapshot', 'snapshot'])
    await sql(server, 'INSERT INTO orders VALUES (2, 20); DELETE FROM customers')
    const second = await at.run('orders,customers')
    expect(second.records.map(({ operation }) => operation)).toEqual(['create', 'delete'])
    const taken: readonly (readonly [revoke: string, grant: string])[] = [
      ['ALTER ROLE tailrace NOREPLICATION', 'ALTER ROLE tailrace REPLICATION'],
      ['ALTER ROLE tailrace NOLOGIN', 'ALTER ROLE tailrace LOGIN'],
      ['REVOKE CONNECT ON DATABASE shop FROM tailrace', 'GRANT CONNECT ON DATABASE shop TO tailrace'],
    ]
    for (const [revoke, grant] of taken) {
      await sql(server, revoke)
      expect(await at.run('orders,customers'), revoke).toMatchObject({ code: 1, stdout: '' })
      await sql(server, grant)
    }
    // What only rows need.
    for (const right of ['USAGE ON SCHEMA public', 'SELECT ON orders']) {
      await sql(server, `REVOKE ${right} FROM tailrace`)
      expect(await at.rows(), right).toMatchObject({ code: 1, stdout: '' })
      await sql(server, `GRANT ${right} TO tailrace`)
    }
    expect((await at.rows()).records).toHaveLength(2)
  },
)

test('the rights of docs/postgres.md let it look after a publication of its own', async () => {
  await using at = await shop(DEFAULT_MAJOR)
  await sql(at.server, 'GRANT CONNECT ON DATABASE shop TO app; GRANT USAGE ON SCHEMA public TO app')
  await sql(at.server, page.command('rights-owner'))
  expect(await at.run('orders')).toMatchObject({ code: 0 })
  await sql(at.server, page.command('identity'))
  const more = await at.run('orders,customers')
  expect(more.code, more.stderr).toBe(0)
  expect(more.records.map(({ operation, table }) => `${operation} ${table}`)).toEqual(['snapshot customers'])
})

test('the rights of docs/postgres.md let it read rows, and nothing else', async () => {
  await using at = await shop(DEFAULT_MAJOR)
  await sql(at.server, 'GRANT CONNECT ON DATABASE shop TO PUBLIC')
  await sql(at.server, page.command('rights-rows'))
  expect((await at.rows()).records).toHaveLength(1)
  expect(await at.run('orders')).toMatchObject({ code: 1, stdout: '' })
})

test('every block of docs/postgres.md that is marked was run', () => {
  expect(page.unused).toEqual([])
})
