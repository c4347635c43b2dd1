import { openSession } from '../support/openSession.js'
import { waitFor } from '../support/waitFor.js'
import { differences } from './compare.js'
import { linesOf } from './lines.js'
import type { RecordOrder } from './recordOrder.js'
import { Replay, type Turn } from './replay.js'
import { chaosTables } from './tables.js'

/** All that there may be on the server when no run is on. */
const LEFT = ['publication tailrace', 'publication tailrace_inserts', 'slot tailrace_postgres']

export interface Verdict {
  readonly problems: readonly string[]
  readonly order: RecordOrder
}

/** Whether the output, replayed by key, is what the tables hold, and whether nothing else was left behind. */
export async function verdict(url: string, output: string, turns: readonly Turn[]): Promise<Verdict> {
  const replay = new Replay(chaosTables, turns)
  const torn: string[] = []
  try {
    for await (const line of linesOf(output)) replay.line(line)
  } catch (error) {
    torn.push((error as Error).message)
  }
  replay.end()
  await using session = await openSession(url)
  const problems = [...torn, ...replay.problems, ...(await differences(session, chaosTables, replay))]
  const left = async () =>
    (
      await session.query<{ name: string }>(
        `SELECT 'slot ' || slot_name AS name FROM pg_catalog.pg_replication_slots
          UNION ALL SELECT 'publication ' || pubname FROM pg_catalog.pg_publication ORDER BY 1`,
      )
    ).map(({ name }) => name)
  // The temporary slot of a run that was killed goes with its process.
  const clean = async () => (await left()).join() === LEFT.join()
  await waitFor(clean, { what: 'nothing else', timeoutMs: 5000 }).catch(async () => {
    problems.push(`the server has ${(await left()).join(', ')}, and should have ${LEFT.join(', ')}`)
  })
  return { problems, order: replay.order }
}
