import { afterAll, beforeAll, expect, test } from 'vitest'
import type { EmbeddedPostgres } from '../../../src/cli/embedded/server.js'
import { startServer } from '../../support/servers.js'
import { startTailrace, tailrace } from '../../support/tailrace.js'
import { tailraceHere } from '../../support/tailraceHere.js'
import { type DatabasePair, databasePair } from '../../support/verifying.js'

let server: EmbeddedPostgres
beforeAll(async () => {
  server = await startServer()
})
afterAll(() => server[Symbol.asyncDispose]())

const SQL = `
  CREATE TABLE orders (id int PRIMARY KEY, total numeric(10, 2), note text); INSERT INTO orders VALUES (1, 1, NULL), (2, 2, ''), (3, 3, 'x');
  CREATE TABLE log (a int); INSERT INTO log VALUES (1), (1)`

function verify({ source, target }: DatabasePair, ...args: string[]) {
  return tailraceHere(['verify', '--source', source.url, '--target', target.url, '--settle', '0', ...args])
}

test('equal is exit code 0; different 1, with keys, or values where they are asked for; repaired 0', async () => {
  await using pair = await databasePair(server, SQL)
  const equal = await verify(pair, '--tables', '*')
  expect(equal).toMatchObject({ code: 0 })
  expect(equal.stdout).toBe('public.log: equal, 2 rows\npublic.orders: equal, 3 rows\n2 tables: 2 equal\n')
  expect(equal.stderr).toMatch(/^tailrace: comparing 2 tables of postgres:\/\/\S+ with postgres:\/\/\S+\n/)

  await pair.target.client.query(
    `UPDATE orders SET total = 1.5, note = '' WHERE id = 1; DELETE FROM orders WHERE id = 2; INSERT INTO orders VALUES (4, 4, E'a\\nb'); INSERT INTO log VALUES (1)`,
  )
  const keys = await verify(pair, '--tables', 'orders', '--quiet')
  expect(keys).toMatchObject({ code: 1, stderr: '' })
  expect(keys.stdout.split('\n').sort()).toEqual([
    '',
    '  different  id=1',
    '  extra      id=4',
    '  missing    id=2',
    '1 table: 1 different',
    'public.orders: DIFFERENT, 1 missing, 1 extra, 1 different, 3 rows',
  ])
  const values = await verify(pair, '--tables', '*', '--values')
  expect(values.code).toBe(1)
  expect(values.stdout).toContain(
    "  different  id=1\n             total: '1.00' | '1.50'\n             note: NULL | ''\n",
  )
  expect(values.stdout).toContain("  extra      id=4\n             total: '4.00'\n             note: 'a?b'\n")
  expect(values.stdout).toMatch(/ {2}extra {6}hash=-?\d+ {2}\(2 times in the source, 3 in the target\)\n {13}a: '1'\n/)

  const refused = await verify(pair, '--tables', '*', '--repair')
  expect(refused).toMatchObject({ code: 2, stdout: '' })
  expect(refused.stderr).toMatch(/VERIFY_REPAIR_KEYLESS: .*public\.log/)
  const repaired = await verify(pair, '--tables', 'orders', '--repair')
  expect(repaired.code).toBe(0)
  expect(repaired.stdout).toContain('  repaired   1 inserted, 1 updated, 1 deleted\n1 table: 1 repaired\n')
  expect((await verify(pair, '--tables', 'orders')).code).toBe(0)
})

