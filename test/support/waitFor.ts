import { setTimeout as sleep } from 'node:timers/promises'

export interface WaitOptions {
  /** What is waited for, as the failure shall say it: "the slot to be released". */
  readonly what: string
  /** Default 10 s. */
  readonly timeoutMs?: number
  /** Default 20 ms. */
  readonly intervalMs?: number
}

type Falsy = false | null | undefined | 0 | ''

/** Waits until the condition gives something truthy, and gives that; an error of the condition ends the wait. */
export async function waitFor<T>(condition: () => T | Promise<T>, options: WaitOptions): Promise<Exclude<T, Falsy>> {
  const { what, timeoutMs = 10_000, intervalMs = 20 } = options
  const deadline = Date.now() + timeoutMs
  for (;;) {
    const value = await condition()
    if (value) return value as Exclude<T, Falsy>
    if (Date.now() > deadline) {
      throw new Error(`waited ${timeoutMs} ms for ${what}; the last look gave ${JSON.stringify(value)}`)
    }
    await sleep(intervalMs)
  }
}
