import { appendFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import pg from 'pg'
import { openSession } from '../support/openSession.js'
import { startServer } from '../support/servers.js'
import { startTailrace } from '../support/tailrace.js'
import { temporaryFolder } from '../support/temporaryFolder.js'
import { grows, maximum, type Sample, sample } from './retained.js'

const HELP = `Captures tables that nobody writes while another one is written as fast as it goes, and prints how much WAL the server
keeps for the slot. Ends with exit code 1 when that grows with what is written.

  --seconds <n>       default 60
  --every <n>         seconds from one look to the next, default 2
  --max-wal-size <s>  of the server, default 64MB
  --major <n>         of PostgreSQL, default 17
  --log <file>        append what is printed to this file, too
`

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '60' },
    every: { type: 'string', default: '2' },
    'max-wal-size': { type: 'string', default: '64MB' },
    major: { type: 'string', default: '17' },
    log: { type: 'string' },
    help: { type: 'boolean', short: 'h', default: false },
  },
})

const SLOT = 'idle'
/** Behind a record at the end of a page the next place is behind the next page's header. */
const PADDING = 64
const BAR = 60
/** The table is emptied when it has about a gigabyte. */
const STATEMENTS_BETWEEN_TRUNCATES = 400

if (values.help) process.stdout.write(HELP)
else process.exitCode = await main()

async function main(): Promise<number> {
  const settings = { max_wal_size: values['max-wal-size'], min_wal_size: '32MB' }
  await using server = await startServer({ major: Number(values.major), settings })
  await using folder = await temporaryFolder()
  await using session = await openSession(server.url())
  await session.query('CREATE TABLE public.quiet (id int PRIMARY KEY); CREATE TABLE public.busy (id int, filling text)')
  const args = ['--url', server.url(), '--tables', 'quiet', '--slot', SLOT, '--output', join(folder.path, 'out')]
  await using run = startTailrace(['stream', ...args])
  await run.says('streaming from')
  const [start] = await session.query<{ lsn: string }>('SELECT pg_catalog.pg_current_wal_lsn()::text AS lsn')

  log(
    `PostgreSQL ${values.major}, max_wal_size ${values['max-wal-size']}, table "busy" is written, "quiet" is captured`,
  )
  log(`MB: WAL written | kept for the slot (from restart_lsn) | not confirmed | files of pg_wal`)
  const ending = new AbortController()
  const writing = write(server.url(), ending.signal)
  writing.catch(() => {})
  const samples: Sample[] = []
  const began = performance.now()
  const elapsed = () => (performance.now() - began) / 1000
  while (elapsed() < Number(values.seconds) && run.running) {
    await Promise.race([pause(Number(values.every) * 1000), writing])
    samples.push(await sample(session, SLOT, start!.lsn, elapsed()))
    log(line(samples.at(-1)!))
  }
  ending.abort()
  await writing
  if (!run.running) return fail(`tailrace ended by itself: ${run.stderr}`)
  const asked = performance.now()
  await session.query('INSERT INTO public.quiet VALUES (1)')
  // The slot moves on when a row of the quiet table was delivered and is durable.
  const lsn = (await session.query<{ lsn: string }>('SELECT pg_catalog.pg_current_wal_lsn()::text AS lsn'))[0]!.lsn
  // Autovacuum goes on writing: compared is the place of the row, not the end of the WAL.
  const confirmed = async () => {
    const { unconfirmed, written } = await sample(session, SLOT, lsn, 0)
    return unconfirmed <= written + PADDING
  }
  await run.waitFor(confirmed, 'its row to be confirmed')
  log(`a row of the captured table was confirmed ${Math.round(performance.now() - asked)} ms after its insert`)
  curve(samples)
  const written = samples.at(-1)!.written
  log(`at most ${mb(maximum(samples))} MB kept of ${mb(written)} MB written`)
  return grows(samples) ? fail('what is kept grows with what is written') : 0
}

/** Until it is told to stop. */
async function write(url: string, signal: AbortSignal): Promise<void> {
  const client = new pg.Client(url)
  await client.connect()
  for (let statement = 1; !signal.aborted; statement++) {
    await client.query(`INSERT INTO busy SELECT i, repeat(md5(i::text), 32) FROM generate_series(1, 2000) i`)
    if (statement % STATEMENTS_BETWEEN_TRUNCATES === 0) await client.query('TRUNCATE busy')
  }
  await client.end()
}

function line({ second, written, retained, unconfirmed, onDisk }: Sample): string {
  const numbers = [written, retained, unconfirmed, onDisk].map((bytes) => mb(bytes).padStart(8))
  return `${second.toFixed(0).padStart(4)} s ${numbers.join(' ')}`
}

/** Against what was written: were nothing confirmed, both would be as long. */
function curve(samples: readonly Sample[]): void {
  const written = samples.at(-1)!.written
  log('')
  log(`kept (#) of what was written (.), ${mb(written)} MB the whole width`)
  for (const one of samples) {
    const [kept, all] = [one.retained, one.written].map((bytes) => Math.round((BAR * bytes) / written))
    log(`${one.second.toFixed(0).padStart(4)} s ${'#'.repeat(kept!)}${'.'.repeat(Math.max(0, all! - kept!))}`)
  }
  log('')
}

function mb(bytes: number): string {
  return (bytes / 1e6).toFixed(1)
}

function fail(why: string): number {
  log(`FAILED: ${why}`)
  return 1
}

function log(text: string): void {
  process.stdout.write(`${text}\n`)
  if (values.log !== undefined) appendFileSync(values.log, `${text}\n`)
}
