import { writeFileSync } from 'node:fs'
import { airbyteCatalog } from './airbyte/catalog.mjs'
import { airbyteDrain, airbyteRefresh } from './airbyte/reads.mjs'
import { applyChanges, applyOneRow } from './apply/changes.mjs'
import { applyCopy } from './apply/copy.mjs'
import { applyLatency, applyPgbench } from './apply/live.mjs'
import { conduitApply } from './conduit/destination.mjs'
import { conduitDrain, conduitSnapshot } from './conduit/source.mjs'
import { missingPrograms } from './contestants.mjs'
import { dist } from './dist.mjs'
import { backlog, huge, oneRow } from './drain.mjs'
import { large } from './large.mjs'
import { latency } from './latency.mjs'
import { BUSY_LOAD, describeMachine, load } from './machine.mjs'
import { memory } from './memory.mjs'
import { readOptions, USAGE } from './options.mjs'
import { pipelineDrain, pipelineHuge, pipelineOneRow, pipelineSnapshot } from './pipeline/pipeline.mjs'
import { pgRecvlogical, versionOf } from './programs.mjs'
import { resume } from './resume.mjs'
import { scan } from './scan.mjs'
import { startServer, withClient } from './server.mjs'
import { snapshot } from './snapshot.mjs'
import { barsTable } from './table.mjs'
import { verifyLive, verifyTables } from './verify.mjs'

const BENCHES = { backlog, 'one-row': oneRow, huge, large, snapshot, latency, memory }
/** Only when they are asked for: they take long, and have no peer but ourselves. */
const ON_REQUEST = { resume, scan }
/** `apply`: a pipeline into a database. */
const APPLY = {
  'apply-copy': applyCopy,
  'apply-changes': applyChanges,
  'apply-one-row': applyOneRow,
  'apply-pgbench': applyPgbench,
  'apply-latency': applyLatency,
}
/** As an Airbyte source. */
const AIRBYTE = { 'airbyte-refresh': airbyteRefresh, 'airbyte-drain': airbyteDrain, 'airbyte-catalog': airbyteCatalog }
const VERIFY = { 'verify-tables': verifyTables, 'verify-live': verifyLive }
/** `conduit`: our plugin, through gRPC. */
const CONDUIT = { 'conduit-drain': conduitDrain, 'conduit-snapshot': conduitSnapshot, 'conduit-apply': conduitApply }
/** A pipeline to a file, through processors, and to a webhook. */
const PIPELINE = {
  'pipeline-snapshot': pipelineSnapshot,
  'pipeline-drain': pipelineDrain,
  'pipeline-one-row': pipelineOneRow,
  'pipeline-huge': pipelineHuge,
}
const GROUPS = { airbyte: AIRBYTE, apply: APPLY, verify: VERIFY, conduit: CONDUIT, pipeline: PIPELINE }
const ALL = { ...BENCHES, ...ON_REQUEST, ...AIRBYTE, ...APPLY, ...VERIFY, ...CONDUIT, ...PIPELINE }
/** About single functions, without a server: only when it is asked for. */
const MICRO = 'micro'

const LEGEND = `wall, CPU: median of the rounds, in seconds; ratio: to the peer of the same round, median and best; others: how many
cores everybody else used meanwhile, at worst. Above 0.1 a round is not to be leaned on.`

async function main() {
  const options = readOptions(process.argv.slice(2))
  if (options.help) return console.log(USAGE)
  const wanted = options.names.length > 0 ? options.names : Object.keys(BENCHES)
  const names = wanted.flatMap((name) => Object.keys(GROUPS[name] ?? { [name]: undefined }))
  const unknown = names.find((name) => name !== MICRO && !Object.hasOwn(ALL, name))
  if (unknown !== undefined) {
    console.error(`there is no bench ${unknown}\n\n${USAGE}`)
    process.exitCode = 2
    return
  }
  const machine = describe()
  const benches = []
  if (names.includes(MICRO)) {
    const { micro } = await import('./micro.mjs')
    benches.push(show(await micro()))
  }
  const withServer = names.filter((name) => name !== MICRO)
  if (withServer.length > 0) benches.push(...(await runWithServer(withServer, machine, options)))
  const bars = benches.flatMap((bench) => bench.bars)
  if (bars.length > 0) console.log(`\n${LEGEND}\n\n### bars\n\n${barsTable(bars)}`)
  if (options.json === undefined) return
  writeFileSync(options.json, `${JSON.stringify({ machine, options, benches }, null, 2)}\n`)
}

async function runWithServer(names, machine, options) {
  const benches = []
  const server = await startServer(options.major)
  try {
    machine.server = await withClient(server, 'postgres', async (client) => {
      const { rows } = await client.query('SHOW server_version')
      return `PostgreSQL ${rows[0].server_version}`
    })
    console.log(`${machine.server}, TCP loopback; peer: ${machine.tools ?? 'none'}; rounds: ${options.rounds}`)
    for (const name of names) {
      process.stderr.write(`${name}\n`)
      try {
        benches.push(show(await ALL[name]({ server, options })))
      } catch (error) {
        // the others may still tell something
        console.log(`\n### ${name}: failed\n\n${error.stack}`)
        process.exitCode = 1
      }
    }
  } finally {
    await server[Symbol.asyncDispose]()
  }
  return benches
}

function describe() {
  const tools = pgRecvlogical && versionOf(pgRecvlogical)
  const machine = { description: describeMachine(), load: load(), dist, tools }
  console.log(`${machine.description}; load ${machine.load.toFixed(2)} at the start; built package: ${dist}`)
  if (machine.load > BUSY_LOAD) {
    console.log(`WARNING: the machine is busy (1-minute load above ${BUSY_LOAD}): these figures prove nothing.`)
  }
  for (const line of missingPrograms()) console.log(`WARNING: ${line}`)
  return machine
}

function show(bench) {
  console.log(`\n### ${bench.name}: ${bench.title}\n\n${bench.text}`)
  return bench
}

process.once('SIGINT', () => stopped('SIGINT', 130))
process.once('SIGTERM', () => stopped('SIGTERM', 143))
/** The contestant under way is ended by its own exit handler, the server by its keeper. */
function stopped(signal, exitCode) {
  console.error(`stopped by ${signal}`)
  process.exit(exitCode)
}

try {
  await main()
} catch (error) {
  console.error(error)
  process.exitCode = 1
}
