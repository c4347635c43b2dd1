import { readFileSync, writeFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import type { PgoutputOptions } from '../../../../src/postgres/pgoutput/decoder.js'
import { testDatabase } from '../../../support/database.js'
import { captureFile, captureName, formatCapture, SCENARIO_FILE } from '../../../support/pgoutputFixtures.js'
import { PgoutputRecorder } from '../../../support/pgoutputRecorder.js'
import { captureScenario, committedLines } from '../../../support/pgoutputScenario.js'
import { PgoutputStream } from '../../../support/pgoutputStream.js'
import { describeEachMajor } from '../../../support/versions.js'

// `TAILRACE_CAPTURE=1 npx vitest run test/integration/postgres/pgoutput` makes test/fixtures/pgoutput anew, with all
// installed servers. Look at the difference that it makes in scenario.txt.
const capturing = process.env.TAILRACE_CAPTURE !== undefined
let scenario = capturing ? undefined : readFileSync(SCENARIO_FILE, 'utf8')

describeEachMajor('the pgoutput scenario', (postgres) => {
  test('comes out the same, row by row, with every protocol version and option', async () => {
    await using db = await testDatabase(postgres.server)
    for (const capture of await captureScenario(db, postgres.major)) {
      const recorder = new PgoutputRecorder(capture)
      const lines = committedLines(capture.messages.map((message) => recorder.decode(message)))
      if (capturing) writeFileSync(captureFile(capture), formatCapture(capture))
      if (scenario === undefined) writeFileSync(SCENARIO_FILE, lines)
      scenario ??= lines
      expect(lines, captureName(capture)).toBe(scenario)
    }
  })

  // A fault of the servers, to be known: pgoutput_message() in pgoutput.c sends the top-level transaction's xid, so that
  // nobody can tell to which sub-transaction a streamed message belongs.
  test('the message of a rolled-back sub-transaction stays in a streamed transaction, if no row stood before it', async () => {
    await using db = await testDatabase(postgres.server, 'CREATE TABLE ballast (n int4); CREATE PUBLICATION nothing')
    db.expectSlots = true
    const options = { publication_names: 'nothing', messages: 'true' }
    await db.query("SELECT pg_create_logical_replication_slot('streamed', 'pgoutput')")
    await db.query("SELECT pg_create_logical_replication_slot('whole', 'pgoutput')")
    const streamed = await PgoutputStream.start(db, 'streamed', { ...options, proto_version: '2', streaming: 'on' })
    const whole = await PgoutputStream.start(db, 'whole', { ...options, proto_version: '1' })
    const other = await db.connect()

    await db.query("BEGIN; SAVEPOINT s; SELECT pg_logical_emit_message(true, 'test', 'rolled back')")
    await db.query('INSERT INTO ballast SELECT generate_series(1, 1000)')
    await other.query("SELECT pg_logical_emit_message(true, 'test', 'now streamed')")
    await streamed.received('now streamed')
    await db.query("ROLLBACK TO s; SELECT pg_logical_emit_message(true, 'test', 'last'); COMMIT")
    await Promise.all([streamed.received('last'), whole.received('last')])

    expect(contents(whole, { protocolVersion: 1, streaming: 'off' })).toEqual(['now streamed', 'last'])
    const all = ['rolled back', 'now streamed', 'last']
    expect(contents(streamed, { protocolVersion: 2, streaming: 'on' })).toEqual(all)
  })
})

function contents({ messages }: PgoutputStream, options: PgoutputOptions): string[] {
  const recorder = new PgoutputRecorder(options)
  const lines: string[] = []
  for (const message of messages) {
    const event = recorder.decode(message)
    if (event.kind === 'message') lines.push(event.content)
  }
  return lines
}
