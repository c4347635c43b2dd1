import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import pg from 'pg'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import type { EmbeddedPostgres } from '../../../src/cli/embedded/server.js'
import { DocPage, DocShell } from '../../support/docPage.js'
import { LITTLE_WAL } from '../../support/serverLife.js'
import { startServer } from '../../support/servers.js'
import { parseLines } from '../../support/tailrace.js'
import { temporaryFolder } from '../../support/temporaryFolder.js'
import { waitFor } from '../../support/waitFor.js'

const URL_OF_DOCS = 'postgres://app@localhost/shop'

let server: EmbeddedPostgres
let page: DocPage
beforeAll(async () => {
  server = await startServer({ settings: LITTLE_WAL })
  page = await DocPage.read('operations.md')
  await sql('CREATE ROLE app LOGIN REPLICATION', 'postgres')
})
afterAll(() => server[Symbol.asyncDispose]())

beforeEach(async () => {
  const drop = 'SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE NOT active'
  const dropped = () => sql(drop, 'postgres').then(() => sql('SELECT FROM pg_replication_slots', 'postgres'))
  await waitFor(async () => (await dropped()).length === 0, { what: 'the slots to go' })
  await sql('DROP DATABASE IF EXISTS shop WITH (FORCE)', 'postgres')
  await sql('CREATE DATABASE shop OWNER app', 'postgres')
  await sql(`
    CREATE TABLE orders (id int PRIMARY KEY, total numeric(10, 2)); INSERT INTO orders VALUES (1, 10), (2, 20);
    CREATE TABLE customers (id int PRIMARY KEY, name text); INSERT INTO customers VALUES (1, 'Ben');
    ALTER TABLE orders OWNER TO app; ALTER TABLE customers OWNER TO app`)
})

async function sql(text: string, database = 'shop'): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: server.url(database) })
  await client.connect()
  try {
    return (await client.query(text)).rows
  } finally {
    await client.end()
  }
}

/** A folder with the page's run in it, its shell, and what the output has. */
async function operating() {
  const folder = await temporaryFolder()
  const url = server.url('shop').replace('postgres@', 'app@')
  const shell = await DocShell.open(folder.path, (text) => text.replaceAll(URL_OF_DOCS, url))
  const stream = async (name: string) => {
    const lines = page.command(name).split('\n')
    if (lines.length > 1) await shell.sh(lines.slice(0, -1).join('\n'))
    const running = shell.start(lines.at(-1)!)
    await running.says('streaming from')
    return running
  }
  const records = async (file = 'shop.ndjson') => {
    const text = await readFile(join(folder.path, file), 'utf8')
    return parseLines(text.slice(0, text.lastIndexOf('\n') + 1))
  }
  /** `create orders 3` of each record, once there are so many. */
  const written = async (count: number, file?: string) => {
    await waitFor(async () => (await records(file)).length >= count, { what: `${count} records`, timeoutMs: 20_000 })
    return (await records(file)).map(({ operation, table, key }) => `${operation} ${table} ${key?.id}`)
  }
  return {
    shell,
    stream,
    records,
    written,
    /** How the command that is there ends, in error. */
    failure: async (name: string, command = page.command('start')) => {
      const error = await shell.sh(command).then(
        () => undefined,
        (failed: { code: number; stderr: string }) => failed,
      )
      expect(error?.code).toBe(1)
      expect(error!.stderr).toMatch(page.said(name))
    },
    [Symbol.asyncDispose]: async () => {
      await shell[Symbol.asyncDispose]()
      await folder[Symbol.asyncDispose]()
    },
  }
}

test('the run, how it is, a second run, and a restart of the server', async () => {
  await using at = await operating()
  const running = await at.stream('start')
  const { stdout } = await at.shell.sh(page.command('look'))
  expect(stdout).toMatch(/^run +pid \d+[\s\S]*\nNAME +PLUGIN[\s\S]*\ntailrace_shop +pgoutput[\s\S]*\n0 problems,/)
  await at.failure('second-run')
  await server.restart()
  await running.says(page.said('restart'))
  await sql('INSERT INTO orders VALUES (3, 30)')
  expect(await at.written(3)).toEqual(['snapshot orders 1', 'snapshot orders 2', 'create orders 3'])
})

test('more tables, while it runs and at its start; rows are read again', async () => {
  await using at = await operating()
  const first = await at.stream('start')
  await at.shell.sh(page.command('add'))
  expect((await at.written(3)).at(-1)).toBe('snapshot customers 1')
  await first.stop()
  await sql("INSERT INTO customers VALUES (2, 'Eva')")
  await at.stream('add-at-start')
  expect((await at.written(4)).at(-1)).toBe('create customers 2')
  await sql('INSERT INTO orders VALUES (200, 1)')
  await at.written(5)
  const [all, some] = page.command('resnapshot').split('\n')
  await at.shell.sh(all!)
  expect((await at.written(8)).slice(5)).toEqual(['snapshot orders 1', 'snapshot orders 2', 'snapshot orders 200'])
  // Something is written: the LSN at which a reading begins is the first part of its ids.
  await sql("SELECT pg_logical_emit_message(true, 'test', '')")
  await at.shell.sh(some!)
  expect((await at.written(9)).slice(8)).toEqual(['snapshot orders 200'])
  const ids = (await at.records()).map(({ id }) => id)
  expect(new Set(ids).size).toBe(ids.length)
})

