import { readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { EmbeddedPostgres } from '../../../src/cli/embedded/server.js'
import { testDatabase } from '../../support/database.js'
import { startServer } from '../../support/servers.js'
import { SEED, seededRandom } from '../../support/sourceWriters.js'
import { type OutputRecord, parseLines, startTailrace, tailrace } from '../../support/tailrace.js'
import { temporaryFolder } from '../../support/temporaryFolder.js'
import { databasePair } from '../../support/verifying.js'
import { WebhookReceiver } from '../../support/webhookReceiver.js'
import { freePort } from '../../support/websocketPeers.js'

let server: EmbeddedPostgres
beforeAll(async () => {
  server = await startServer()
})
afterAll(() => server?.[Symbol.asyncDispose]())

/** Every other row is rejected by each sink, until it is mended. */
const LAST = 1600
const isBad = (id: number) => id % 2 === 0
const rows = (from: number, to: number) => `
  INSERT INTO items SELECT n, CASE WHEN n % 2 = 0 THEN repeat('x', 600) ELSE 'good' END FROM generate_series(${from}, ${to}) n`
/** Of each sink's; many for a long run by hand. */
const KILLS = Number(process.env.TAILRACE_TEST_KILLS ?? 1)
/** They come so long at most after the first letter was written, in milliseconds. */
const WITHIN: Readonly<Record<string, number>> = { copy: 150, hook: 60, log: 10 }

test('a replay that is killed at random: nothing is lost, and nothing is written that was not put aside', async () => {
  const table = 'CREATE TABLE items (id int PRIMARY KEY, note text)'
  await using pair = await databasePair(
    server,
    table,
    table.replace('text', 'text CONSTRAINT short CHECK (length(note) < 100)'),
  )
  pair.source.expectSlots = true
  await using folder = await temporaryFolder()
  let refuses = true
  const accepted: OutputRecord[] = []
  await using receiver = await WebhookReceiver.start(({ body }) => {
    const record = JSON.parse(body) as OutputRecord
    if (refuses && String(record.after?.note ?? '').length > 100) return { status: 422 }
    accepted.push(record)
    return { status: 204 }
  })
  const file = join(folder.path, 'shop.yaml')
  const write = (maxLineBytes: number) =>
    writeFile(
      file,
      `source: {url: "${pair.source.url}", tables: items, slot: ${pair.source.name}, until: current, max_bytes: 65536}
sinks:
  copy: {type: postgres, url: "${pair.target.url}", on_error: dead-letter}
  hook: {type: webhook, url: "${receiver.url}", parallel: 8, on_error: dead-letter}
  log: {type: file, path: log.ndjson, max_line_bytes: ${maxLineBytes}, on_error: dead-letter}
`,
    )
  await write(500)
  await pair.source.query(rows(1, LAST / 2))
  const run = async () => {
    const ended = await tailrace(['run', file])
    expect(ended.code, ended.stderr).toBe(0)
  }
  await run()
  await pair.source.query(rows(LAST / 2 + 1, LAST))
  // What was put aside, and has another value by now, or none.
  await pair.source.query(
    `UPDATE items SET note = 'mended' WHERE id <= 40 AND id % 2 = 0; DELETE FROM items WHERE id BETWEEN 41 AND 60`,
  )
  await run()
  const bad = Array.from({ length: LAST }, (_, index) => index + 1).filter(isBad)
  const list = await tailrace(['dlq', 'list', file, '--json', '--limit', '100000'])
  const letters = parseLines(list.stdout) as unknown as { sink: string; record: OutputRecord }[]
  const lettersOf = (name: string) => letters.filter(({ sink }) => sink === name).map(({ record }) => record)
  for (const name of ['copy', 'hook', 'log']) expect(lettersOf(name)).toHaveLength(bad.length)
  const logged = async () => parseLines(await readFile(join(folder.path, 'log.ndjson'), 'utf8'))
  const before = { hook: [...accepted], log: await logged() }

  refuses = false
  await pair.target.query('ALTER TABLE items DROP CONSTRAINT short')
  await write(5000)
  const random = seededRandom(SEED)
  const size = async (name: string) => (await stat(join(folder.path, name)).catch(() => ({ size: 0 }))).size
  const progress: Record<string, () => Promise<number>> = {
    copy: async () => (await pair.target.query('SELECT FROM items')).length,
    hook: async () => accepted.length,
    log: () => size('log.ndjson'),
  }
  const replay = ['dlq', 'replay', file, '--drop-superseded']
  /** How many were killed before they had ended. */
  let inTheMiddle = 0
  for (const [name, written] of Object.entries(progress)) {
    for (let kill = 0; kill < KILLS; kill++) {
      const begun = await written()
      await using replaying = startTailrace([...replay, '--sink', name])
      while (replaying.running && (await written()) === begun) await sleep(1)
      await sleep(random() * WITHIN[name]!)
      if (replaying.running) inTheMiddle++
      replaying.kill('SIGKILL')
      await replaying.ended
    }
  }
  const last = await tailrace(replay)
  const left = await tailrace(['dlq', 'list', file])
  const told = `TAILRACE_TEST_SEED=${SEED} ${inTheMiddle}\n${last.stdout}${last.stderr}${left.stdout.slice(0, 300)}`
  expect(last.code, told).toBe(0)
  expect(inTheMiddle, told).toBeGreaterThan(0)

  const all = 'SELECT id, note FROM items ORDER BY id'
  expect(
    String(JSON.stringify(await pair.target.query(all)) === JSON.stringify(await pair.source.query(all))),
    told,
  ).toBe('true')
  const received = { hook: accepted, log: await logged() }
  for (const name of ['hook', 'log'] as const) {
    const known = new Map([...before[name], ...lettersOf(name)].map((record) => [record.id, JSON.stringify(record)]))
    const came = new Map(received[name].map((record) => [record.id, JSON.stringify(record)]))
    expect(
      [...known.keys()].filter((id) => !came.has(id)),
      `${name}: ${told}`,
    ).toEqual([])
    expect(
      [...came].filter(([id, record]) => known.get(id) !== record),
      told,
    ).toEqual([])
  }
  expect((await tailrace(['dlq', 'list', file])).stdout).toBe('No dead letters.\n')
  // What the pipeline goes on from is as it was: nothing comes again.
  const counts = () => Promise.all(Object.values(progress).map((one) => one()))
  const counted = await counts()
  await run()
  expect(await counts()).toEqual(counted)
}, 240_000)

test('while it runs the run writes them, asked where its file says that it listens; else the command says what to do', async () => {
  await using db = await testDatabase(server, 'CREATE TABLE items (id int PRIMARY KEY, note text)')
  db.expectSlots = true
  await using folder = await temporaryFolder()
  let refuses = true
  const accepted: OutputRecord[] = []
  await using receiver = await WebhookReceiver.start(({ body }) => {
    if (refuses) return { status: 422 }
    accepted.push(JSON.parse(body))
    return { status: 204 }
  })
  const file = join(folder.path, 'shop.yaml')
  const http = `http: 127.0.0.1:${await freePort()}\nhttp_token: a-token-that-is-long\n`
  const write = (more: string) =>
    writeFile(
      file,
      `source: {url: "${db.url}", tables: items, slot: ${db.name}}
${more}sinks: {hook: {type: webhook, url: "${receiver.url}", on_error: dead-letter}}
`,
    )
  await write(http)
  await using running = startTailrace(['run', file])
  await running.says('streaming from')
  await db.query("INSERT INTO items VALUES (1, 'a'), (2, 'b')")
  await running.says('as dead letters')
  const replay = (...more: readonly string[]) => tailrace(['dlq', 'replay', file, ...more])
  await write('')
  expect(await replay()).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/DEAD_LETTERS_OF_RUN: process \d+ runs the pipeline.*With http: in the pipeline/),
  })
  await write(http)
  refuses = false
  const one = async () => (await replay('--limit', '1')).stdout
  const written = 'sink hook: 1 written again\n'
  await running.waitFor(async () => (await one()) === written, 'the first one to be written again', {
    timeoutMs: 60_000,
  })
  expect(await replay()).toMatchObject({ code: 0, stdout: written })
  expect(accepted.map(({ key }) => key)).toEqual([{ id: 1 }, { id: 2 }])
  running.kill('SIGTERM')
  expect((await running.ended).code).toBe(0)
}, 240_000)
