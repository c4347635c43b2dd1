import { mkdir, readdir, readFile, stat, truncate, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { afterEach, beforeAll, expect, test, vi } from 'vitest'
import { OUTPUT_FAILED } from '../../../src/core/errors.js'
import { fileSinkType } from '../../../src/sinks/file/fileSinkType.js'
import { Output } from '../../../src/sinks/files/output.js'
import type { Sink, SinkMark } from '../../../src/sinks/sink.js'
import type { Batch } from '../../../src/source/batch.js'
import { PostgresSource } from '../../../src/source/postgresSource.js'
import { testDatabase } from '../../support/database.js'
import { startServer } from '../../support/servers.js'
import { SEED, seededRandom } from '../../support/sourceWriters.js'
import { temporaryFolder } from '../../support/temporaryFolder.js'

const ROWS = 3000
const PER_BATCH = 75

/** Real batches, to be written as often as a test likes. */
let batches: Batch[]
let lines: string[]
beforeAll(async () => {
  await using server = await startServer()
  await using db = await testDatabase(
    server,
    `CREATE TABLE items (id int PRIMARY KEY, note text);
     INSERT INTO items SELECT n, md5(n::text) FROM generate_series(1, ${ROWS}) n`,
  )
  await using source = new PostgresSource({ url: db.url, tables: 'items', snapshot: 'only' })
  batches = []
  for await (const batch of source) {
    for (let from = 0; from < batch.length; from += PER_BATCH) {
      batches.push(batch.part(from, Math.min(batch.length, from + PER_BATCH)))
    }
    await batch.ack()
  }
  lines = batches.map((batch) => Buffer.from(batch.toNdjson()).toString())
})

afterEach(() => vi.useRealTimers())

function sinkIn(folder: string, settings: object): Sink {
  const parsed = Object.fromEntries(
    Object.entries(fileSinkType.settings).map(([name, schema]) => [
      name,
      schema.parse((settings as Record<string, unknown>)[name]),
    ]),
  )
  expect(fileSinkType.problems(parsed)).toEqual([])
  return fileSinkType.create(parsed, { folder, pipeline: 'test', sink: 'file' })
}

async function filesIn(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  return entries
    .filter((entry) => entry.isFile() && !entry.name.endsWith('.lock'))
    .map((entry) => join(entry.parentPath, entry.name))
    .sort()
}

async function textOf(path: string): Promise<string> {
  const bytes = await readFile(path)
  return (path.endsWith('.gz') || path.endsWith('.gz.part') ? gunzipSync(bytes) : bytes).toString()
}

const KINDS: readonly [string, object][] = [
  ['one file', { path: 'out.ndjson' }],
  ['one file with gzip', { path: 'deep/er/out.ndjson.gz', gzip: true }],
  ['files by size', { path: 'out/items-{number}.ndjson', rotateBytes: 40_000 }],
  ['files by size with gzip', { path: 'out/{date}/{time}-{number}.gz', rotateBytes: 15_000, gzip: true }],
]

test.each(KINDS)(
  '%s: killed anywhere and opened again, every record is there exactly once',
  async (_, settings) => {
    for (let round = 0; round < 4; round++) {
      await using folder = await temporaryFolder()
      const random = seededRandom(SEED + round)
      let sink = sinkIn(folder.path, settings)
      await sink.open(undefined)
      const first = await sink.flush({ end: false })
      /** What a pipeline would have on disk: a mark, and which batches it stands behind. */
      let state = { mark: first, next: 0 }
      let flushed = state
      let next = 0
      let told = true
      let kills = 0
      const named = new Map<string, string>()
      while (next < batches.length || state.next < batches.length) {
        const choice = random()
        if (choice < 0.6 && next < batches.length) await sink.write(batches[next++]!)
        else if (choice < 0.75) {
          flushed = { mark: JSON.parse(JSON.stringify(await sink.flush({ end: false }))) as SinkMark, next }
        } else if (choice < 0.9) {
          state = flushed
          told = random() < 0.7
          if (told) await sink.recorded!(state.mark)
        } else if (kills < 12) {
          kills++
          await sink.close()
          sink = sinkIn(folder.path, settings)
          await sink.open(state.mark)
          await sink.recorded!(state.mark)
          flushed = state
          next = state.next
        }
        // What has its name stays as it is, whatever happens.
        if ('rotateBytes' in settings) {
          for (const path of await filesIn(folder.path)) {
            if (path.endsWith('.part')) continue
            const text = await textOf(path)
            expect(named.get(path) ?? text, `seed ${SEED}, round ${round}`).toBe(text)
            named.set(path, text)
          }
        }
      }
      const end = await sink.flush({ end: true })
      await sink.recorded!(end)
      await sink.close()
      const files = (await filesIn(folder.path)).sort((a, b) => numberOf(a) - numberOf(b))
      if ('rotateBytes' in settings) {
        expect(files.length).toBeGreaterThan(5)
        expect(files.map(numberOf)).toEqual(files.map((_, index) => index + 1))
        expect(files.filter((path) => path.endsWith('.part'))).toEqual([])
      } else expect(files).toHaveLength(1)
      const text = (await Promise.all(files.map(textOf))).join('')
      expect(text === lines.join(''), `seed ${SEED}, round ${round}, ${kills} kills`).toBe(true)
    }
  },
  120_000,
)

function numberOf(path: string): number {
  return Number(/(\d{6})\.\w+$/.exec(path)?.[1] ?? 0)
}

test('files end with a whole record, soon behind their size', async () => {
  await using folder = await temporaryFolder()
  const sink = sinkIn(folder.path, { path: 'items-{number}.ndjson', rotateBytes: 30_000 })
  await sink.open(undefined)
  for (const batch of batches) await sink.write(batch)
  await sink.recorded!(await sink.flush({ end: false }))
  const files = await filesIn(folder.path)
  expect(files.at(-1)).toMatch(/\/items-\d{6}\.ndjson\.part$/)
  for (const path of files.slice(0, -1)) {
    const { size } = await stat(path)
    expect(size).toBeGreaterThanOrEqual(30_000)
    expect(size).toBeLessThan(30_000 + 64 * 300)
    expect(await textOf(path)).toMatch(/\}\n$/)
  }
  await sink.close()
})

