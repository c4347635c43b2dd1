import { appendFileSync } from 'node:fs'
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { Random } from '../../chaos/random.js'
import { DEFAULT_MAJOR, startServer } from '../../support/servers.js'
import type { Bench, Check } from './check.js'
import { copies } from './checks/copies.js'
import { keys } from './checks/keys.js'
import { kills } from './checks/kills.js'
import { lifecycle } from './checks/lifecycle.js'
import { listed, validated } from './checks/listed.js'
import { nacks } from './checks/nacks.js'
import { records } from './checks/records.js'
import { resume } from './checks/resume.js'
import { slots } from './checks/slots.js'
import { values as valueChecks } from './checks/values.js'
import { buildHost } from './goHost.js'

const CHECKS: readonly Check[] = [
  listed,
  validated,
  ...records,
  ...valueChecks,
  ...keys,
  ...copies,
  ...resume,
  ...lifecycle,
  ...nacks,
  ...slots,
  kills,
]

const HELP = `Shows what docs/conduit.md promises, with Conduit's own protocol library: a small host in Go launches our executable and calls
it as Conduit does. Needs Go 1.25 or later. With CONDUIT_BIN=/path/to/conduit pipelines in that program are run, too.

  --only <text>    checks whose name has it
  --kills <n>      of the check that kills at random; default 30
  --seed <n>       of its moments; default by the clock
  --major <n>      of PostgreSQL; default ${DEFAULT_MAJOR}
  --log <file>     append what is printed to this file, too
`

const { values } = parseArgs({
  options: {
    only: { type: 'string', default: '' },
    kills: { type: 'string', default: '30' },
    seed: { type: 'string', default: String(Date.now() % 1e9) },
    major: { type: 'string', default: String(DEFAULT_MAJOR) },
    log: { type: 'string' },
    help: { type: 'boolean', short: 'h', default: false },
  },
})

if (values.help) process.stdout.write(HELP)
else process.exitCode = await main()

async function main(): Promise<number> {
  const root = process.env.TAILRACE_ROOT!
  const folder = await mkdtemp(join(tmpdir(), 'tailrace-conformance-'))
  await chmod(folder, 0o755)
  const host = buildHost(join(root, 'test/conformance/conduit/host'), folder)
  const major = Number(values.major)
  const settings = { wal_sender_timeout: '5s' }
  await using source = await startServer({ major, durable: true, settings })
  await using target = await startServer({ major, durable: true })
  const random = new Random(Number(values.seed))
  const plugin = process.env.TAILRACE_CONDUIT ?? join(root, 'dist/tailrace-conduit.cjs')
  const bench: Bench = { source, target, major, host, plugin, folder, random, kills: Number(values.kills), log }
  log(`conduit-connector-protocol v0.9.5, conduit-commons v0.6.0; PostgreSQL ${major}; seed ${values.seed}`)
  const wanted = CHECKS.filter(({ name }) => name.includes(values.only))
  const failed: string[] = []
  for (const check of wanted) if (!(await holds(check, bench))) failed.push(check.name)
  log(
    `${wanted.length - failed.length} of ${wanted.length} hold${failed.length > 0 ? `; FAILED:\n  ${failed.join('\n  ')}` : ''}`,
  )
  if (failed.length === 0) await rm(folder, { recursive: true, maxRetries: 5 })
  else log(`files of the pipelines: ${folder}`)
  return failed.length === 0 && wanted.length > 0 ? 0 : 1
}

async function holds(check: Check, bench: Bench): Promise<boolean> {
  const began = performance.now()
  const took = () => `${((performance.now() - began) / 1000).toFixed(1)} s`
  try {
    const shown = await check.run(bench)
    log(`pass  ${check.name} (${shown}; ${took()})`)
    return true
  } catch (error) {
    log(`FAIL  ${check.name} (${took()})\n      ${told(error as Error)}`)
    return false
  }
}

/** With the place in the check. */
function told({ message, stack }: Error): string {
  const place = stack?.split('\n').find((line) => line.includes('/checks/'))
  return `${message}\n${place ?? stack}`.replaceAll('\n', '\n      ')
}

function log(line: string): void {
  process.stdout.write(`${line}\n`)
  if (values.log !== undefined) appendFileSync(values.log, `${line}\n`)
}
