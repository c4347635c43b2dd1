import { appendFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { parseArgs } from 'node:util'
import pg from 'pg'
import { startServer } from '../../support/servers.js'
import { temporaryFolder } from '../../support/temporaryFolder.js'
import { difference } from './compare.js'
import { installed, PyAirbyte, type Synced } from './pyAirbyte.js'
import { SCHEMA_SQL, TABLES } from './tables.js'

const HELP = `Syncs five tables by PyAirbyte, through the built tailrace-airbyte, into its cache: three times, with changes between, and
compares cache and source after each. Then once more with compact, and keys that are changed many times. PyAirbyte is installed
into a virtual environment among temporary files when it is not there (TAILRACE_PYAIRBYTE names another folder).

  --only <run>    plain or compact; default both
  --major <n>     of PostgreSQL, default 17
  --log <file>    append what is printed to this file, too
`

const { values } = parseArgs({
  options: {
    only: { type: 'string' },
    major: { type: 'string', default: '17' },
    log: { type: 'string' },
    help: { type: 'boolean', short: 'h', default: false },
  },
})

const SYNCS = 3
// dist/cli/main.js, wherever this was compiled to.
const cli = dirname(process.env.TAILRACE_CLI!)
const here = join(cli, '../../test/conformance/airbyte')

let failures = 0

if (values.help) process.stdout.write(HELP)
else process.exitCode = await main()

async function main(): Promise<number> {
  const python = installed(join(here, 'requirements.txt'), log)
  for (const run of ['plain', 'compact'] as const) {
    if (values.only === undefined || values.only === run) await prove(run, python)
  }
  log(failures === 0 ? 'all as it should be' : `FAILED: ${failures}`)
  return failures === 0 ? 0 : 1
}

async function prove(run: 'plain' | 'compact', python: string): Promise<void> {
  await using server = await startServer({ major: Number(values.major), settings: { max_wal_size: '4GB' } })
  await using folder = await temporaryFolder()
  const session = new pg.Client(server.url())
  await session.connect()
  await using _ = { [Symbol.asyncDispose]: () => session.end() }
  await session.query("SET intervalstyle = 'iso_8601'")
  await session.query(SCHEMA_SQL)
  await session.query('ANALYZE')
  const config = {
    connectionURI: server.url(),
    slot_name: 'conformance',
    state_type: 'stream',
    ...(run === 'compact' && { compact: true }),
  }
  log(`\n${run}: PostgreSQL ${values.major}`)
  await using client = new PyAirbyte({ python, script: join(here, 'client.py'), folder: folder.path })
  await client.open(
    join(cli, 'airbyte.js'),
    config,
    TABLES.map(({ name }) => name),
    run,
  )
  for (let sync = 0; sync < SYNCS; sync++) {
    if (sync > 0) {
      for (const { changes, many } of TABLES) {
        for (const sql of [...changes(sync), ...(run === 'compact' ? many(sync) : [])]) await session.query(sql)
      }
    }
    const began = performance.now()
    const synced = await client.sync()
    const seconds = ((performance.now() - began) / 1000).toFixed(1)
    log(`  sync ${sync + 1}: ${synced.records} records in ${seconds} s; lines ${JSON.stringify(synced.types)}`)
    judge(synced)
    for (const table of TABLES) {
      const problem = await difference(session, client, table)
      if (problem === undefined) log(`    ${table.name}: equal`)
      else fail(problem)
    }
  }
}

function judge({ lines, rejected, examples, logs }: Synced): void {
  log(`    ${lines - rejected} of ${lines} lines are valid by airbyte-protocol-models-pdv2`)
  if (rejected > 0) fail(`lines that are not: ${JSON.stringify(examples, null, 2)}`)
  for (const one of logs.filter((text) => /^(WARN|ERROR|FATAL)/.test(text))) log(`    ${one}`)
  if (!logs.some((text) => text.includes('surrogate'))) fail('no LOG line tells of the half surrogate pair')
}

function fail(what: string): void {
  failures++
  log(`  FAILED: ${what}`)
}

function log(text: string): void {
  process.stdout.write(`${text}\n`)
  if (values.log !== undefined) appendFileSync(values.log, `${text}\n`)
}