test('a file is as old as its first record, and ends though nothing more comes', async () => {
  vi.useFakeTimers({ toFake: ['Date'], now: Date.UTC(2026, 10, 22, 23, 59, 58) })
  await using folder = await temporaryFolder()
  const settings = { path: '{date}/{time}-{number}.ndjson', rotateSeconds: 10 }
  let sink = sinkIn(folder.path, settings)
  await sink.open(undefined)
  expect(sink.dueAt!()).toBeUndefined()
  await sink.write(batches[0]!)
  const begun = Date.now()
  expect(sink.dueAt!()).toBe(begun + 10_000)
  const mark = await sink.flush({ end: false })
  // A restart does not make it younger.
  await sink.close()
  sink = sinkIn(folder.path, settings)
  await sink.open(mark)
  expect(sink.dueAt!()).toBe(begun + 10_000)
  vi.setSystemTime(begun + 9_999)
  await sink.recorded!(await sink.flush({ end: false }))
  expect(await filesIn(folder.path)).toEqual([join(folder.path, '-000001.ndjson.part')])
  vi.setSystemTime(begun + 10_000)
  await sink.recorded!(await sink.flush({ end: false }))
  expect(await filesIn(folder.path)).toEqual([join(folder.path, '2026-11-22/235958-000001.ndjson')])
  expect(sink.dueAt!()).toBeUndefined()
  await sink.write(batches[1]!)
  await sink.recorded!(await sink.flush({ end: true }))
  expect((await filesIn(folder.path)).at(-1)).toBe(join(folder.path, '2026-11-23/000008-000002.ndjson'))
  await sink.close()
})

