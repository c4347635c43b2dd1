import { setTimeout as pause } from 'node:timers/promises'
import { ReplicationStream } from '../../src/postgres/replication/stream.js'
import { sqlstateOf } from '../../src/postgres/serverError.js'
import { openSession } from '../support/openSession.js'

const AGAIN_MS = 50
/** The slot of a run that was killed is free as soon as its walsender has noticed. */
const GIVE_UP_MS = 8000
/** So long it may take until a run says what it found. */
const TAKEN_GRACE_MS = 5000
const OBJECT_IN_USE = '55006'
const UNDEFINED_OBJECT = '42704'
const WAL_SENDER_TIMEOUT_MS = 3000

/** Somebody else who reads the slot now and then. */
export class SlotTaking {
  times = 0
  readonly #url: string
  readonly #slot: string
  readonly #log: (line: string) => void
  #until = 0
  #over: Promise<void> = Promise.resolve()

  constructor(url: string, slot: string, log: (line: string) => void) {
    this.#url = url
    this.#slot = slot
    this.#log = log
  }

  /** A run that began a moment ago may have found it so. */
  get isTaken(): boolean {
    return performance.now() < this.#until
  }

  async take(holdMs: number): Promise<void> {
    const { taken, over } = await takeSlot(this.#url, this.#slot, holdMs)
    if (!taken) return
    this.#log(`  somebody else reads the slot for ${holdMs} ms`)
    this.times++
    this.#until = Number.POSITIVE_INFINITY
    this.#over = over.then(() => {
      this.#until = performance.now() + TAKEN_GRACE_MS
    })
  }

  async over(): Promise<void> {
    await this.#over
  }
}

/**
 * Reads the slot for so long, as somebody else's program would, without confirming anything. Resolves when it has it;
 * false: there is no such slot, or it is not free. `over` resolves when it has let go.
 */
async function takeSlot(
  url: string,
  slot: string,
  holdMs: number,
): Promise<{ readonly taken: boolean; readonly over: Promise<void> }> {
  const deadline = performance.now() + GIVE_UP_MS
  const none = { taken: false, over: Promise.resolve() }
  while (performance.now() < deadline) {
    const session = await openSession(url, { replication: true }).catch(() => undefined)
    if (session === undefined) return none
    try {
      const stream = await ReplicationStream.start(
        session,
        {
          slot,
          startLsn: 0n,
          walSenderTimeoutMs: WAL_SENDER_TIMEOUT_MS,
          pluginOptions: { proto_version: '1', publication_names: '"tailrace"' },
        },
        { wal: () => {}, keepalive: () => {}, chunkEnd: () => {}, tick: () => {}, confirmed: () => 0n },
      )
      const letGo = async () => {
        await Promise.race([pause(holdMs), stream.ended.catch(() => {})])
        // Not `stop`: waiting for its answer confirms nothing either.
        session.destroy()
      }
      return { taken: true, over: letGo() }
    } catch (error) {
      session.destroy()
      if (sqlstateOf(error) === UNDEFINED_OBJECT) return none
      if (sqlstateOf(error) !== OBJECT_IN_USE) return none
      await pause(AGAIN_MS)
    }
  }
  return none
}
