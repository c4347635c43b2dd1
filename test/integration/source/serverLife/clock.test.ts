import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from 'vitest'
import type { EmbeddedPostgres } from '../../../../src/cli/embedded/server.js'
import { parseLsn } from '../../../../src/postgres/lsn.js'
import { testDatabase } from '../../../support/database.js'
import { killWalsender } from '../../../support/serverLife.js'
import { startServer } from '../../../support/servers.js'
import { readSource, readToCurrent } from '../../../support/sourceReader.js'
import { replay, requireOrder } from '../../../support/sourceReplay.js'
import { confirmedLsn } from '../../../support/sourceSlots.js'
import { SEED, seededRandom } from '../../../support/sourceWriters.js'

const YEAR_MS = 365 * 24 * 3600 * 1000
const RealDate = Date

let server: EmbeddedPostgres
beforeAll(async () => {
  server = await startServer({ settings: { wal_sender_timeout: '2s' } })
})
afterAll(() => server?.[Symbol.asyncDispose]())

/** What our clock says, of what is true: set by each test. */
let clock: (now: number) => number
beforeEach(() => {
  const now = RealDate.now.bind(RealDate)
  class JumpingDate extends RealDate {
    constructor(...args: [] | [number | string]) {
      super(args.length === 0 ? clock(now()) : args[0])
    }
    static override now = () => clock(now())
  }
  clock = (true_) => true_
  vi.stubGlobal('Date', JumpingDate)
})
afterEach(() => {
  vi.unstubAllGlobals()
})

const random = seededRandom(SEED)
test.each<[string, (now: number) => number]>([
  [
    `jumps up to a year forth or back at each look (seed ${SEED})`,
    (now) => Math.trunc(now + (2 * random() - 1) * YEAR_MS),
  ],
  ['stands still', () => 1_700_000_000_000],
  ['runs backwards', (now) => 3_600_000_000_000 - now],
  ['is at the beginning of time', () => 0],
])('a clock of ours that %s decides nothing', async (_, wrong) => {
  await using db = await testDatabase(
    server,
    'CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t SELECT generate_series(1, 1000)',
  )
  db.expectSlots = true
  const options = { url: db.url, tables: 't', slot: `c_${db.name}` }
  clock = wrong
  try {
    await using reader = readSource(options)
    const streaming = () => reader.events.filter(({ type }) => type === 'streaming').length
    await settled(() => streaming() === 1)
    // More than twice the time after which the server takes a silent client for dead.
    await sleep(5000)
    expect(reader.events.filter(({ type }) => type === 'reconnecting')).toEqual([])
    await db.query('DELETE FROM t WHERE id > 500')
    await killWalsender(db)
    await db.query('INSERT INTO t VALUES (2000)')
    await settled(() => reader.records.at(-1)?.key?.id === 2000)
    const { end } = reader.batches.findLast(({ length }) => length > 0)!.position.toJSON()
    await settled(async () => parseLsn((await confirmedLsn(db, options.slot))!)! >= parseLsn(String(end))!)
    await reader.close()
    await db.query('INSERT INTO t VALUES (2001)')
    const next = await readToCurrent({ ...options, position: reader.batches.at(-1)!.position })
    const records = [...reader.records, ...next.records]
    requireOrder(records.filter(({ operation }) => operation !== 'snapshot'))
    expect(replay(records, 't')).toHaveLength(502)
  } finally {
    clock = (now) => now
  }
})

/** waitFor goes by the clock that is wrong here. */
async function settled(condition: () => unknown): Promise<void> {
  for (let look = 0; !(await condition()); look++) {
    if (look > 1000) throw new Error('waited for 20 s')
    await sleep(20)
  }
}
