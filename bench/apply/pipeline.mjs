import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { tailrace } from '../contestants.mjs'
import { dropSlot, withClient } from '../server.mjs'

export const SOURCE = 'apply_source'
export const TARGET = 'apply_target'
export const SLOT = 'apply'
export const OURS = 'tailrace run'
export const PSQL = 'psql'

const SESSIONS_END_MS = 300

const folder = mkdtempSync(join(tmpdir(), 'tailrace-bench-apply-'))
process.on('exit', () => rmSync(folder, { recursive: true, force: true }))

/** A folder of our own that goes at the end of the bench; the server, another user, can read it. */
export function scratch(name) {
  const path = join(folder, name)
  mkdirSync(path, { recursive: true })
  return path
}

/** Where the source's database is: on the same server, unless that is said to have its source elsewhere. */
function sourceOf(server) {
  return server.source ?? server
}

/** `tailrace run` from one database of the server to the other; `until`: to its end; `more`: lines of the source; `sink`: settings of it. */
export function pipeline(server, { name = OURS, tables, until, more = [], sink = {} }) {
  const file = join(scratch('run'), 'apply.yaml')
  const source = [
    `url: ${sourceOf(server).url(SOURCE)}`,
    `tables: [${tables.join(', ')}]`,
    `slot: ${SLOT}`,
    'keyless: inserts',
    ...(until === undefined ? [] : [`until: ${until}`]),
    ...more,
  ]
  const settings = JSON.stringify({ type: 'postgres', url: server.url(TARGET), ...sink })
  writeFileSync(file, `name: apply\nsource:\n  ${source.join('\n  ')}\nsinks:\n  copy: ${settings}\n`)
  return { ...tailrace(name, ['run', file, '--no-control', '--quiet']), state: join(folder, 'run', 'apply.state') }
}

/** Both databases anew, the source with what `fill` puts there. */
export async function makeSource(server, fill) {
  await withClient(sourceOf(server), 'postgres', async (client) => {
    await dropDatabase(client, SOURCE)
    await client.query(`CREATE DATABASE ${SOURCE}`)
  })
  await withClient(sourceOf(server), SOURCE, fill)
}

/** A target as `template` is, or with what `fill` makes; what a run has left of the pipeline goes. */
export async function makeTarget(server, { template, fill }) {
  await withClient(sourceOf(server), SOURCE, async (client) => {
    await dropSlot(client, SLOT)
    await client.query(`DROP PUBLICATION IF EXISTS ${SLOT}`)
  })
  rmSync(join(folder, 'run'), { recursive: true, force: true })
  await withClient(server, 'postgres', async (client) => {
    await dropDatabase(client, TARGET)
    await client.query(`CREATE DATABASE ${TARGET}${template === undefined ? '' : ` TEMPLATE ${template}`}`)
  })
  if (fill !== undefined) await withClient(server, TARGET, fill)
  await settled()
}

/** A session that ends only now would be taken for one of the contestant's. */
export function settled() {
  return sleep(SESSIONS_END_MS)
}

export async function dropAll(server) {
  await withClient(sourceOf(server), SOURCE, (client) => dropSlot(client, SLOT))
  await withClient(sourceOf(server), 'postgres', (client) => dropDatabase(client, SOURCE))
  await withClient(server, 'postgres', (client) => dropDatabase(client, TARGET))
}

async function dropDatabase(client, name) {
  await client.query(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`)
}

/** One number that a query gives. */
export async function numberOf(server, database, sql) {
  return withClient(server, database, async (client) =>
    Number((await client.query({ text: sql, rowMode: 'array' })).rows[0][0]),
  )
}

/** Until `sql` gives true. */
export async function until(client, sql, limitMs, what) {
  const deadline = performance.now() + limitMs
  for (;;) {
    const { rows } = await client.query({ text: sql, rowMode: 'array' })
    if (rows[0]?.[0] === true) return
    if (performance.now() > deadline) throw new Error(`${what} did not come`)
    await sleep(10)
  }
}
