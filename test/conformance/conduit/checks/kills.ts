import { setTimeout as pause } from 'node:timers/promises'
import type { EmbeddedPostgres } from '../../../../src/cli/embedded/server.js'
import { differences } from '../../../chaos/replicate/compare.js'
import { sourceSql, TABLES, targetSql } from '../../../chaos/replicate/tables.js'
import { Workload } from '../../../chaos/replicate/workload.js'
import { openSession } from '../../../support/openSession.js'
import { startServer } from '../../../support/servers.js'
import {
  type Bench,
  type Check,
  expect,
  expectEqual,
  FORMATS,
  newPipeline,
  SAME_TABLE,
  sourceSettings,
} from '../check.js'
import { ENGINES, type HostPipeline, type HostRun } from '../goHost.js'
import { gone } from './resume.js'

const ROWS = 20_000
const WRITERS = 2
/** The log has no key: rows that come again would be there twice. */
const KEYED = TABLES.filter((table) => table !== 'log')
/** So much of the kills comes soon after the start, while rows are read. */
const EARLY = 0.4
const STARTS_WITHIN_MS = 120_000
const CATCHES_UP_MS = 300_000

type Victim = 'host' | 'source' | 'destination' | 'the source server' | 'the target server'
const VICTIMS: Readonly<Record<Victim, number>> = {
  host: 3,
  source: 3,
  destination: 3,
  'the source server': 2,
  'the target server': 2,
}
/** What a run may fail with when something was killed. */
const EXPECTED =
  /CONNECTION_|SERVER_UNAVAILABLE|SNAPSHOT_INTERRUPTED|SLOT_ACTIVE|TARGET_|stopped unexpectedly|EOF|Unavailable|error reading|transport|57P0|signal: killed|closing/

export const kills: Check = {
  name: 'SIGKILL of the host, of our plugins and of PostgreSQL at random under load: equal at the end',
  async run(bench: Bench) {
    const settings = { wal_sender_timeout: '3s' }
    await using source = await startServer({ major: bench.major, durable: true, settings })
    await using target = await startServer({ major: bench.major, durable: true })
    const without = targetSql().replaceAll(/REFERENCES \w+ ON DELETE (CASCADE|SET NULL)/g, '')
    await sql(source.url(), sourceSql(ROWS))
    await sql(target.url(), without)
    const options = { ...FORMATS.avro, 'sdk.batch.size': '200', 'sdk.batch.delay': '10ms' }
    await using pipeline = newPipeline(bench, {
      source: sourceSettings(source.url(), KEYED.join(','), options),
      destination: { url: target.url(), table: SAME_TABLE },
      storeEveryMs: 50,
    })
    const tally = new Map<string, number>()
    const count = (what: string) => tally.set(what, (tally.get(what) ?? 0) + 1)
    const workload = new Workload(source.url(), WRITERS, ROWS, bench.random.fork())
    try {
      let run: HostRun | undefined
      for (let kill = 0; kill < bench.kills; kill++) {
        if (run === undefined || !run.running) run = await started(bench, pipeline, count)
        const early = kill < bench.kills * EARLY
        await Promise.race([pause(bench.random.integer(50, early ? 600 : 2500)), run.ended])
        const victim = bench.random.weighted(VICTIMS)
        const acked = run.acked
        if (!(await strike(victim, run, source, target))) {
          kill-- // it had ended
          await failed(run, count)
          continue
        }
        count(`killed ${victim}`)
        bench.log(`        kill ${kill + 1} of ${bench.kills}: ${victim}, after ${acked} acks`)
        if (victim === 'host') await Promise.all([gone(run.pidOf('source')), gone(run.pidOf('destination'))])
        else await failed(run, count, victim.endsWith('server'))
        if (workload.failure !== undefined) throw workload.failure
      }
      if (run?.running) await run.stop()
    } finally {
      await workload.stop()
    }
    await sql(source.url(), "INSERT INTO codes VALUES ('end', 'end', 1, NULL)")
    const last = await started(bench, pipeline, count)
    await using session = await openSession(target.url())
    const came = async () => (await session.query("SELECT FROM public.codes WHERE code = 'end'")).length > 0
    await last.until(came, 'the last row at the target', { timeoutMs: CATCHES_UP_MS, intervalMs: 200 })
    // It may have come with the rows of its table, before those of others were read.
    let left: readonly string[] = []
    const isEqual = async () => {
      left = await differences(source.url(), target.url(), KEYED)
      return left.length === 0
    }
    await last.until(isEqual, 'both to be equal', { timeoutMs: CATCHES_UP_MS, intervalMs: 1000 }).catch((error) => {
      if (left.length === 0) throw error
    })
    expectEqual(left, [], 'what differs')
    await last.stop()
    await session.query("UPDATE public.codes SET value = 2 WHERE code = 'end'")
    expect((await differences(source.url(), target.url(), KEYED)).length > 0, 'an altered row is not seen')
    const happened = [...tally].map(([what, times]) => `${times} ${what}`).join(', ')
    return `${workload.transactions} transactions; ${happened}`
  },
}

/** In either engine. */
async function started(bench: Bench, pipeline: HostPipeline, count: (what: string) => void): Promise<HostRun> {
  const deadline = Date.now() + STARTS_WITHIN_MS
  for (;;) {
    pipeline.configure({ engine: bench.random.pick(ENGINES) })
    try {
      return await pipeline.start()
    } catch (error) {
      const text = (error as Error).message
      if (!EXPECTED.test(text) || Date.now() > deadline) throw error
      count(`start refused (${/[A-Z]{4,}_[A-Z_]+/.exec(text)?.[0] ?? text.slice(0, 80)})`)
      await pause(300)
    }
  }
}

/** False: the run had ended before. */
async function strike(victim: Victim, run: HostRun, source: EmbeddedPostgres, target: EmbeddedPostgres) {
  if (!run.running) return false
  if (victim === 'the source server' || victim === 'the target server') {
    const server = victim === 'the source server' ? source : target
    await server.crash('SIGKILL')
    await server.restart()
    return true
  }
  try {
    run.kill(victim)
    if (victim === 'host') await run.ended
    return true
  } catch {
    return false
  }
}

/** The run ends with an error; or, when a server was away, goes on. Acks of what had come go out in either case. */
async function failed(run: HostRun, count: (what: string) => void, mayGoOn = false): Promise<void> {
  const { acked } = run
  const deadline = Date.now() + 20_000
  while (run.running && !(mayGoOn && run.acked > acked) && Date.now() < deadline) await pause(20)
  if (run.running && mayGoOn) return count('run went on')
  expect(!run.running, 'the run goes on without its plugin')
  await run.ended
  const text = run.failure ?? run.stderr.slice(-1000)
  if (!EXPECTED.test(text)) throw new Error(`the run failed otherwise: ${text}\n${run.stderr.slice(-2000)}`)
}

async function sql(url: string, statements: string): Promise<void> {
  await using session = await openSession(url)
  // `public` is not in our sessions' search_path.
  await session.query(`SET search_path = public; ${statements}`)
}
