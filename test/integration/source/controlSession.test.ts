import { afterAll, beforeAll, expect, test } from 'vitest'
import type { EmbeddedPostgres } from '../../../src/cli/embedded/server.js'
import { parseConnectionString } from '../../../src/postgres/connectionString.js'
import { Session } from '../../../src/postgres/session.js'
import { ControlSession } from '../../../src/source/controlSession.js'
import { testDatabase } from '../../support/database.js'
import { startServer } from '../../support/servers.js'
import { waitFor } from '../../support/waitFor.js'

let server: EmbeddedPostgres
beforeAll(async () => {
  server = await startServer()
})
afterAll(() => server[Symbol.asyncDispose]())

test('what is being asked when a run closes is not asked again on a connection that nobody closes', async () => {
  await using db = await testDatabase(server)
  const options = parseConnectionString(db.url)
  const stop = new AbortController()
  let connections = 0
  const connect = (signal: AbortSignal) => {
    connections++
    return Session.connect(options, { signal })
  }
  const control = new ControlSession(connect, stop.signal)
  await control.query('SELECT 1')
  stop.abort()
  // Of the clean-up: on a connection of its own.
  const asked = control.query('SELECT pg_sleep(60)').catch((error: Error) => error)
  const sleeping = "SELECT FROM pg_stat_activity WHERE datname = current_database() AND query LIKE '%sleep(60)'"
  await waitFor(async () => (await db.query(`${sleeping} AND pid <> pg_backend_pid()`)).length === 1, {
    what: 'it to be asked',
  })
  await control.close()
  expect(await asked).toBeInstanceOf(Error)
  expect(connections).toBe(2)
  await db.query(
    `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid IN (${sleeping.replace('SELECT', 'SELECT pid')} AND pid <> pg_backend_pid())`,
  )
})
