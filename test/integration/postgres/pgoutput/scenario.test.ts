import { readFileSync, writeFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { testDatabase } from '../../../support/database.js'
import { captureFile, captureName, formatCapture, SCENARIO_FILE } from '../../../support/pgoutputFixtures.js'
import { PgoutputRecorder } from '../../../support/pgoutputRecorder.js'
import { captureScenario, committedLines } from '../../../support/pgoutputScenario.js'
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
})