test('what is there already: a torn line goes, what somebody else needs is refused', async () => {
  await using folder = await temporaryFolder()
  const path = join(folder.path, 'out.ndjson')
  await writeFile(path, '{"old":1}\n{"to')
  const one = sinkIn(folder.path, { path: 'out.ndjson' })
  await one.open(undefined)
  await one.write(batches[0]!)
  const mark = await one.flush({ end: false })
  await one.close()
  expect(await readFile(path, 'utf8')).toBe(`{"old":1}\n${lines[0]}`)

  await truncate(path, 20)
  const again = sinkIn(folder.path, { path: 'out.ndjson' })
  await expect(again.open(mark)).rejects.toMatchObject({
    code: 'OUTPUT_MISMATCH',
    message: /has 20 bytes, and \d+ were/,
  })
  await again.close()
  const other = sinkIn(folder.path, { path: 'out.ndjson', gzip: true })
  await expect(other.open(mark)).rejects.toMatchObject({ code: 'OUTPUT_MISMATCH', message: /with gzip/ })
  await other.close()

  const numbered = { path: 'n/{number}.ndjson', rotateBytes: 1024 }
  const part = join(folder.path, 'n/000001.ndjson.part')
  await mkdir(dirname(part))
  await writeFile(part, 'of another run')
  const parts = sinkIn(folder.path, numbered)
  await expect(parts.open(undefined)).rejects.toMatchObject({ code: 'OUTPUT_EXISTS', details: { path: part } })
  await parts.close()
  await writeFile(join(folder.path, 'n2-000001'), 'of another run')
  const named = sinkIn(folder.path, { path: 'n2-{number}', rotateBytes: 1024 })
  await named.open(undefined)
  await named.write(batches[0]!)
  const full = await named.flush({ end: false })
  await expect(named.recorded!(full)).rejects.toMatchObject({ code: 'OUTPUT_EXISTS' })
  await named.close()
  expect(await readFile(join(folder.path, 'n2-000001'), 'utf8')).toBe('of another run')
})

test.each(KINDS.slice(0, 2))(
  '%s: what needs not be durable is not synced, and stays when the sink is opened anew; but not when the disk has refused it',
  async (_, settings) => {
    await using folder = await temporaryFolder()
    // A disk that fails as it is asked to sync cannot be had for real.
    const sync = vi.spyOn(Output.prototype, 'sync')
    try {
      const sink = sinkIn(folder.path, settings)
      await sink.open(undefined)
      await sink.write(batches[0]!)
      const relied = await sink.flush({ end: false, durable: false })
      expect(sync).not.toHaveBeenCalled()
      await sink.write(batches[1]!)
      await sink.close()
      await sink.open(relied)
      await sink.write(batches[1]!)
      const durable = await sink.flush({ end: false })
      expect(sync).toHaveBeenCalledTimes(1)
      const [path] = await filesIn(folder.path)
      expect(await textOf(path!)).toBe(lines[0]! + lines[1])

      const whole = await readFile(path!)
      // Nothing is to be synced.
      sync.mockRejectedValueOnce(OUTPUT_FAILED({ name: path!, problem: 'input/output error', errno: 'EIO' }))
      await expect(sink.flush({ end: false })).resolves.toEqual(durable)
      await sink.write(batches[2]!)
      await expect(sink.flush({ end: false })).rejects.toMatchObject({ code: 'OUTPUT_FAILED' })
      await sink.close()
      // All since the last one comes again.
      await sink.open(durable)
      await sink.write(batches[2]!)
      const second = await sink.flush({ end: false, durable: false })
      await sink.write(batches[3]!)
      sync.mockRejectedValueOnce(OUTPUT_FAILED({ name: path!, problem: 'input/output error', errno: 'EIO' }))
      await expect(sink.flush({ end: false })).rejects.toMatchObject({ code: 'OUTPUT_FAILED' })
      await sink.close()
      await expect(sink.open(second)).rejects.toMatchObject({ code: 'SINK_REWOUND' })
      await sink.close()

      const cut = sinkIn(folder.path, settings)
      await cut.open(durable)
      await cut.write(batches[2]!)
      const third = await cut.flush({ end: false, durable: false })
      await cut.close()
      await truncate(path!, 10)
      await expect(cut.open(third)).rejects.toMatchObject({ code: 'SINK_REWOUND' })
      await cut.close()
      await expect(cut.open(durable)).rejects.toMatchObject({ code: 'SINK_REWOUND' })
      await cut.close()
      await writeFile(path!, whole)
      const anew = sinkIn(folder.path, settings)
      await anew.open(durable)
      for (const batch of batches.slice(2, 4)) await anew.write(batch)
      await anew.flush({ end: true })
      await anew.close()
      expect(await textOf((await filesIn(folder.path))[0]!)).toBe(lines.slice(0, 4).join(''))
    } finally {
      sync.mockRestore()
    }
  },
)
