import { expect, test } from 'vitest'
import { runChaos } from '../../chaos/chaos.js'
import { startServer } from '../../support/servers.js'
import { temporaryFolder } from '../../support/temporaryFolder.js'

const seed = Number(process.env.TAILRACE_SEED ?? Date.now() % 1e9)

test('killed by SIGKILL 10 times and cut off twice under load, the output amounts to the tables, every record once', async () => {
  await using folder = await temporaryFolder()
  await using server = await startServer({ settings: { deadlock_timeout: '100ms' } })
  const log = [`TAILRACE_SEED=${seed}`]
  const report = await runChaos({
    ...{ server, folder: folder.path, seed, log: (line) => log.push(line) },
    ...{ kills: 10, cuts: 2, restarts: 0, rows: 50_000, writers: 3 },
  }).catch((error) => {
    throw new Error(`${error.message}\n${log.join('\n')}`, { cause: error })
  })
  console.log(log.join('\n'))
  expect(report.problems, log.join('\n')).toEqual([])
  // So that it stays what it says: a snapshot too fast, or a load too small, would leave nothing to kill.
  expect(report.hits.get('snapshot')).toBeGreaterThanOrEqual(2)
  const { hits } = report
  // A snapshot that goes on is read while the stream runs.
  expect(
    (hits.get('stream') ?? 0) + (hits.get('transaction') ?? 0) + (hits.get('snapshot end') ?? 0),
  ).toBeGreaterThanOrEqual(3)
  expect(report.transactions).toBeGreaterThan(50)
}, 300_000)
