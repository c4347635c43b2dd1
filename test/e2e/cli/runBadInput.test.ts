import { chown, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { EmbeddedPostgres } from '../../../src/cli/embedded/server.js'
import { openSession, urlAs } from '../../support/openSession.js'
import { rowsOf } from '../../support/replication.js'
import { DEFAULT_MAJOR, startServer } from '../../support/servers.js'
import { promote, startStandby } from '../../support/standby.js'
import { tailrace } from '../../support/tailrace.js'
import { tailraceHere } from '../../support/tailraceHere.js'
import { temporaryFolder } from '../../support/temporaryFolder.js'
import { mayMount, tinyDisk } from '../../support/tinyDisk.js'
import { type DatabasePair, databasePair } from '../../support/verifying.js'

let server: EmbeddedPostgres
beforeAll(async () => {
  server = await startServer()
})
afterAll(() => server[Symbol.asyncDispose]())

/** `log` has no key: there a row that was written twice is seen. */
const TABLES = `
  CREATE TABLE orders (id int PRIMARY KEY, code text, total numeric(12, 2), note text);
  CREATE TABLE log (n int, note text)`

/** Rows that no target rejects, in both tables. */
const good = (from: number, to: number) => `
  INSERT INTO orders SELECT n, n::text, n, 'good' FROM generate_series(${from}, ${to}) n;
  INSERT INTO log SELECT n % 3, 'good' FROM generate_series(${from}, ${to}) n`

/** Most run in this process: that a process of its own says the same, and ends with that code, the first ones show. */
async function pipelineOf(pair: DatabasePair, copyUrl = pair.target.url, command = tailraceHere) {
  pair.source.expectSlots = true
  const folder = await temporaryFolder()
  const file = join(folder.path, 'shop.yaml')
  await writeFile(
    file,
    `
source: {url: "\${SHOP_URL}", tables: [orders, log], keyless: inserts, slot: ${pair.source.name}, until: current}
sinks:
  copy: {type: postgres, url: "\${COPY_URL}", retry_ms: 500}
`,
  )
  const env = { SHOP_URL: pair.source.url, COPY_URL: copyUrl, SLOT: pair.source.name }
  return {
    file,
    run: (copyUrl = env.COPY_URL) => command(['run', file], { env: { ...env, COPY_URL: copyUrl } }),
    [Symbol.asyncDispose]: folder[Symbol.asyncDispose],
  }
}

async function expectSame({ source, target }: DatabasePair, told: string): Promise<void> {
  for (const table of ['orders', 'log']) {
    expect(await rowsOf(target, table), `${table}: ${told}`).toEqual(await rowsOf(source, table))
  }
}

interface Mistake {
  readonly what: string
  /** At the target. */
  readonly made: string
  readonly mended: string
  /** A row of `orders` that the target takes only when it is mended: values behind the id 77. */
  readonly bad?: string
  /** What the error's line has. */
  readonly says: readonly string[]
}

const MISTAKES: readonly Mistake[] = [
  {
    what: 'no such table',
    made: 'ALTER TABLE orders RENAME TO away',
    mended: 'ALTER TABLE away RENAME TO orders',
    says: ['TARGET_TABLE_MISSING', 'no table public.orders for the rows of public.orders', 'pg_dump --schema-only'],
  },
  {
    what: 'no such column',
    made: 'ALTER TABLE orders RENAME note TO away',
    mended: 'ALTER TABLE orders RENAME away TO note',
    says: ['TARGET_COLUMN_MISSING', 'public.orders has no column note', 'ADD COLUMN note text'],
  },
  {
    what: 'no key',
    made: 'ALTER TABLE orders DROP CONSTRAINT orders_pkey',
    mended: 'ALTER TABLE orders ADD PRIMARY KEY (id)',
    says: ['TARGET_KEY_MISSING', 'public.orders has no unique index', 'CREATE UNIQUE INDEX ON public.orders (id)'],
  },
  {
    what: 'another type',
    made: 'ALTER TABLE orders ALTER code TYPE int USING code::int',
    mended: 'ALTER TABLE orders ALTER code TYPE text',
    bad: "'abc', 1, 'note'",
    says: ['ROW_REJECTED', 'public.orders', 'id=77', '[SQLSTATE 22P02]', 'column code', 'Mend', 'dead-letter'],
  },
  {
    what: 'a type too small',
    made: 'ALTER TABLE orders ALTER total TYPE numeric(5, 2)',
    mended: 'ALTER TABLE orders ALTER total TYPE numeric(12, 2)',
    bad: "'a', 12345, 'note'",
    says: ['ROW_REJECTED', 'public.orders', 'id=77', '[SQLSTATE 22003]', 'column total', 'Mend'],
  },
  {
    what: 'NOT NULL',
    made: 'ALTER TABLE orders ALTER note SET NOT NULL',
    mended: 'ALTER TABLE orders ALTER note DROP NOT NULL',
    bad: "'a', 1, NULL",
    says: ['ROW_REJECTED', 'public.orders', 'id=77', '[SQLSTATE 23502]', 'column note', 'Mend'],
  },
  {
    what: 'CHECK',
    made: 'ALTER TABLE orders ADD CONSTRAINT small CHECK (total < 1000)',
    mended: 'ALTER TABLE orders DROP CONSTRAINT small',
    bad: "'a', 5000, 'note'",
    says: ['ROW_REJECTED', 'public.orders', 'id=77', '[SQLSTATE 23514]', 'constraint small', 'column total', 'Mend'],
  },
  {
    what: 'a unique column beside the key',
    made: 'CREATE UNIQUE INDEX one_code ON orders (code)',
    mended: 'DROP INDEX one_code',
    bad: "'5', 1, 'note'",
    says: [
      ...['ROW_REJECTED', 'public.orders', 'id=77', '(code)=(5)', '[SQLSTATE 23505]', 'constraint one_code'],
      ...['column code', 'Mend'],
    ],
  },
  {
    what: 'a database that is read-only',
    made: 'ALTER DATABASE :target SET default_transaction_read_only = on',
    mended: 'SET default_transaction_read_only = off; ALTER DATABASE :target RESET default_transaction_read_only',
    says: ['TARGET_READ_ONLY', '[SQLSTATE 25006]', 'default_transaction_read_only'],
  },
]

describe.each<readonly [when: string, ranBefore: boolean]>([
  ['when it comes first', false],
  ['when it has run', true],
])('what is wrong at the target is said, and mended the same command goes on with nothing lost: %s', (_, ranBefore) => {
  // Rows that are rejected, one kind of each: what it was that came first makes no difference to them.
  const mistakes = MISTAKES.filter(({ bad, what }) => ranBefore || bad === undefined || what === 'another type')
  test.concurrent.each(mistakes)('$what', async (mistake) => {
    const { made, mended, bad, says } = mistake
    await using pair = await databasePair(server, TABLES)
    await using pipeline = await pipelineOf(pair, undefined, mistake === MISTAKES[0] ? tailrace : tailraceHere)
    await pair.source.query(good(1, 20))
    if (ranBefore) {
      expect((await pipeline.run()).code).toBe(0)
      await pair.source.query(`${good(21, 40)}; UPDATE orders SET note = 'changed' WHERE id < 5`)
    }
    await pair.target.query(made.replaceAll(':target', pair.target.name))
    if (bad !== undefined) await pair.source.query(`INSERT INTO orders VALUES (77, ${bad})`)
    const line = errorOf(await pipeline.run())
    for (const text of says) expect(line).toContain(text)
    await pair.source.query(
      `${good(101, 110)}; DELETE FROM orders WHERE id = 2; UPDATE orders SET note = 'new' WHERE id = 3`,
    )
    await pair.target.query(mended.replaceAll(':target', pair.target.name))
    const again = await pipeline.run()
    expect(again.code, again.stderr).toBe(0)
    await expectSame(pair, again.stderr)
  })
})

/** Its last line, where it failed as it should. */
function errorOf({ code, stderr }: { readonly code: number | null; readonly stderr: string }): string {
  expect(code, stderr).toBe(1)
  expect(stderr).toContain('sink copy failed, and the pipeline ends\n')
  return stderr.trimEnd().split('\n').at(-1)!
}

test('a right that is missing, of the checkpoint and of a table', async () => {
  await using pair = await databasePair(server, TABLES)
  await pair.source.query(good(1, 20))
  await pair.target.query('CREATE ROLE writer LOGIN')
  await using pipeline = await pipelineOf(pair, urlAs(pair.target.url, 'writer'))
  const failed = errorOf(await pipeline.run())
  for (const text of ['TARGET_DENIED', '[SQLSTATE 42501]', pair.target.name, 'CREATE on it at the first start']) {
    expect(failed).toContain(text)
  }
  await pair.target.query(
    `GRANT CREATE ON DATABASE ${pair.target.name} TO writer; GRANT SELECT ON orders, log TO writer`,
  )
  const denied = errorOf(await pipeline.run())
  for (const text of ['TARGET_DENIED', 'while rows of public.', 'denied for table', '[SQLSTATE 42501]', 'INSERT']) {
    expect(denied).toContain(text)
  }
  await pair.target.query('GRANT INSERT, UPDATE, DELETE ON orders, log TO writer')
  const again = await pipeline.run()
  expect(again.code, again.stderr).toBe(0)
  await expectSame(pair, again.stderr)
  await pair.source.query(`${good(21, 30)}; UPDATE orders SET id = -id`)
  await pair.target.query('REVOKE DELETE ON orders FROM writer')
  expect(errorOf(await pipeline.run())).toContain('permission denied for table orders')
  await pair.target.query('GRANT DELETE ON orders TO writer')
  const last = await pipeline.run()
  await expectSame(pair, last.stderr)
  await pair.target.query('DROP OWNED BY writer')
})

test('a standby that is still in recovery: it is promoted, and the same command goes on there', async () => {
  await using primary = await startServer()
  await using pair = await databasePair([server, primary], TABLES)
  await pair.source.query(good(1, 20))
  await using pipeline = await pipelineOf(pair)
  expect((await pipeline.run()).code).toBe(0)
  await using standby = await startStandby(primary, DEFAULT_MAJOR)
  await primary.stop()
  await pair.source.query(`${good(21, 40)}; UPDATE orders SET id = -id WHERE id < 5`)
  const there = standby.url(pair.target.name)
  const failed = errorOf(await pipeline.run(there))
  for (const text of ['TARGET_READ_ONLY', '[SQLSTATE 25006]', 'pg_is_in_recovery()', 'Promote', 'read-write']) {
    expect(failed).toContain(text)
  }
  await promote(standby)
  const again = await pipeline.run(there)
  expect(again.code, again.stderr).toBe(0)
  await using session = await openSession(there)
  for (const table of ['orders', 'log']) {
    const rows = await session.query<{ row: string }>(`SELECT t::text AS row FROM public.${table} t ORDER BY 1`)
    expect(rows.map(({ row }) => row)).toEqual(await rowsOf(pair.source, table))
  }
})

test.skipIf(!(await mayMount())).each([false, true])('a full disk, when it has run before: %s', async (ranBefore) => {
  await using disk = await tinyDisk('2m')
  await using full = await startServer()
  const { uid, gid } = await stat(full.dataFolder)
  await chown(disk.path, uid, gid)
  await using pair = await databasePair([server, full], TABLES, 'SELECT')
  await pair.target.query(`CREATE TABLESPACE tiny LOCATION '${disk.path}'`)
  await pair.target.query(`${TABLES}; ALTER TABLE orders SET TABLESPACE tiny`)
  await using pipeline = await pipelineOf(pair)
  await pair.source.query(good(1, 20))
  if (ranBefore) expect((await pipeline.run()).code).toBe(0)
  await pair.source.query(`
    INSERT INTO orders SELECT n, n::text, n, repeat('x', 300) FROM generate_series(101, 20000) n;
    ${good(20_001, 20_100)}`)
  const failed = errorOf(await pipeline.run())
  for (const text of ['TARGET_DISK_FULL', '[SQLSTATE 53100]', 'pg_tblspc', 'Make room']) expect(failed).toContain(text)
  // Both tables are read at a time.
  expect(failed).toMatch(/rows of (public\.log, )?public\.orders were written/)
  await pair.source.query(`${good(30_001, 30_010)}; DELETE FROM orders WHERE id = 2`)
  await disk.grow('64m')
  const again = await pipeline.run()
  expect(again.code, again.stderr).toBe(0)
  await expectSame(pair, again.stderr)
})

describe('a mistake in the file is told with its line, nothing is connected to, and mended the same command runs', () => {
  const GOOD = `
source: {url: "\${SHOP_URL}", tables: [orders, log], keyless: inserts, slot: "\${SLOT}", until: current}
sinks:
  copy:
    type: postgres
    url: \${COPY_URL}
    table: 'public.{table}'
`
  test.concurrent.each<readonly [what: string, text: string, says: string]>([
    [
      'a template that names a missing field',
      GOOD.replace('{table}', '{tabel}'),
      ':7:12: sinks.copy.table: there is no field {tabel}: did you mean {table}?',
    ],
    [
      'a template that names what records do not have',
      GOOD.replace('{table}', '{region}_{table}'),
      ':7:12: sinks.copy.table: there is no field {region}: known are {schema} and {table}',
    ],
    ['a tab', GOOD.replace('  copy', '\tcopy'), ':4:1: '],
    ['an indentation', GOOD.replace('    url', '   url'), ':6:1: All mapping items must start at the same column'],
    ['a quote without its end', GOOD.replace("{table}'", '{table}'), ":8:1: Missing closing 'quote"],
    ['a key that stands twice', `${GOOD}    type: postgres\n`, ':8:5: '],
    [
      'a variable that is not set',
      GOOD.replace('COPY_URL', 'COPIES_URL'),
      ':6:10: sinks.copy.url: the variable COPIES_URL',
    ],
    [
      'a setting nearly right',
      GOOD.replace('    table', '    tabel'),
      ':7:5: sinks.copy.tabel: there is no such setting. Did you mean table?',
    ],
  ])('%s', async (_, text, says) => {
    await using pair = await databasePair(server, TABLES)
    await pair.source.query(good(1, 5))
    await using pipeline = await pipelineOf(pair)
    await writeFile(pipeline.file, text)
    const failed = await pipeline.run()
    expect([failed.code, failed.stdout], failed.stderr).toEqual([2, ''])
    expect(failed.stderr).toContain(`tailrace: ${pipeline.file}${says}`)
    expect(await pair.source.query('SELECT FROM pg_replication_slots WHERE database = current_database()')).toEqual([])
    await writeFile(pipeline.file, GOOD)
    const again = await pipeline.run()
    expect(again.code, again.stderr).toBe(0)
    await expectSame(pair, again.stderr)
  })
})
