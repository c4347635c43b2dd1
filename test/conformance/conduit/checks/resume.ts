import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { unpackPosition } from '../../../../src/homes/conduit/source/packedPosition.js'
import {
  type Bench,
  type Check,
  databases,
  expect,
  expectEqual,
  FORMATS,
  type Line,
  newPipeline,
  readLines,
  sourceSettings,
} from '../check.js'
import { ENGINES, type Engine } from '../goHost.js'

const ROWS = 2000
const RUNS = 6
const STORE_MS = 400
const SQL = `CREATE TABLE numbers (n int8 PRIMARY KEY, note text);
  INSERT INTO numbers SELECT n, md5(n::text) FROM generate_series(1, ${ROWS}) n`

/** Acks come late, as since Conduit v0.19. */
export const resume: readonly Check[] = ENGINES.map((engine) => ({
  name: `stop and start, engine ${engine}: no record lost, none twice after an acked position`,
  run: (bench: Bench) => run(bench, engine),
}))

async function run(bench: Bench, engine: Engine): Promise<string> {
  await using dbs = await databases(bench, SQL)
  const output = join(bench.folder, `${dbs.from.name}.ndjson`)
  const source = sourceSettings(dbs.from.url, 'numbers', { ...FORMATS.avro, 'sdk.batch.size': '50' })
  await using pipeline = newPipeline(bench, { engine, source, output, storeEveryMs: STORE_MS })
  const writer = write((sql) => dbs.from.query(sql))
  let repeated = 0
  try {
    for (let run = 0; run < RUNS; run++) {
      const before = readLines(output)
      const stored = run === 0 ? '' : pipeline.stored
      const host = await pipeline.start()
      // Of a snapshot that is interrupted also the changes of rows come that it shows later: those are no repetition.
      if (run === 0) await host.until(() => isBehindSnapshot(pipeline.stored), 'the end of the snapshot')
      await host.hasAcked(bench.random.integer(1, run === 0 ? ROWS : 100))
      // Each second one is killed, with records that are not acked: they come again, in the same order.
      const isKilled = run % 2 === 1
      if (isKilled) {
        await pause(bench.random.integer(50, STORE_MS - 50))
        host.kill('host')
        await host.ended
        await gone(host.pidOf('source'))
      } else {
        const { stop, last } = await host.stop()
        if (engine === 'v1') expectEqual(stop, last, 'what Stop answered')
        expectEqual(pipeline.stored, last, 'the position that is stored after a stop')
      }
      repeated += behindStored(before, readLines(output), stored)
    }
  } finally {
    await writer.stop()
  }
  const [before, stored] = [readLines(output), pipeline.stored]
  const host = await pipeline.start()
  const wanted = ROWS + writer.rows
  await host.until(() => distinct(readLines(output)) >= wanted, `all of ${wanted} rows`)
  await host.stop()
  const lines = readLines(output)
  repeated += behindStored(before, lines, stored)
  expect(repeated > 0, 'no kill came before an ack: this has shown nothing of them')
  expectEqual(distinct(lines), wanted, 'the number of distinct rows')
  expectEqual(lines.length, wanted + repeated, 'the number of records, but for those that were not acked')
  return `${lines.length} records in ${RUNS + 1} runs, ${repeated} of them again that were not acked before a kill`
}

/** A run goes on right behind what was stored; gives how many records it sent that were there before. */
function behindStored(before: readonly Line[], now: readonly Line[], stored: string): number {
  if (before.length === 0) return 0
  const at = before.findLastIndex(({ position }) => position === stored)
  expect(at >= 0, `the stored position ${stored} is of no record`)
  const known = [...new Set(before.map(nOf))]
  const open = known.slice(known.indexOf(nOf(before[at]!)) + 1)
  const came = now.slice(before.length).map(nOf)
  const repeats = Math.min(open.length, came.length)
  expectEqual(came.slice(0, repeats), open.slice(0, repeats), 'what comes first')
  const all = new Set(known)
  expectEqual(
    came.slice(repeats).filter((n) => all.has(n)),
    [],
    'what comes once more',
  )
  return repeats
}

function isBehindSnapshot(position: string): boolean {
  return position !== '' && !('snapshot' in JSON.parse(unpackPosition(position)))
}

const nOf = ({ after }: Line) => (after as { n: [string, string] }).n[1]
const distinct = (lines: readonly Line[]) => new Set(lines.map(nOf)).size

function write(query: (sql: string) => Promise<unknown>) {
  let rows = 0
  let going = true
  const ended = (async () => {
    for (; going; await pause(5)) {
      const count = rows % 7 === 0 ? 40 : 1 + (rows % 5)
      await query(`INSERT INTO numbers SELECT n FROM generate_series(${ROWS + rows + 1}, ${ROWS + rows + count}) n`)
      rows += count
    }
  })()
  return {
    get rows() {
      return rows
    },
    async stop() {
      going = false
      await ended
    },
  }
}

/** A plugin sees within half a second that its host has died. */
export async function gone(pid: number): Promise<void> {
  const deadline = Date.now() + 5000
  for (; Date.now() < deadline; await pause(20)) {
    try {
      process.kill(pid, 0)
    } catch {
      return
    }
  }
  throw new Error(`the plugin outlives its host by 5 s: process ${pid}`)
}
