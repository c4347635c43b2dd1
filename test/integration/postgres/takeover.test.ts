import { expect, test } from 'vitest'
import { runScript } from '../../../src/postgres/copy/script.js'
import { testDatabase } from '../../support/database.js'
import { openSession } from '../../support/openSession.js'
import { startServer } from '../../support/servers.js'

test('what takes over a connection that was lost before hears of it, and does not wait for ever', async () => {
  await using server = await startServer()
  await using db = await testDatabase(server, 'CREATE TABLE t (id int)')
  await using session = await openSession(db.url)
  await db.query('SELECT pg_terminate_backend($1)', [session.processId])
  await session.gone
  const failed = await runScript(session, ['BEGIN', 'INSERT INTO t VALUES (1)', 'COMMIT']).catch((error) => error)
  expect(failed).toMatchObject({ code: 'CONNECTION_LOST' })
}, 20_000)
