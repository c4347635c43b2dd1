import { readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { EmbeddedPostgres } from '../../../../src/cli/embedded/server.js'
import { type PipelineConfig, readPipeline } from '../../../../src/homes/pipeline/config/pipelineConfig.js'
import { dropLetters, findLetter, listLetters } from '../../../../src/homes/pipeline/dlq/deadLetterQueue.js'
import { type ReplayOptions, replayLetters } from '../../../../src/homes/pipeline/dlq/replay.js'
import { runPipeline } from '../../../../src/homes/pipeline/runPipeline.js'
import { RunningPipeline } from '../../../support/pipelineSinks.js'
import { startServer } from '../../../support/servers.js'
import { temporaryFolder } from '../../../support/temporaryFolder.js'
import { type DatabasePair, databasePair } from '../../../support/verifying.js'
import { waitFor } from '../../../support/waitFor.js'

let server: EmbeddedPostgres
beforeAll(async () => {
  server = await startServer()
})
afterAll(() => server?.[Symbol.asyncDispose]())

const QUIET = { event: () => {}, tryingAgain: () => {}, source: async () => {} }

async function fileOf(pair: DatabasePair, text: string) {
  pair.source.expectSlots = true
  const folder = await temporaryFolder()
  const path = join(folder.path, 'shop.yaml')
  const environment = { SHOP_URL: pair.source.url, COPY_URL: pair.target.url }
  const read = () => readPipeline(path, environment)
  const write = (yaml: string) => writeFile(path, yaml.replace('SLOT', pair.source.name))
  await write(text)
  return {
    folder: folder.path,
    read,
    write,
    /** To the source's end, as it is now. */
    run: async () => runPipeline(await read(), QUIET, new AbortController().signal),
    text: (name: string) => readFile(join(folder.path, name), 'utf8'),
    [Symbol.asyncDispose]: folder[Symbol.asyncDispose],
  }
}

async function numbers(config: PipelineConfig, sink: string, filter = {}): Promise<string[]> {
  const found: string[] = []
  for await (const { letter } of listLetters(config, { sink, filter })) found.push(letter.number)
  return found
}

async function ids(config: PipelineConfig, sink: string, filter = {}): Promise<unknown[]> {
  const found: unknown[] = []
  for await (const { letter } of listLetters(config, { sink, filter })) {
    const { operation, key } = JSON.parse(letter.record)
    found.push(`${operation} ${Object.values(key)}`)
  }
  return found
}

const replay = (config: PipelineConfig, options: Partial<ReplayOptions> = {}) =>
  replayLetters(config, { filter: {}, force: false, dropSuperseded: false, ...options })

test('of a database: only what the source still has so is written, beside a run that goes on; the rest stays with its reason', async () => {
  const sql = (check: string) => `
    CREATE TABLE items (id int PRIMARY KEY, note text ${check}, at timestamptz, doc json, list text[], raw bytea);
    CREATE TABLE odd (id int PRIMARY KEY, note text ${check})`
  await using pair = await databasePair(server, sql(''), sql("CONSTRAINT fine CHECK (note <> 'bad')"))
  await using file = await fileOf(
    pair,
    `source: {url: "\${SHOP_URL}", tables: "items,odd", slot: SLOT}
processors: [{type: mask, streams: odd, redact: [note], if: "id > 1000"}]
sinks:
  copy: {type: postgres, url: "\${COPY_URL}", on_error: dead-letter}
`,
  )
  const config = await file.read()
  await using running = new RunningPipeline(config)
  await waitFor(() => running.streaming, { what: 'the stream', timeoutMs: 20_000 })
  const values = `'2020-02-03 04:05:06.789+02', '"5"', '{a,"b c",NULL}', '\\x00ff'`
  await pair.source.query(`
    INSERT INTO items VALUES (1, 'bad', ${values});
    INSERT INTO items VALUES (2, 'bad'), (3, 'bad'), (4, 'fine'), (5, 'fine'), (6, 'bad');
    INSERT INTO odd VALUES (1, 'bad'), (2, 'bad')`)
  await pair.source.query("UPDATE items SET note = 'bad' WHERE id = 4")
  await pair.source.query("UPDATE items SET id = 50, note = 'bad' WHERE id = 5")
  await pair.source.query("UPDATE items SET note = 'newer' WHERE id = 2; DELETE FROM items WHERE id = 3")
  await pair.source.query("UPDATE odd SET note = 'newer' WHERE id = 2; INSERT INTO items VALUES (9, 'fine')")
  const target = async () => {
    const rows = await pair.target.query<{ row: string }>('SELECT i::text AS row FROM items i ORDER BY id')
    return rows.map(({ row }) => row)
  }
  await waitFor(async () => (await target()).some((row) => row.startsWith('(9,')), {
    what: 'the last',
    timeoutMs: 20_000,
  })
  const there = ['(2,newer,,,,)', '(4,fine,,,,)', '(5,fine,,,,)', '(9,fine,,,,)']
  expect(await target()).toEqual(there)
  const of = { ...['create 1', 'create 2', 'create 3', 'create 6', 'create 1', 'create 2', 'update 4', 'update 50'] }
  expect({ ...(await ids(config, 'copy')) }).toEqual(of)
  expect(await ids(config, 'copy', { tables: 'odd' })).toEqual(['create 1', 'create 2'])
  expect(await ids(config, 'copy', { sqlstate: '23505' })).toEqual([])
  expect(await ids(config, 'copy', { since: new Date(Date.now() + 60_000) })).toEqual([])
  const all = await numbers(config, 'copy')
  expect(await ids(config, 'copy', { from: all[2], to: all[6], limit: 2 })).toEqual(['create 3', 'create 6'])
  const { letter } = await findLetter(config, undefined, all[0]!)
  expect(letter).toMatchObject({ sqlstate: '23514', target: 'public.items', problem: expect.stringContaining('fine') })

  // Nothing was mended: all stay.
  expect(await replay(config, { filter: { tables: 'items' } })).toEqual([
    { sink: 'copy', written: 0, superseded: 2, failed: 4 },
  ])
  expect(await target()).toEqual(there)
  await pair.target.query('ALTER TABLE items DROP CONSTRAINT fine; ALTER TABLE odd DROP CONSTRAINT fine')
  const kept: string[] = []
  const onKept: ReplayOptions['onKept'] = (_, one, { code }) => kept.push(`${one.target} ${one.number} ${code}`)
  expect(await replay(config, { onKept })).toEqual([{ sink: 'copy', written: 5, superseded: 2, failed: 1 }])
  expect(kept).toEqual([
    `public.items ${all[1]} DEAD_LETTER_SUPERSEDED`,
    `public.items ${all[2]} DEAD_LETTER_SUPERSEDED`,
    `public.odd ${all[5]} DEAD_LETTER_UNPROVED`,
  ])
  const written = await target()
  expect(written).toEqual([
    '(1,bad,"2020-02-03 02:05:06.789+00","""5""","{a,""b c"",NULL}","\\\\x00ff")',
    ...['(2,newer,,,,)', '(4,bad,,,,)', '(6,bad,,,,)', '(9,fine,,,,)', '(50,bad,,,,)'],
  ])
  expect((await findLetter(config, 'copy', all[1]!)).letter.problem).toContain('the row has other values')
  // The run has noticed nothing of it.
  await pair.source.query("UPDATE items SET note = 'last' WHERE id = 6")
  await waitFor(async () => (await target()).includes('(6,last,,,,)'), { what: 'a change', timeoutMs: 20_000 })
  expect(running.events.filter(({ type }) => type !== 'sink-dead-letters')).toEqual([])
  // Written all the same, and then what the source has.
  expect(await replay(config, { dropSuperseded: true, filter: { tables: 'items' } })).toEqual([
    { sink: 'copy', written: 0, superseded: 2, failed: 0 },
  ])
  expect(await replay(config, { force: true })).toEqual([{ sink: 'copy', written: 1, superseded: 0, failed: 0 }])
  expect(await pair.target.query('SELECT note FROM odd WHERE id = 2')).toEqual([{ note: 'bad' }])
  expect(await ids(config, 'copy')).toEqual([])
})

test('of files: lines are written again as the source’s would have been, in each format, and the run goes on behind them', async () => {
  const table = `
    CREATE TABLE items (id int, code text, total numeric(12,3), at timestamptz, day date, good bool, doc json, docb jsonb,
                        raw bytea, list text[], box box, span interval, big text, PRIMARY KEY (id, code));
    ALTER TABLE items ALTER big SET STORAGE EXTERNAL;
    CREATE TABLE whole (at timestamp PRIMARY KEY, note text); ALTER TABLE whole REPLICA IDENTITY FULL;
    CREATE TABLE bare (note text)`
  await using pair = await databasePair(server, table)
  const formats = ['tailrace', 'row', 'blink', 'debezium']
  const sinks = (limit: string) =>
    formats
      .map(
        (format) => `
  all-${format}: {type: file, path: all.${format}, format: ${format}}
  cut-${format}: {type: file, path: cut.${format}, format: ${format}${limit}, on_error: dead-letter}`,
      )
      .join('')
  const yaml = (limit: string) =>
    `source: {url: "\${SHOP_URL}", tables: "items,whole,bare", slot: SLOT, until: current, keyless: inserts}\nsinks:${sinks(limit)}\n`
  await using file = await fileOf(pair, yaml(', max_line_bytes: 10'))
  const row = (id: number) =>
    `(${id}, 'a,"b\\', 1234567.500, '2020-02-03 04:05:06.789+02', '2021-01-01', true, '{"a": 1.50}', '"text"', '\\x00ff',
      '{a,"b c",NULL}', '(1,2),(3,4)', '1 day 02:00', repeat('x', 3000))`
  await pair.source.query(`INSERT INTO items VALUES ${row(1)}; INSERT INTO whole VALUES ('2020-01-02 03:04:05', 'é');
    INSERT INTO bare VALUES ('one'), ('two')`)
  await file.run()
  await pair.source.query(`INSERT INTO items VALUES ${row(2)}; UPDATE items SET good = NULL WHERE id = 1;
    UPDATE items SET id = 3 WHERE id = 1; UPDATE whole SET note = 'new'; DELETE FROM whole; DELETE FROM items WHERE id = 2;
    TRUNCATE bare`)
  await file.run()
  const config = await file.read()
  // What is a row has no line for a truncate; one of a delete is short.
  const letters = async (format: string) => (await ids2(config, `cut-${format}`)).length
  expect(await Promise.all(formats.map(letters))).toEqual([11, 10, 10, 11])
  expect(await replay(config, { sink: 'cut-row', filter: { limit: 1 } })).toEqual([
    { sink: 'cut-row', written: 0, superseded: 0, failed: 1 },
  ])
  expect(await letters('row')).toBe(10)
  await file.write(yaml(''))
  // The third of them is written by itself, before the others.
  const mended = await file.read()
  const [, , third] = await numbers(mended, 'cut-tailrace')
  expect(await replay(mended, { sink: 'cut-tailrace', filter: { from: third, to: third } })).toMatchObject([
    { written: 1 },
  ])
  expect(await letters('tailrace')).toBe(10)
  const kept: string[] = []
  const results = await replay(mended, {
    onKept: (sink, { record }, { message }) => kept.push(`${sink}: ${message} ${record}`),
  })
  expect([kept, results.filter(({ failed, superseded }) => failed + superseded > 0)]).toEqual([[], []])
  await pair.source.query("INSERT INTO bare VALUES ('last')")
  await file.run()
  for (const format of formats) {
    // When it was written stands in lines of Debezium's.
    const lines = async (name: string) => {
      const text = (await file.text(`${name}.${format}`)).replaceAll(/"ts_(ms|us|ns)":\d+/g, '')
      return text.trimEnd().split('\n').sort()
    }
    expect(await lines('cut'), format).toEqual(await lines('all'))
    // All of them are done with.
    await expect(stat(join(file.folder, `shop.cut-${format}.dead-letters.ndjson`))).rejects.toThrow('ENOENT')
  }
  expect(await dropLetters(mended, { sink: undefined, filter: {} })).toContainEqual(
    expect.objectContaining({ sink: 'cut-row', count: 0 }),
  )
})

async function ids2(config: PipelineConfig, sink: string): Promise<string[]> {
  const found: string[] = []
  for await (const { letter } of listLetters(config, { sink, filter: {} })) found.push(letter.id)
  return found
}

test('of a file that a run writes: through the run, between what comes; killed nowhere, written once', async () => {
  await using pair = await databasePair(server, 'CREATE TABLE items (id int PRIMARY KEY, note text)')
  const yaml = (limit: number) => `source: {url: "\${SHOP_URL}", tables: items, slot: SLOT}
sinks:
  cut: {type: file, path: cut.ndjson, format: row, max_line_bytes: ${limit}, on_error: dead-letter}
  other: {type: file, path: other.ndjson}
`
  await using file = await fileOf(pair, yaml(100))
  const insert = (from: number) =>
    pair.source.query(
      `INSERT INTO items SELECT n, repeat('x', n % 3 * 100) FROM generate_series(${from}, ${from + 2}) n`,
    )
  await using first = new RunningPipeline(await file.read())
  await waitFor(() => first.streaming, { what: 'the stream', timeoutMs: 20_000 })
  await insert(1)
  const config = await file.read()
  const letters = async () => (await numbers(config, 'cut')).length
  await waitFor(async () => (await letters()) === 2, { what: 'two letters', timeoutMs: 20_000 })
  // Not beside it, and not by a process of another file: only the run may write there.
  expect(await replay(config, { running: first.replays })).toEqual([
    { sink: 'cut', written: 0, superseded: 0, failed: 2 },
    { sink: 'other', written: 0, superseded: 0, failed: 0 },
  ])
  await waitFor(async () => (await letters()) === 2, { what: 'the same again', timeoutMs: 20_000 })
  await first.stop()
  await expect(replay(config, { running: first.replays })).rejects.toMatchObject({ code: 'DEAD_LETTERS_BUSY' })
  await file.write(yaml(1000))
  await using second = new RunningPipeline(await file.read())
  await waitFor(() => second.streaming, { what: 'the stream', timeoutMs: 20_000 })
  await insert(4)
  const [result] = await replay(config, { running: second.replays, sink: 'cut' })
  expect(result).toEqual({ sink: 'cut', written: 2, superseded: 0, failed: 0 })
  expect(await letters()).toBe(0)
  await insert(7)
  const lines = async () =>
    (await file.text('cut.ndjson'))
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line).id)
  await waitFor(async () => (await lines()).length === 9, { what: 'all', timeoutMs: 20_000 })
  expect((await lines()).sort()).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9])
  await second.stop()
})
