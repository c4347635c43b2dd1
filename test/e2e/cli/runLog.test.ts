import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { EmbeddedPostgres } from '../../../src/cli/embedded/server.js'
import { testDatabase } from '../../support/database.js'
import { startServer } from '../../support/servers.js'
import { tailrace } from '../../support/tailrace.js'
import { temporaryFolder } from '../../support/temporaryFolder.js'

let server: EmbeddedPostgres
beforeAll(async () => {
  server = await startServer()
})
afterAll(() => server?.[Symbol.asyncDispose]())

const SHOP = 'CREATE TABLE orders (id int PRIMARY KEY); INSERT INTO orders VALUES (1), (2)'
const PASSWORD = 'hunter2'
/** As a supervisor starts it. */
const PLAIN = { TAILRACE_LOG: undefined }

type Line = Readonly<Record<string, unknown>>

/** Every line is one JSON object, or this throws. */
function linesOf({ stderr }: { readonly stderr: string }): Line[] {
  return stderr
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Line)
}

test('where standard error is no terminal each line of a pipeline is a JSON object with level, time and facts', async () => {
  await using db = await testDatabase(server, SHOP)
  db.expectSlots = true
  await using folder = await temporaryFolder()
  const file = join(folder.path, 'shop.yaml')
  await writeFile(
    file,
    `source: {url: "\${SHOP_URL}", tables: orders, slot: "\${SLOT}", until: current}\nsinks: {out: {type: file, path: out}}\n`,
  )
  const url = new URL(db.url)
  url.password = PASSWORD
  const env = { ...PLAIN, SHOP_URL: url.href, SLOT: db.name }
  const run = (...options: string[]) => tailrace(['run', file, ...options], { env })

  const first = await run()
  const lines = linesOf(first)
  expect(first.code, first.stderr).toBe(0)
  expect(lines.map(({ level, event }) => `${level} ${event}`)).toEqual([
    ...['info snapshot-started', 'info snapshot-finished', 'info streaming', 'info pipeline-ended', 'info sink-ended'],
  ])
  for (const { time } of lines) expect(Date.parse(String(time))).toBeGreaterThan(Date.now() - 60_000)
  expect(lines.at(-2)).toMatchObject({ records: 2, tables: { 'public.orders': 2 } })
  expect(lines.at(-1)).toMatchObject({ name: 'out', records: 2, message: 'sink out has 2 records of this run' })

  const verbose = await run('--verbose')
  expect(linesOf(verbose).filter(({ level }) => level === 'debug')).not.toEqual([])
  expect(verbose.stderr).not.toContain(PASSWORD)
  expect(await run('--quiet')).toMatchObject({ code: 0, stderr: '' })
  expect((await run('--log', 'text')).stderr).toMatch(/^tailrace: sink out has 0 records of this run$/m)
})

test('mistakes in a file and errors of a run are such lines too, with their codes, and no password', async () => {
  await using folder = await temporaryFolder()
  const file = join(folder.path, 'shop.yaml')
  await writeFile(file, `source: {url: "\${SHOP_URL}", tabels: orders}\nsinks: {out: {type: file, path: out}}\n`)
  const env = { ...PLAIN, SHOP_URL: `postgres://app:${PASSWORD}@127.0.0.1:1/shop` }
  const mistaken = await tailrace(['run', file], { env })
  expect(mistaken.code).toBe(2)
  expect(linesOf(mistaken)).toContainEqual(
    expect.objectContaining({
      level: 'error',
      code: 'PIPELINE_INVALID',
      line: 1,
      column: 30,
      hint: expect.any(String),
    }),
  )

  await writeFile(file, `source: {url: "\${SHOP_URL}", tables: orders}\nsinks: {out: {type: file, path: out}}\n`)
  const failed = await tailrace(['run', file, '--verbose', '--no-control'], { env })
  expect(failed.code).toBe(1)
  expect(linesOf(failed).at(-1)).toMatchObject({ level: 'error', code: 'CONNECTION_FAILED', hint: expect.any(String) })
  expect(failed.stderr).not.toContain(PASSWORD)
})
