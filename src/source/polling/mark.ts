import type { Mark } from './pollState.js'

/** How the server names, after its restart, transactions that were prepared before it: until then they keep their id. */
const PREPARED = '-1/'

/** A mark at `to`, the highest value delivered, while `open` are the transactions that could still commit a lower one. */
export function setMark(to: string, open: readonly string[]): Mark {
  return { to, waiting: open, prepared: open.filter(isPrepared) }
}

/**
 * What is still waited for, now that `open` are the transactions. One that is gone may be a prepared one, and the server
 * was restarted: whichever of those have come since the last look are waited for then.
 */
export function lookAgain(mark: Mark, open: readonly string[]): Mark {
  const prepared = open.filter(isPrepared)
  const left = mark.waiting.filter((id) => open.includes(id))
  const some = left.length < mark.waiting.length
  const come = some ? prepared.filter((id) => !mark.prepared.includes(id)) : []
  return { to: mark.to, waiting: [...left, ...come], prepared }
}

function isPrepared(id: string): boolean {
  return id.startsWith(PREPARED)
}
