import { execFile } from 'node:child_process'
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { EmbeddedPostgres } from '../../src/cli/embedded/server.js'
import { openSession } from './openSession.js'
import { prepareServer } from './servers.js'
import { waitFor } from './waitFor.js'

type Settings = Readonly<Record<string, string>>

export async function sql<Row extends object>(
  server: EmbeddedPostgres,
  text: string,
  database?: string,
): Promise<Row[]> {
  await using session = await openSession(server.url(database))
  return await session.query<Row>(text)
}

/** A copy of the stopped server's data folder, which was not started yet. `major` as the primary's. */
export function copyOf(primary: EmbeddedPostgres, major: number, settings: Settings = {}): Promise<EmbeddedPostgres> {
  return prepareServer({ major, templateData: primary.dataFolder, settings })
}

/** All data of one stopped server becomes that of the other, which keeps its port. */
export async function copyData(from: EmbeddedPostgres, to: EmbeddedPostgres): Promise<void> {
  await rm(to.dataFolder, { recursive: true })
  await promisify(execFile)('cp', ['-a', from.dataFolder, to.dataFolder])
}

/**
 * The copy begins a timeline of its own where it was made, as a promoted standby does. It takes no connections before, so
 * that whoever waits for it never meets it in recovery.
 */
export async function promoteCopy(copy: EmbeddedPostgres): Promise<void> {
  await writeFile(join(copy.dataFolder, 'recovery.signal'), '')
  await copy.restart('fast', { restore_command: 'false', hot_standby: 'off' })
}

export async function promote(standby: EmbeddedPostgres): Promise<void> {
  await sql(standby, 'SELECT pg_promote()')
}

/**
 * A standby that follows the server, made of its data folder: `primary` is stopped for the copy and runs afterwards.
 * `settings`: of the standby.
 */
export async function startStandby(
  primary: EmbeddedPostgres,
  major: number,
  settings: Settings = {},
): Promise<EmbeddedPostgres> {
  await primary.stop()
  const standby = await copyOf(primary, major, {
    // The slots that a standby has itself need what the primary would vacuum.
    hot_standby_feedback: 'on',
    wal_receiver_status_interval: '1s',
    primary_conninfo: `host=127.0.0.1 port=${primary.port} user=postgres dbname=postgres application_name=standby`,
    ...settings,
  })
  await writeFile(join(standby.dataFolder, 'standby.signal'), '')
  await primary.restart()
  await standby.restart()
  await caughtUp(primary, standby)
  return standby
}

/** Until the standby has replayed all that the primary has written. */
export async function caughtUp(primary: EmbeddedPostgres, standby: EmbeddedPostgres): Promise<void> {
  const [at] = await sql<{ lsn: string }>(primary, 'SELECT pg_catalog.pg_current_wal_lsn()::text AS lsn')
  const replayed = `SELECT WHERE pg_catalog.pg_last_wal_replay_lsn() >= '${at!.lsn}'::pg_lsn`
  await waitFor(async () => (await sql(standby, replayed)).length > 0, { what: 'the standby to catch up' })
}
