import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { EmbeddedPostgres } from '../../../src/cli/embedded/server.js'
import type { PauseRequest, PipelineStatus, SignalBody, Status } from '../../../src/homes/pipeline/status/status.js'
import { type TestDatabase, testDatabase } from '../../support/database.js'
import { samplesOf } from '../../support/metricsText.js'
import { startServer } from '../../support/servers.js'
import { parseLines, startTailrace, type TailraceProcess, tailrace } from '../../support/tailrace.js'
import { temporaryFolder } from '../../support/temporaryFolder.js'
import { waitFor } from '../../support/waitFor.js'

let server: EmbeddedPostgres
beforeAll(async () => {
  server = await startServer()
})
afterAll(() => server?.[Symbol.asyncDispose]())

const SHOP = `
  CREATE TABLE orders (id int PRIMARY KEY, note text);
  INSERT INTO orders SELECT n, 'row' FROM generate_series(1, 500) n`

/** The HTTP interface of a run. */
class Http {
  readonly #url: string

  static async of(running: TailraceProcess): Promise<Http> {
    const find = () => /listening at (http:\S+)\/$/m.exec(running.stderr)?.[1]
    await running.waitFor(find, 'it listens')
    return new Http(find()!)
  }

  constructor(url: string) {
    this.#url = url
  }

  async get(path: string, headers: Record<string, string> = {}) {
    const response = await fetch(`${this.#url}${path}`, { headers })
    return { code: response.status, text: await response.text() }
  }

  async post(path: string, body: object, headers: Record<string, string> = {}) {
    const init = { method: 'POST', headers: { 'content-type': 'application/json', ...headers } }
    const response = await fetch(`${this.#url}${path}`, { ...init, body: JSON.stringify(body) })
    return { code: response.status, body: (await response.json()) as Record<string, unknown> }
  }

  async pipelines(): Promise<readonly PipelineStatus[]> {
    return (JSON.parse((await this.get('/api/status')).text) as Status).pipelines
  }

  /** Waits until this is true of the first pipeline, or the one of this name. */
  async until(what: string, is: (pipeline: PipelineStatus) => unknown, name?: string): Promise<PipelineStatus> {
    const look = async () => {
      const pipelines = await this.pipelines()
      const pipeline = name === undefined ? pipelines[0]! : pipelines.find((one) => one.name === name)!
      return is(pipeline) ? pipeline : undefined
    }
    return waitFor(look, { what, timeoutMs: 20_000 })
  }
}

/** Of the run's connection: which process serves it, and when that heard from the run last. */
const walsender = (db: TestDatabase) =>
  db.query<{ pid: number; reply_time: Date }>('SELECT pid, reply_time FROM pg_stat_replication')