test('tables that are captured without their rows say so, and can be read', async () => {
  await using at = await operating()
  await (await at.stream('start')).stop()
  const running = at.shell.start(`${page.command('add-at-start')} --snapshot never`)
  await running.says('warning: TABLES_CHANGED: ')
  await running.says('streaming from')
  await at.shell.sh(page.command('resnapshot').split('\n')[0]!.replace('orders', 'customers'))
  expect((await at.written(3)).at(-1)).toBe('snapshot customers 1')
})

test('the output is rotated; the state is lost; the files are moved', async () => {
  await using at = await operating()
  await (await at.stream('start')).stop()
  await sql('INSERT INTO orders VALUES (3, 30)')
  await (await at.stream('rotate')).stop()
  expect([await at.written(2, 'shop-1.ndjson'), await at.written(1)]).toEqual([
    ['snapshot orders 1', 'snapshot orders 2'],
    ['create orders 3'],
  ])
  await sql('INSERT INTO orders VALUES (4, 40)')
  await at.shell.sh('rm shop.state')
  await at.failure('state-lost')
  await at.shell.sh(`${page.command('rotate')} --until current`)
  expect([await at.written(1, 'shop-1.ndjson'), await at.written(1)]).toEqual([
    ['create orders 3'],
    ['create orders 4'],
  ])
  await at.failure('moved', `mkdir there; mv shop.* there; cd there; ${page.command('start')}`)
})

test('the disk is full', async () => {
  await using at = await operating()
  await at.failure('disk-full', `tailrace stream --url ${URL_OF_DOCS} --tables orders --output /dev/full`)
})

test('the slot is lost: the rows are read again, or all begins anew', async () => {
  await using at = await operating()
  await (await at.stream('start')).stop()
  await sql('INSERT INTO orders VALUES (3, 30); DELETE FROM orders WHERE id = 1')
  for (let segment = 0; segment < 4; segment++) {
    await sql("SELECT pg_logical_emit_message(false, 'ballast', repeat('x', 100000))")
    await sql('SELECT pg_switch_wal()')
  }
  await sql('CHECKPOINT')
  await at.failure('slot-lost')
  const repairing = await at.stream('slot-lost')
  await repairing.says('snapshot finished')
  await sql('INSERT INTO orders VALUES (4, 40)')
  expect((await at.written(5)).sort()).toEqual([
    'create orders 4',
    'snapshot orders 1',
    'snapshot orders 2',
    'snapshot orders 2',
    'snapshot orders 3',
  ])
  await repairing.stop()
  await at.stream('anew')
  expect(await at.written(3)).toEqual(['snapshot orders 2', 'snapshot orders 3', 'snapshot orders 4'])
})

test('somebody altered the publication', async () => {
  await using at = await operating()
  await (await at.stream('start')).stop()
  await sql("ALTER PUBLICATION tailrace SET (publish = 'insert')")
  await sql('UPDATE orders SET total = 11 WHERE id = 1')
  await sql("ALTER PUBLICATION tailrace SET (publish = 'insert, update, delete, truncate')")
  await at.failure('publication-changed')
  const running = await at.stream('publication-changed')
  expect(running.stderr).toContain('warning: PUBLICATION_CHANGED: ')
  await sql('INSERT INTO orders VALUES (3, 30)')
  expect(await at.written(3)).toEqual(['snapshot orders 1', 'snapshot orders 2', 'create orders 3'])
})

test('the role may not read the table any more', async () => {
  await using at = await operating()
  await sql('ALTER TABLE orders OWNER TO postgres; REVOKE ALL ON orders FROM app')
  await at.failure('not-readable')
})

test('what surrounds an upgrade, and the end of it all', async () => {
  await using at = await operating()
  await (await at.stream('start')).stop()
  await sql('INSERT INTO orders VALUES (3, 30)')
  await at.shell.sh(page.command('before-upgrade'))
  expect((await at.written(3)).at(-1)).toBe('create orders 3')
  const after = await at.stream('after-upgrade')
  await sql('INSERT INTO orders VALUES (4, 40)')
  expect(await at.written(1)).toEqual(['create orders 4'])
  await after.stop()
  await at.shell.sh(page.command('retire'))
  await sql(page.command('retire-sql'))
  expect(await sql('SELECT FROM pg_replication_slots UNION ALL SELECT FROM pg_publication')).toEqual([])
})

test('every block of docs/operations.md that is marked was run', () => {
  expect(page.unused).toEqual([])
})
