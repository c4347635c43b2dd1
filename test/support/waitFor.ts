import { setTimeout as sleep } from 'node:timers/promises'

export interface WaitOptions {
  /** What is waited for, as the failure shall say it: "the slot to be released". */
  readonly what: string
  /** Default 20 s: of a busy machine, too. */
  readonly timeoutMs?: number
  /** Default 20 ms; a wait that takes long looks less often, up to 60 ms, since looks cost as well. */
  readonly intervalMs?: number
}

type Falsy = false | null | undefined | 0 | ''

/** Waits until the condition gives something truthy, and gives that; an error of the condition ends the wait. */
export async function waitFor<T>(condition: () => T | Promise<T>, options: WaitOptions): Promise<Exclude<T, Falsy>> {
  const { what, timeoutMs = 20_000, intervalMs } = options
  const began = Date.now()
  const deadline = began + timeoutMs
  for (;;) {
    const value = await condition()
    if (value) return value as Exclude<T, Falsy>
    if (Date.now() > deadline) {
      throw new Error(`waited ${timeoutMs} ms for ${what}; the last look gave ${JSON.stringify(value)}`)
    }
    await sleep(intervalMs ?? Math.min(60, Math.max(20, (Date.now() - began) / 20)))
  }
}
