import { SLOT_ACTIVE } from '../core/errors.js'
import type { Queryable } from '../postgres/queryable.js'
import { slotHolder } from '../postgres/slotHolder.js'

/** After this the server has noticed a cut connection of ours by itself, if it is one. */
const GRACE_MS = 10_000

/**
 * The slot is in use. By an earlier connection of ours that was cut, and which the server takes for alive until
 * `wal_sender_timeout`: that is waited for. Or by somebody who lives: he has replied to the server since we came.
 */
export class SlotWait {
  readonly #control: Queryable
  readonly #slot: string
  readonly #since = performance.now()
  /** What the holder had last replied when we came, by its own clock: only a difference means something. */
  #heard: { readonly pid: number; readonly repliedAt: number | undefined } | undefined

  constructor(control: Queryable, slot: string) {
    this.#control = control
    this.#slot = slot
  }

  /** The slot was refused; throws when waiting makes no sense. Gives for how many seconds it is waited for already. */
  async refused(walSenderTimeoutMs: number): Promise<number> {
    const holder = await slotHolder(this.#control, this.#slot)
    const waitedMs = performance.now() - this.#since
    if (holder === undefined) return Math.round(waitedMs / 1000)
    if (this.#heard?.pid !== holder.pid) this.#heard = holder
    const lives = holder.repliedAt !== this.#heard.repliedAt
    if (lives || waitedMs > walSenderTimeoutMs + GRACE_MS) {
      const { pid, application, address } = holder
      throw SLOT_ACTIVE({ slot: this.#slot, pid, application, address })
    }
    return Math.round(waitedMs / 1000)
  }
}
