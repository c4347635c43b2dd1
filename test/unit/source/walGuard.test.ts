import { describe, expect, test } from 'vitest'
import type { TailraceError } from '../../../src/core/tailraceError.js'
import type { SlotWal } from '../../../src/postgres/slotWal.js'
import type { SourceEvent } from '../../../src/source/events.js'
import { WalGuard, type WalGuardOptions } from '../../../src/source/walGuard.js'
import { slotWal } from '../../support/slotWal.js'

const MIB = 1024 * 1024

/** A guard with a budget of 100 MB that is shown slots, second after second, and what it did. */
class Guarded {
  readonly events: SourceEvent[] = []
  readonly errors: TailraceError[] = []
  readonly pauses: boolean[] = []
  readonly #guard: WalGuard
  #second = 0

  constructor(options: Partial<WalGuardOptions> = {}) {
    this.#guard = new WalGuard({
      budgetBytes: 100 * MIB,
      action: 'warn',
      pauseSnapshot: (paused) => this.pauses.push(paused),
      fail: (error) => this.errors.push(error),
      emit: (event) => this.events.push(event),
      ...options,
    })
  }

  /** Whether it wants to look again soon. */
  holds(megabytes: number, facts: Partial<SlotWal> = {}, seconds = 1): boolean {
    this.#second += seconds
    return this.#guard.look(slotWal({ retainedBytes: megabytes * MIB, ...facts }), this.#second * 1000)
  }
}

describe('at the limit', () => {
  test('a guard that is to warn only tells, and looks more often when it gets near', () => {
    const guarded = new Guarded()
    expect(guarded.holds(10)).toBe(false)
    expect(guarded.holds(60)).toBe(true)
    guarded.holds(200)
    expect(guarded.events.map((event) => event.type === 'wal-retention' && event.level)).toEqual([
      'ok',
      'half',
      'reached',
    ])
    expect(guarded.errors).toEqual([])
    expect(guarded.pauses).toEqual([])
  })

  test('a guard that is to stop does so, once', () => {
    const guarded = new Guarded({ action: 'stop' })
    guarded.holds(99)
    expect(guarded.errors).toEqual([])
    guarded.holds(100)
    guarded.holds(101)
    expect(guarded.errors).toMatchObject([{ code: 'WAL_BUDGET_REACHED', details: { heldBytes: 100 * MIB } }])
  })

  test('of the server there is no stop: the slot would only be lost the sooner', () => {
    const guarded = new Guarded({ action: 'stop', budgetBytes: 1000 * MIB })
    guarded.holds(90, { safeBytes: -1, walStatus: 'unreserved' })
    expect(guarded.errors).toEqual([])
  })

  test('a snapshot rests from the budget on until much less was held for a minute', () => {
    const guarded = new Guarded({ action: 'pause-snapshot' })
    guarded.holds(90)
    expect(guarded.pauses).toEqual([])
    guarded.holds(100)
    guarded.holds(110)
    guarded.holds(10)
    expect(guarded.pauses).toEqual([true])
    guarded.holds(10, {}, 61)
    expect(guarded.pauses).toEqual([true, false])
    guarded.holds(100)
    expect(guarded.pauses).toEqual([true, false, true])
  })

  test('of the server a snapshot rests before it is reached', () => {
    const guarded = new Guarded({ action: 'pause-snapshot', budgetBytes: undefined })
    guarded.holds(70, { safeBytes: 30 * MIB })
    expect(guarded.pauses).toEqual([])
    guarded.holds(85, { safeBytes: 15 * MIB })
    expect(guarded.pauses).toEqual([true])
  })
})

test('a slot that was invalidated is lost at once, whatever it was to do', () => {
  const guarded = new Guarded({ budgetBytes: undefined })
  guarded.holds(0, { walStatus: 'lost', invalidation: 'wal_removed', retainedBytes: undefined })
  expect(guarded.events).toMatchObject([{ type: 'wal-retention', level: 'lost', walStatus: 'lost' }])
  expect(guarded.errors).toMatchObject([{ code: 'SLOT_LOST', details: { reason: 'wal_removed' } }])
})

test('another slot begins with a level of its own', () => {
  const guarded = new Guarded()
  guarded.holds(200)
  guarded.holds(1, { name: 'next' })
  expect(guarded.events.at(-1)).toMatchObject({ slot: 'next', level: 'ok' })
})