test('how a run is, over HTTP: status, metrics, pause that keeps connection and slot, a table read again', async () => {
  await using db = await testDatabase(server, SHOP)
  db.expectSlots = true
  await using folder = await temporaryFolder()
  const file = join(folder.path, 'shop.yaml')
  await writeFile(
    file,
    `http: 127.0.0.1:0
source: {url: "\${SHOP_URL}", tables: orders, slot: "\${SLOT}", max_bytes: 1000000}
buffer_bytes: 1000000
sinks: {out: {type: file, path: out.ndjson}}
`,
  )
  const records = async () => parseLines(await readFile(join(folder.path, 'out.ndjson'), 'utf8'))
  await using running = startTailrace(['run', file], { env: { SHOP_URL: db.url, SLOT: db.name } })
  const http = await Http.of(running)
  expect(await http.get('/healthz')).toEqual({ code: 200, text: 'ok\n' })
  await http.until('the rows', ({ state, sinks }) => state === 'streaming' && sinks[0]!.writtenRows === 500)
  expect(await http.get('/readyz')).toEqual({ code: 200, text: '1 of 1 pipeline ready\n' })

  await db.query("INSERT INTO orders VALUES (501, 'new'); DELETE FROM orders WHERE id < 3")
  const known = ({ sinks, slot, lag }: PipelineStatus) =>
    sinks[0]!.writtenRows === 503 && slot !== null && lag.bytes !== null
  const status = await http.until('the changes, and what the slot holds', known)
  expect(status).toMatchObject({
    name: 'shop',
    safety: { level: 'safe', words: 'Your data is safe: every change is delivered as it comes.', why: [] },
    source: { host: '127.0.0.1', database: db.name, slot: db.name, publication: 'tailrace', connected: true },
    lag: { seconds: 0 },
    slot: { limitBytes: null, level: 'ok', walStatus: 'reserved', active: true },
    snapshot: [{ table: 'public.orders', rows: 500, done: true, etaSeconds: 0 }],
    tables: [{ table: 'public.orders', snapshot: 500, create: 1, delete: 2, update: 0 }],
    sinks: [{ name: 'out', type: 'file', state: 'running', pendingBytes: 0, retries: 0, deadLetters: 0 }],
    errors: [],
    deadLetters: [],
  })
  expect(status.sinks[0]!.latency.p99Seconds).toBeGreaterThan(0)

  const samples = samplesOf((await http.get('/metrics')).text)
  const of = { pipeline: 'shop' }
  expect(samples('tailrace_source_rows_total', { ...of, table: 'public.orders', operation: 'snapshot' })).toBe(500)
  expect(samples('tailrace_source_rows_total', { ...of, table: 'public.orders', operation: 'delete' })).toBe(2)
  expect(samples('tailrace_sink_rows_total', { ...of, sink: 'out' })).toBe(503)
  expect(samples('tailrace_pipeline_state', { ...of, state: 'streaming' })).toBe(1)
  expect(samples('tailrace_pipeline_state', { ...of, state: 'paused' })).toBe(0)
  expect(samples('tailrace_slot_retained_bytes', of)).toBeGreaterThanOrEqual(0)
  expect(samples('tailrace_sink_write_duration_seconds_count', { ...of, sink: 'out' })).toBeGreaterThan(0)

  const all: PauseRequest = {}
  const [before] = await walsender(db)
  expect(await http.post('/api/pause', all, { origin: 'http://elsewhere.example' })).toMatchObject({ code: 403 })
  expect((await http.pipelines())[0]!.state).toBe('streaming')
  expect(await http.post('/api/pause', all)).toMatchObject({ code: 200, body: { pipelines: [{ state: 'paused' }] } })
  for (let n = 1000; n < 9000; n += 1000) {
    await db.query(`INSERT INTO orders SELECT n, repeat('x', 1000) FROM generate_series(${n + 1}, ${n + 1000}) n`)
  }
  const paused = await http.until('the lag to be seen', ({ lag }) => (lag.bytes ?? 0) > 6e6)
  expect(paused).toMatchObject({ state: 'paused', safety: { level: 'at_risk' }, source: { connected: true } })
  expect(paused.safety.words).toBe('Paused: nothing is delivered; the server keeps what comes meanwhile.')
  const [{ now }] = (await db.query<{ now: Date }>('SELECT now()')) as [{ now: Date }]
  const heard = async () => (await walsender(db)).find(({ reply_time }) => reply_time > now)
  expect((await waitFor(heard, { what: 'the paused run to tell the server that it is there' })).pid).toBe(before!.pid)
  // At most what is read ahead.
  expect((await records()).length).toBeLessThan(4000)
  expect(await http.post('/api/resume', { pipeline: 'shop' })).toMatchObject({ code: 200 })
  await http.until('what came meanwhile', ({ sinks }) => sinks[0]!.writtenRows === 8503)
  expect(new Set((await records()).map(({ id }) => id)).size).toBe(8503)

  const asked: SignalBody = { command: 'resnapshot', table: 'orders', where: 'id <= 10' }
  expect(await http.post('/api/signal', asked)).toMatchObject({ code: 200, body: { table: 'orders' } })
  await http.until('eight rows once more', ({ tables }) => tables[0]!.snapshot === 508)
  expect(await http.post('/api/signal', { command: 'resnapshot', table: 'nothing' })).toMatchObject({
    code: 409,
    body: { error: { code: 'TABLE_NOT_CAPTURED', hint: expect.any(String) } },
  })
  expect(await http.post('/api/signal', { command: 'restart' })).toMatchObject({
    code: 400,
    body: { error: { code: 'SIGNAL_INVALID' } },
  })
  running.kill('SIGTERM')
  expect(await running.ended).toMatchObject({ code: 0 })
  expect(await records()).toHaveLength(8511)
})

