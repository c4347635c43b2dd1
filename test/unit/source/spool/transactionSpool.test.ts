import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { MESSAGE } from '../../../../src/postgres/pgoutput/tag.js'
import { readCaptures, SCENARIO_FILE } from '../../../support/pgoutputFixtures.js'
import { committedLines } from '../../../support/pgoutputScenario.js'
import type { PgoutputEvent } from '../../../support/pgoutputTwin.js'
import { eventsOf, Spooling } from '../../../support/spooling.js'
import { temporaryFolder } from '../../../support/temporaryFolder.js'

const captures = readCaptures().filter(({ twoPhase }) => !twoPhase)

/** Behind one of these a sub-transaction is rolled back: see below. */
const UNCLEAR = 'streamed\0'
const clear = (messages: readonly Buffer[]) =>
  messages.filter((message) => message[0] !== MESSAGE || !message.includes(UNCLEAR))
const scenario = readFileSync(SCENARIO_FILE, 'utf8').replaceAll(/^ *message "streamed" .*\n/gm, '')

/** What positions and fingerprints count. */
function counted(events: readonly PgoutputEvent[]): unknown[] {
  return events.flatMap((event) => ('length' in event ? [[event.kind, event.length]] : []))
}

describe.each(captures.filter(({ streaming }) => streaming === 'on'))('what PostgreSQL $server streamed', (capture) => {
  test.each([
    ['in memory', 1 << 24],
    ['in files', 0],
  ])('comes %s as protocol 1 brings it', async (_, memoryBytes) => {
    await using folder = await temporaryFolder()
    const spooling = new Spooling({ folder: folder.path, memoryBytes })
    await spooling.feed(clear(capture.messages))
    const events = await spooling.events()
    expect(committedLines(events)).toBe(scenario)
    const plain = captures.find(({ server, protocolVersion }) => server === capture.server && protocolVersion === 1)!
    expect(counted(events)).toEqual(counted(eventsOf(clear(plain.messages))))
    await spooling.spool.end()
    expect(readdirSync(folder.path)).toEqual([])
    expect(spooling.failures).toEqual([])
  })

  test('is given up where a logical message may have been rolled back, or not', async () => {
    await using folder = await temporaryFolder()
    const spooling = new Spooling({ folder: folder.path })
    await expect(spooling.feed(capture.messages)).rejects.toMatchObject({ code: 'STREAMING_GIVEN_UP' })
    await spooling.spool.end()
  })
})