test('as JSON, for machines', async () => {
  await using pair = await databasePair(server, SQL)
  await pair.target.client.query('UPDATE orders SET note = NULL WHERE id = 2')
  const { code, stdout } = await verify(pair, '--tables', 'orders', '--json', '--values')
  expect(code).toBe(1)
  expect(JSON.parse(stdout)).toEqual({
    source: expect.stringMatching(/^postgres:\/\//),
    target: expect.stringMatching(/^postgres:\/\//),
    exitCode: 1,
    error: null,
    tables: [
      {
        table: 'public.orders',
        target: 'public.orders',
        verdict: 'different',
        key: ['id'],
        rows: { source: 3, target: 3 },
        missing: 0,
        extra: 0,
        different: 1,
        unsettled: 0,
        complete: true,
        notes: [],
        differences: [
          {
            kind: 'different',
            key: { id: '2' },
            rows: { source: 1, target: 1 },
            values: [{ column: 'note', source: '', target: null }],
          },
        ],
        unsettledKeys: [],
        repaired: null,
      },
    ],
  })
  const failed = await verify(pair, '--tables', 'orders', '--json', '--target-table', 'nowhere.{table}')
  expect(failed.code).toBe(2)
  expect(JSON.parse(failed.stdout)).toMatchObject({ exitCode: 2, error: { code: 'VERIFY_TARGET_MISSING' }, tables: [] })
})

test('what cannot be told is exit code 2: a table that is missing, a role that may not read, a server that is not there', async () => {
  await using pair = await databasePair(server, SQL)
  const missing = await verify(pair, '--tables', 'orders', '--target-table', '{table}_copy')
  expect(missing).toMatchObject({ code: 2, stdout: '' })
  expect(missing.stderr).toMatch(
    /^tailrace: VERIFY_TARGET_MISSING: postgres:\S+ has no table public\.orders_copy to compare with\./,
  )

  const role = `reader_${pair.target.name}`
  await pair.target.query(`CREATE ROLE ${role} LOGIN PASSWORD 's3cret'`)
  const as = (user: string) => Object.assign(new URL(pair.target.url), { username: user, password: 's3cret' }).href
  const denied = await verify(pair, '--tables', 'orders', '--target', as(role))
  expect(denied.code).toBe(2)
  expect(denied.stderr).toMatch(
    /VERIFY_SIDE_FAILED: the target, postgres:\S+: .*public\.orders.* GRANT SELECT ON public\.orders/,
  )
  await pair.target.query(`GRANT SELECT ON orders TO ${role}`)
  expect((await verify(pair, '--tables', 'orders', '--target', as(role))).code).toBe(0)
  await pair.target.query('UPDATE orders SET total = 0')
  const readOnly = await verify(pair, '--tables', 'orders', '--target', as(role), '--repair')
  expect(readOnly.code).toBe(2)
  expect(readOnly.stderr).toMatch(/VERIFY_SIDE_FAILED: the target, .*permission denied for table orders.*42501/)
  await pair.target.query(`DROP OWNED BY ${role}; DROP ROLE ${role}`)

  const away = await verify(pair, '--tables', 'orders', '--target', 'postgres://u:s3cret@127.0.0.1:1/d')
  expect(away.code).toBe(2)
  expect(away.stderr).toMatch(/VERIFY_SIDE_FAILED: the target, postgres:\/\/u@127\.0\.0\.1:1\/d: cannot connect/)
  for (const { stderr } of [denied, readOnly, away]) expect(stderr).not.toContain('s3cret')
})

test('SIGINT ends it with exit code 2, and nothing of it goes on in the servers', async () => {
  await using pair = await databasePair(server, SQL)
  await pair.target.client.query('DELETE FROM orders WHERE id = 1')
  const urls = ['--source', pair.source.url, '--target', pair.target.url]
  await using waiting = startTailrace(['verify', ...urls, '--tables', 'orders', '--settle', '60'])
  await waiting.says('until they have stood still for 60 s')
  waiting.kill('SIGINT')
  expect(await waiting.ended).toMatchObject({ code: 2 })
  expect(waiting.stderr).toContain('VERIFY_INTERRUPTED')

  // In the middle of a statement, which waits for a lock.
  await using locking = await pair.source
    .connect()
    .then((client) => ({ client, [Symbol.asyncDispose]: () => client.end() }))
  await locking.client.query('BEGIN; LOCK TABLE orders')
  await using blocked = startTailrace(['verify', ...urls, '--tables', 'orders'])
  await blocked.says('public.orders: reading it')
  blocked.kill('SIGINT')
  expect(await blocked.ended).toMatchObject({ code: 2 })
  await locking.client.query('ROLLBACK')
})

test.concurrent.each<[string, string[], RegExp]>([
  ['no source', ['--target', 'postgres://h/d', '--tables', 't'], /OPTION_MISSING: there is no --source <url>/],
  [
    'no tables',
    ['--source', 'postgres://h/d', '--target', 'postgres://h/d'],
    /OPTION_MISSING: there is no --tables <list>/,
  ],
  ['a mistyped option', ['--tabels', 't'], /OPTION_UNKNOWN: .*Did you mean --tables\?/],
  [
    'a time that is none',
    ['--source', 'postgres://h/d', '--target', 'postgres://h/d', '--tables', 't', '--settle', 'x'],
    /SETTING_INVALID: setting "settleSeconds"/,
  ],
])('wrong usage is exit code 2: %s', async (_, args, says) => {
  const { code, stdout, stderr } = await tailrace(['verify', ...args])
  expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
  expect(stderr).toMatch(says)
})