test('of several pipelines one that fails leaves the others running; they end together, and are told apart', async () => {
  await using db = await testDatabase(server, SHOP)
  db.expectSlots = true
  await using folder = await temporaryFolder()
  const write = (name: string, tables: string, more = '') =>
    writeFile(
      join(folder.path, name),
      `source: {url: "\${SHOP_URL}", tables: ${tables}, publication: "\${SLOT}_${name.split('.')[0]}", slot: "\${SLOT}_${name.split('.')[0]}"}
sinks: {out: {type: file, path: "${name}.out"${more}}}\n`,
    )
  await write('good.yaml', 'orders')
  await write('bad.yml', 'nothing')
  await writeFile(join(folder.path, 'token'), 'a-token-of-a-test-0123456789\n')
  const env = { SHOP_URL: db.url, SLOT: db.name }
  const http = ['--http', '0.0.0.0:0']
  const refused = await tailrace(['run', folder.path, ...http], { env })
  expect([refused.code, refused.stderr]).toEqual([2, expect.stringContaining('HTTP_TOKEN_MISSING: 0.0.0.0:0 can be')])

  await using running = startTailrace(['run', folder.path, ...http, '--http-token-file', join(folder.path, 'token')], {
    env,
  })
  const asked = await Http.of(running)
  const bearer = { authorization: 'Bearer a-token-of-a-test-0123456789' }
  expect(await asked.get('/api/status')).toMatchObject({ code: 401 })
  const pipelines = async () => (JSON.parse((await asked.get('/api/status', bearer)).text) as Status).pipelines
  const settled = async () => (await pipelines()).map(({ name, state }) => `${name} ${state}`).join()
  await waitFor(async () => (await settled()) === 'bad failed,good streaming', { what: 'one to fail, one to stream' })
  expect((await pipelines())[0]).toMatchObject({
    safety: { level: 'in_trouble', words: expect.stringMatching(/^The pipeline has stopped with an error/) },
    errors: [{ where: 'pipeline', code: 'TABLE_NOT_FOUND', hint: expect.any(String), retryAt: null }],
  })
  expect((await asked.get('/readyz')).code).toBe(503)
  await db.query("INSERT INTO orders VALUES (501, 'new')")
  await waitFor(async () => (await pipelines())[1]!.sinks[0]!.writtenRows === 501, { what: 'the good one to go on' })
  running.kill('SIGTERM')
  expect(await running.ended).toMatchObject({ code: 1 })
  const lines = running.stderr.split('\n')
  expect(lines).toContainEqual(expect.stringMatching(/^tailrace: \[bad\] TABLE_NOT_FOUND: /))
  expect(lines).toContain('tailrace: [bad] this pipeline has failed; 1 other goes on')
  expect(lines).toContain('tailrace: [good] sink out has 501 records of this run')
  expect(running.stderr).not.toContain('0123456789')

  await write('twin.yaml', 'orders', ', max_line_bytes: 5000')
  await writeFile(
    join(folder.path, 'twin.yaml'),
    (await readFile(join(folder.path, 'good.yaml'), 'utf8')).replace('good.yaml.out', 'twin.yaml.out'),
  )
  const clash = await tailrace(['run', folder.path], { env })
  expect(clash.code).toBe(2)
  expect(clash.stderr).toContain(`good.yaml and ${join(folder.path, 'twin.yaml')} have the same slot, ${db.name}_good`)
})
